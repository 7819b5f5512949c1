"""The server's reports about Workers: loading, and every trouble."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from builds_async.dashboard import server as dashboard
from builds_async.dashboard.table import WorkerTable
from builds_async.simulator import BuildsSimulator, Fault, TokenKind
from tests.dashboard.support import Event, events, loaded, serving, states


@pytest.fixture(autouse=True)
def _beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "HEARTBEAT", 0.02)
    monkeypatch.setattr("builds_async.dashboard.table.REFUSED_INTERVAL", 0.02)


@asynccontextmanager
async def told(http: aiohttp.ClientSession, url: str) -> AsyncIterator[AsyncIterator[Event]]:
    async with http.get(url + "workers") as response:
        yield events(response)


async def until(it: AsyncIterator[Event], condition: Callable[[Any], bool]) -> Any:
    """The first trouble, or None, that meets a condition."""
    while not condition(trouble := (await anext(it)).data["trouble"]):
        pass
    return trouble


async def test_worker_is_loading_until_its_lookup(sim: BuildsSimulator, http: aiohttp.ClientSession) -> None:
    """No Worker counts as never built before its lookup."""
    sim.fault(Fault("slow", path="/latest", delay=0.3))
    async with serving(sim) as url, told(http, url) as it:
        assert states(await anext(it)) == {"blog": "loading", "shop": "loading"}
        assert await loaded(it) == {"blog": None, "shop": None}


async def test_cancellation_at_a_change(sim: BuildsSimulator) -> None:
    """A watch that is canceled just as a change arrives ends, at whatever moment of that."""
    async with sim.client() as client:
        table = WorkerTable(client, {}, interval=60.0, beat=60.0)
        for turns in range(5):
            refreshing = asyncio.create_task(table._refresh_often())
            await asyncio.sleep(0.01)
            table._dirty.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            refreshing.cancel()
            await asyncio.wait({refreshing}, timeout=1.0)
            assert refreshing.cancelled()


async def test_failed_first_lookup(sim: BuildsSimulator, http: aiohttp.ClientSession) -> None:
    """A Worker whose first lookup fails is unknown, neither "never built" nor "loading" forever."""
    sim.fault(Fault("server_error", path="/latest", times=None))
    async with serving(sim) as url, told(http, url) as it:
        assert await loaded(it) == {"blog": "unknown", "shop": "unknown"}
        sim.clear_faults()
        known: dict[str, str | None] = {}
        while known != {"blog": None, "shop": None}:
            known |= states(await anext(it))


async def test_outage_keeps_its_start(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession) -> None:
    """An outage is `down`, keeps its start time however long it lasts, and ends by itself."""
    async with told(http, url) as it:
        await loaded(it)
        sim.fault(Fault("server_error", path="/latest", times=None))
        first = await until(it, bool)
        for _ in range(10):
            await anext(it)
        later = await until(it, bool)
        assert (first["kind"], first["count"]) == ("down", 2)
        assert first["error"].startswith("GET /")
        assert later["since"] == first["since"]
        sim.clear_faults()
        await until(it, lambda trouble: trouble is None)


async def test_partial_failure_is_no_outage(
    sim: BuildsSimulator, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If other Workers can be checked, the trouble is `partial`, without interruption while it lasts."""
    monkeypatch.setattr(dashboard, "INTERVAL", 0.5)
    tag = sim.workers["shop"]
    async with serving(sim) as url, told(http, url) as it:
        await loaded(it)
        sim.fault(Fault("server_error", path=tag, times=None))
        sim.add_build(external_script_id=tag)  # only the list shows whether there are more
        first = await until(it, bool)
        assert (first["kind"], first["count"]) == ("partial", 1)
        seen = len(sim.requests)
        while len(sim.requests) < seen + 5:
            assert {**(await anext(it)).data["trouble"], "error": first["error"]} == first


async def test_token_that_is_refused_later(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """A token that loses its permissions is `refused` until it works again, and the states are kept."""
    async with told(http, url) as it:
        await loaded(it)
        sim.add_token(TokenKind.NO_PERMISSION, token=sim.api_token)
        assert (await until(it, bool))["kind"] == "refused"
        sim.add_token(TokenKind.FULL, token=sim.api_token)
        await until(it, lambda trouble: trouble is None)
        sim.add_build(external_script_id=sim.workers["shop"])
        assert states(await changed(it)) == {"shop": "queued"}


async def changed(it: AsyncIterator[Event]) -> Event:
    while not (event := await anext(it)).data["workers"]:
        pass
    return event


async def test_firewall_is_an_outage(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession) -> None:
    """A 403 from a firewall is an outage, not a refused token."""
    async with told(http, url) as it:
        await loaded(it)
        sim.fault(Fault("blocked", path="/latest", times=None))
        assert (await until(it, bool))["kind"] == "down"
        sim.clear_faults()
        await until(it, lambda trouble: trouble is None)


async def test_rate_limit_has_an_end(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession) -> None:
    """While a 429 blocks all requests, the trouble is `limited`, with its end."""
    async with told(http, url) as it:
        await loaded(it)
        sim.fault(Fault("rate_limited", path="/latest", retry_after=200))
        trouble = await until(it, lambda trouble: trouble is not None and trouble["kind"] == "limited")
        assert trouble["since"] < trouble["until"]


async def test_new_workers_join(
    sim: BuildsSimulator, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Worker that is created later appears under its name."""
    monkeypatch.setattr("builds_async.live.account_workers.LIST_EVERY", 0.02)
    async with serving(sim) as url, told(http, url) as it:
        await loaded(it)
        sim.add_worker("late")
        assert states(await changed(it)).keys() == {"late"}


async def test_pass_without_a_change_sends_nothing(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passes that find the same builds again wake no browser."""
    for tag in sim.workers.values():
        sim.add_finished_build(external_script_id=tag)
    async with told(http, url) as it:
        while set(states(await anext(it)).values()) != {"success"}:
            pass
        monkeypatch.setattr(dashboard, "HEARTBEAT", 0.3)
        await anext(it)
        seen = len(sim.requests)
        assert states(await anext(it)) == {}
        assert len(sim.requests) > seen + 2
