"""The stream of the table of Workers."""

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from builds_async import BuildOutcome, BuildStatus
from builds_async.dashboard import server as dashboard
from builds_async.dashboard.event_stream import EventStream
from builds_async.simulator import BuildsSimulator
from tests.dashboard.support import (
    events,
    eventually,
    loaded,
    log_events,
    serving,
    states,
    texts,
)
from tests.support import nothing_left


async def test_table_is_sent_whole_and_then_by_changes(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """All Workers are sent first, as loading, then only changes; a new browser gets the present states."""
    async with http.get(url + "workers") as response:
        assert response.content_type == "text/event-stream"
        told = events(response)
        assert await loaded(told) == {"blog": None, "shop": None}
        build = sim.add_build(
            external_script_id=sim.workers["shop"], branch="main", commit_message="Sell", commit_hash="c0ffee"
        )
        (row,) = (await anext(told)).data["workers"]
        assert row.pop("since").endswith("Z")
        assert row.pop("began").endswith("Z")
        assert row == {
            "tag": sim.workers["shop"],
            "worker": "shop",
            "build": build.build_uuid,
            "state": "queued",
            "branch": "main",
            "commit": "c0ffee",
            "message": "Sell",
            "author": "octocat",
            "seconds": None,
        }
        build.finish(BuildOutcome.FAIL)
        assert states(await anext(told)) == {"shop": "fail"}
    async with http.get(url + "workers") as response:
        assert states(await anext(events(response))) == {"blog": None, "shop": "fail"}


async def test_older_build_is_not_shown(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession) -> None:
    """A row shows the newest build of its Worker, whichever build ends last."""
    tag = sim.workers["shop"]
    async with http.get(url + "workers") as response:
        told = events(response)
        await loaded(told)
        old = sim.add_build(external_script_id=tag)
        assert states(await anext(told)) == {"shop": "queued"}
        new = sim.add_build(external_script_id=tag)
        new.set_status(BuildStatus.RUNNING)
        while (row := (await anext(told)).data["workers"][0])["build"] != new.build_uuid:
            pass
        old.finish(BuildOutcome.CANCELLED)
        new.finish()
        while (row := (await anext(told)).data["workers"][0])["state"] != "success":
            assert row["build"] == new.build_uuid
        assert row["build"] == new.build_uuid


@pytest.mark.slow
async def test_slow_browser_skips_states(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow browser gets the present state once, not each change that it missed."""
    send, gate, waiting = EventStream.send, asyncio.Event(), asyncio.Event()

    async def send_slowly(stream: EventStream, event: str, data: object) -> None:
        waiting.set()
        await gate.wait()
        await send(stream, event, data)

    monkeypatch.setattr(EventStream, "send", send_slowly)
    async with http.get(url + "workers") as response:
        await waiting.wait()
        for _ in range(5):
            build = sim.add_build(external_script_id=sim.workers["shop"])
            for state in (BuildStatus.QUEUED, BuildStatus.RUNNING):
                build.set_status(state)
                seen = len(sim.requests)
                await eventually(lambda seen=seen: len(sim.requests) > seen + 2)  # type: ignore[misc]
        gate.set()
        told = events(response)
        first = states(await anext(told))
        assert first.keys() == {"blog", "shop"}
        assert first | states(await anext(told)) == {"blog": None, "shop": "running"}


async def test_streams_are_bounded(
    sim: BuildsSimulator, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream above the limit is refused, and can connect when another one ends."""
    monkeypatch.setattr(dashboard, "STREAMS", 2)
    async with serving(sim) as url:
        first, second, third = [await http.get(f"{url}workers") for _ in range(3)]
        assert [it.status for it in (first, second, third)] == [200, 200, 503]
        first.close()

        async def is_open() -> bool:
            async with http.get(f"{url}workers") as response:
                return response.status == 200

        while not await is_open():
            await asyncio.sleep(0.01)
        second.close()


async def test_shutdown_leaves_nothing(sim: BuildsSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server stops at once with open connections, and leaves nothing behind."""

    class Patient(web.AppRunner):
        """A runner that waits ten minutes for streams that the dashboard does not end."""

        def __init__(self, app: web.Application, **options: Any) -> None:
            super().__init__(app, **{**options, "shutdown_timeout": 600.0})

    monkeypatch.setattr(web, "AppRunner", Patient)
    build = sim.add_build(external_script_id=sim.workers["shop"])
    build.emit("one")
    async with nothing_left(), aiohttp.ClientSession() as http:
        async with serving(sim) as url:
            log, table = await http.get(f"{url}logs/{build.build_uuid}"), await http.get(url + "workers")
            assert texts([await anext(log_events(log))]) == ["one"]
            assert states(await anext(events(table))).keys() == {"blog", "shop"}
        log.close()
        table.close()
