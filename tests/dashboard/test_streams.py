"""The streams of the dashboard: the table of Workers and the logs."""

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from builds_async import BuildOutcome, BuildStatus
from builds_async.dashboard import server as dashboard
from builds_async.simulator import BuildsSimulator, Fault
from tests.dashboard.support import Event, events, eventually, is_following, read_log, serving, states, texts
from tests.support import nothing_left


async def test_table_is_told_first_whole_then_by_changes(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """All Workers first, also those never built, then only who changes; a newcomer gets the present."""
    async with http.get(url + "workers") as response:
        assert response.content_type == "text/event-stream"
        told = events(response)
        assert states(await anext(told)) == {"blog": None, "shop": None}
        build = sim.add_build(
            external_script_id=sim.workers["shop"], branch="main", commit_message="Sell", commit_hash="c0ffee"
        )
        (row,) = (await anext(told)).data["workers"]
        assert row.pop("since").endswith("Z")
        assert row == {
            "tag": sim.workers["shop"],
            "worker": "shop",
            "build": build.build_uuid,
            "state": "queued",
            "branch": "main",
            "commit": "c0ffee",
            "message": "Sell",
        }
        build.finish(BuildOutcome.FAIL)
        assert states(await anext(told)) == {"shop": "fail"}
    async with http.get(url + "workers") as response:
        assert states(await anext(events(response))) == {"blog": None, "shop": "fail"}


async def test_older_build_that_ends_later_is_not_shown(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """A row is the newest build of its Worker, whichever ends last."""
    tag = sim.workers["shop"]
    async with http.get(url + "workers") as response:
        told = events(response)
        await anext(told)
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
    """A browser that was slow gets the present state once, not each change that it missed."""
    send, gate, waiting = dashboard.EventStream.send, asyncio.Event(), asyncio.Event()

    async def send_slowly(stream: dashboard.EventStream, event: str, data: object) -> None:
        waiting.set()
        await gate.wait()
        await send(stream, event, data)

    monkeypatch.setattr(dashboard.EventStream, "send", send_slowly)
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
        assert states(await anext(told)) == {"blog": None, "shop": None}
        assert states(await anext(told)) == {"shop": "running"}


@pytest.mark.slow
async def test_log_goes_on_behind_each_event(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """From every event of a log the rest can be had by its id, in a header or in the address."""
    lines = [f"line {number}" for number in range(10)]
    build = sim.add_finished_build(lines, BuildOutcome.FAIL, external_script_id=sim.workers["blog"])
    address = f"{url}logs/{build.build_uuid}"
    whole = await read_log(http, address)
    assert texts(whole) == lines
    assert len(whole) > 3
    assert whole[-1] == Event("end", {"state": "fail", "complete": True}, None)
    for number, event in enumerate(whole[:-1], 1):
        assert event.id is not None
        assert await read_log(http, address, event.id) == whole[number:]
        async with http.get(address, params={"after": event.id}) as response:
            assert [event async for event in events(response)] == whole[number:]
        # A browser that connects again asks for the same address: the header is newer.
        assert await read_log(http, f"{address}?after={quote(whole[0].id or '')}", event.id) == whole[number:]


async def test_cut_in_the_middle_of_an_event(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, cuts: list[bytes]
) -> None:
    """An event that did not arrive whole comes again whole."""
    lines = [f"line {number}" for number in range(10)]
    build = sim.add_finished_build(lines)
    cuts += [b"line 4", b"line 9", b"complete"]
    read: list[Event] = []
    while not read or read[-1].name != "end":
        read += await read_log(http, f"{url}logs/{build.build_uuid}", read[-1].id if read else None)
    assert cuts == []
    assert texts(read) == lines


@pytest.mark.parametrize("last", ["x", "[]", '{"offset":-1}', '{"offset":"0"}'])
async def test_bad_position_is_refused(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, last: str
) -> None:
    """What is no position is 400; EventSource then gives up."""
    build = sim.add_finished_build()
    async with http.get(f"{url}logs/{build.build_uuid}", headers={"Last-Event-ID": last}) as response:
        assert response.status == 400


@pytest.mark.slow
async def test_errors_are_told(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes is a problem, after which the log goes on; what stays ends it. The table has a line too."""
    monkeypatch.setattr(dashboard, "HEARTBEAT", 0.02)
    build = sim.add_finished_build(["one"])
    sim.fault(Fault("server_error", path="/logs"))
    problem, lines, end = await read_log(http, f"{url}logs/{build.build_uuid}")
    assert (problem.name, lines.name, end.name) == ("problem", "lines", "end")
    assert "502" in problem.data
    (failed,) = await read_log(http, f"{url}logs/00000000-0000-0000-0000-000000000000")
    assert failed.name == "failed"
    sim.fault(Fault("server_error", path="/latest", times=None))
    async with http.get(url + "workers") as response:
        told = events(response)
        while not (problem := await anext(told)).data["problem"]:
            pass
        assert problem.data["problem"].startswith("2 of 2 Workers could not be checked: GET /")
        sim.clear_faults()
        while (await anext(told)).data["problem"]:
            pass


async def test_streams_are_bounded(
    sim: BuildsSimulator, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stream too many is refused, and has its place when another ends."""
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


@pytest.mark.slow
async def test_quiet_log_beats(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing comes, comments are sent; the read that waits goes on."""
    monkeypatch.setattr(dashboard, "HEARTBEAT", 0.02)
    build = sim.add_build()
    async with http.get(f"{url}logs/{build.build_uuid}") as response:
        assert await response.content.readuntil(b"\n\n") == b"retry: 20\n\n"
        assert await response.content.readuntil(b"\n\n") == b":\n\n"
        build.emit("one")
        build.finish()
        assert [event.name async for event in events(response)] == ["lines", "end"]


async def test_nothing_is_asked_for_who_has_left(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """With the browser its follower goes."""
    build = sim.add_build()
    build.emit("one")
    async with http.get(f"{url}logs/{build.build_uuid}") as response:
        assert texts([await anext(events(response))]) == ["one"]
        await eventually(is_following)
    await eventually(lambda: not is_following())


async def test_browsers_share_a_log(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession) -> None:
    """Many browsers that look at one log cost the requests of one, and each gets all of it."""
    build = sim.add_build()
    build.emit("one")
    address = f"{url}logs/{build.build_uuid}"
    readers = [asyncio.create_task(read_log(http, address)) for _ in range(20)]
    await eventually(lambda: sum(seen.path.endswith("/logs") for seen in sim.requests) > 2)
    build.emit("two")
    build.finish()
    read = await asyncio.gather(*readers)
    assert {tuple(texts(it)) for it in read} == {("one", "two")}
    cursors = [seen.query for seen in sim.requests if seen.path.endswith("/logs")]
    assert cursors.count(cursors[0]) == 1


async def test_shutdown_leaves_nothing(sim: BuildsSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends at once, with all that are connected."""

    class Patient(web.AppRunner):
        """One that waits ten minutes for the streams that the dashboard does not end by itself."""

        def __init__(self, app: web.Application, **options: Any) -> None:
            super().__init__(app, **{**options, "shutdown_timeout": 600.0})

    monkeypatch.setattr(web, "AppRunner", Patient)
    build = sim.add_build(external_script_id=sim.workers["shop"])
    build.emit("one")
    async with nothing_left(), aiohttp.ClientSession() as http:
        async with serving(sim) as url:
            log, table = await http.get(f"{url}logs/{build.build_uuid}"), await http.get(url + "workers")
            assert texts([await anext(events(log))]) == ["one"]
            assert states(await anext(events(table))).keys() == {"blog", "shop"}
        log.close()
        table.close()
