"""Lists of Workers, and an account with some of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from builds_async import BuildsClient
from builds_async.simulator import BuildsSimulator, VirtualClock
from tests.support.bodies import envelope

SCRIPTS = "/workers/scripts"


def script(name: str, tag: str | None) -> dict[str, Any]:
    return {"id": name, "tag": tag, "created_on": "2026-01-25T18:00:10.112994Z", "tags": None}


def listing(**names: str | None) -> Any:
    return envelope([script(name.replace("_", "-"), tag) for name, tag in names.items()])


@asynccontextmanager
async def simulated() -> AsyncIterator[tuple[BuildsSimulator, BuildsClient]]:
    sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
    async with sim, sim.client() as client:
        yield sim, client
