"""The dashboard in this process, and the events of its streams."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from builds_async import RateBudget, RetryPolicy
from builds_async.dashboard import server as dashboard
from builds_async.dashboard import workers
from builds_async.simulator import BuildsSimulator
from tests.support import tasks


@asynccontextmanager
async def serving(
    sim: BuildsSimulator, token: str | None = None, *, port: int = 0, writes: bool = False
) -> AsyncIterator[str]:
    """Serve the dashboard of an account; the context is its address."""
    async with sim.client(budget=RateBudget(limit=1_000_000), retry=RetryPolicy(attempts=1)) as client:
        board = dashboard.Dashboard(client, await workers(client, []), joining=True, writes=writes)
        async with dashboard.serving(board, "127.0.0.1", port, token) as url:
            watch = asyncio.create_task(board.watch())
            yield url
            watch.cancel()
            await asyncio.wait({watch})


class Event(NamedTuple):
    name: str
    data: Any
    id: str | None


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The complete events of a response."""
    fields: dict[str, str] = {}
    try:
        async for line in response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
                fields = {}
    except aiohttp.ClientPayloadError:
        return  # cut


async def log_events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a log, without those about the state of its build."""
    async for event in events(response):
        if event.name != "build":
            yield event


async def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def is_following() -> bool:
    return any("LogBroadcast" in repr(task) for task in tasks())


def states(event: Event) -> dict[str, str | None]:
    return {row["worker"]: row.get("state") for row in event.data["workers"]}


async def loaded(told: AsyncIterator[Event]) -> dict[str, str | None]:
    """The states of all Workers, once each was looked up."""
    known: dict[str, str | None] = {}
    while not known or "loading" in known.values():
        known |= states(await anext(told))
    return known


async def read_log(http: aiohttp.ClientSession, url: str, last: str | None = None) -> list[Event]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with http.get(url, headers=headers) as response:
        return [event async for event in log_events(response)]


def texts(read: list[Event]) -> list[str]:
    return [text for event in read if event.name == "lines" for _, text in event.data["lines"]]
