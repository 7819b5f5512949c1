"""Clients of a simulator, on its clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from builds_async import BuildsClient
from builds_async.simulator import BuildsSimulator


def client_of(sim: BuildsSimulator, **options: Any) -> BuildsClient:
    """A client of a simulator that is or will be started."""
    settings = {"account_id": sim.account_id, "api_token": sim.api_token, "base_url": sim.url}
    return BuildsClient(**{**settings, "clock": sim.clock, **options})


@asynccontextmanager
async def connected(sim: BuildsSimulator, **options: Any) -> AsyncIterator[BuildsClient]:
    """A started simulator, and a client of it."""
    async with sim, client_of(sim, **options) as client:
        yield client
