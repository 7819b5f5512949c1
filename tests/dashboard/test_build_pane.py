"""The build of the dashboard without a browser: its stream, its raw log and its links."""

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from builds_async import BuildOutcome, BuildStatus, LogLine, LogSubscription
from builds_async.dashboard import event_stream
from builds_async.simulator import BuildsSimulator, Fault
from tests.dashboard.support import (
    Event,
    events,
    eventually,
    is_following,
    log_events,
    read_log,
    serving,
    texts,
)


@pytest.mark.slow
async def test_log_resumes_after_each_event(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """The log can resume after every event by its id, in a header or in the address."""
    lines = [f"line {number}" for number in range(10)]
    build = sim.add_finished_build(lines, BuildOutcome.FAIL, external_script_id=sim.workers["blog"])
    address = f"{url}logs/{build.build_uuid}"
    whole = await read_log(http, address)
    assert texts(whole) == lines
    assert len(whole) > 3
    assert whole[-1] == Event("end", {"state": "fail", "complete": True, "lines": 10}, None)
    for number, event in enumerate(whole[:-1], 1):
        assert event.id is not None
        assert await read_log(http, address, event.id) == whole[number:]
        async with http.get(address, params={"after": event.id}) as response:
            assert [event async for event in log_events(response)] == whole[number:]
        # A browser that reconnects requests the same address, so the header is newer.
        assert await read_log(http, f"{address}?after={quote(whole[0].id or '')}", event.id) == whole[number:]


async def test_cut_in_the_middle_of_an_event(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, cuts: list[bytes]
) -> None:
    """An event that was cut is sent again completely."""
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
    """An invalid position is 400, after which EventSource gives up."""
    build = sim.add_finished_build()
    async with http.get(f"{url}logs/{build.build_uuid}", headers={"Last-Event-ID": last}) as response:
        assert response.status == 400


@pytest.mark.slow
async def test_quiet_log_has_heartbeats(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While no line arrives, comments are sent, and the waiting read continues."""
    monkeypatch.setattr(event_stream, "HEARTBEAT", 0.02)
    build = sim.add_build()
    async with http.get(f"{url}logs/{build.build_uuid}") as response:
        assert await response.content.readuntil(b"\n\n") == b"retry: 20\n\n"
        while await response.content.readuntil(b"\n\n") != b":\n\n":
            pass
        build.emit("one")
        build.finish()
        assert [event.name async for event in log_events(response)] == ["lines", "end"]


async def test_no_requests_after_the_browser_has_left(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """When the browser disconnects, its follower ends."""
    build = sim.add_build()
    build.emit("one")
    async with http.get(f"{url}logs/{build.build_uuid}") as response:
        assert texts([await anext(log_events(response))]) == ["one"]
        await eventually(is_following)
    await eventually(lambda: not is_following())


async def test_temporary_and_permanent_errors(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """The log continues after a temporary error, and ends with a permanent one."""
    build = sim.add_finished_build(["one"])
    sim.fault(Fault("server_error", path="/logs"))
    problem, *_, lines, end = await read_log(http, f"{url}logs/{build.build_uuid}")
    assert (problem.name, lines.name, end.name) == ("problem", "lines", "end")
    assert "502" in problem.data
    (failed,) = await read_log(http, f"{url}logs/00000000-0000-0000-0000-000000000000")
    assert (failed.name, failed.data["kind"]) == ("failed", "missing")


async def told(http: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    """The facts of a build at the end of its log."""
    async with http.get(address) as response:
        facts: list[dict[str, Any]] = [it.data async for it in events(response) if it.name == "build"]
        return facts[-1]


LOG = [
    "Cloning repository...",
    "Installing project dependencies: npm clean-install",
    "Executing user build command: npm run build",
    "\x1b[31mError:\x1b[0m no such module",
    "at main.ts:1",
    "Failed: error occurred while running build command",
]


async def test_steps_and_reason_have_their_lines(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """A failed build has its steps and its reason with their lines."""
    shop = sim.workers["shop"]
    build = sim.add_finished_build(LOG, BuildOutcome.FAIL, external_script_id=shop, author="octo")
    it = await told(http, f"{url}logs/{build.build_uuid}")
    steps = [(step["name"], step["line"], step["outcome"]) for step in it["steps"] if step["line"]]
    assert steps == [
        ("clone", 1, "success"),
        ("install", 2, "success"),
        ("build", 3, "fail"),
    ]
    assert it["reason"] == {"text": "Error: no such module", "line": 4}
    assert (it["worker"], it["state"], it["stopped"], it["author"]) == ("shop", "fail", True, "octo")
    assert it["csrf"] is None


async def test_quiet_build_reports_its_changes(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """A build without lines is sent again when its state changes."""
    build = sim.add_build()
    async with http.get(f"{url}logs/{build.build_uuid}") as response:
        news = events(response)
        assert (await anext(news)).data["state"] == "queued"
        build.set_status(BuildStatus.RUNNING)
        while (event := await anext(news)).data["state"] == "queued":
            pass
        assert event.data["state"] == "running"


@pytest.mark.slow
async def test_hundred_viewers_cost_the_requests_of_one(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred browsers get a whole build, including its links, for the requests of one."""
    lines = [f"line {number}" for number in range(30)]
    costs = []
    for viewers in (1, 100):
        build = sim.add_finished_build(lines, external_script_id=sim.workers["shop"])
        with monkeypatch.context() as patch:
            all_read_at_once(patch, viewers)
            address = f"{url}logs/{build.build_uuid}"
            for read in await asyncio.gather(*(read_log(http, address) for _ in range(viewers))):
                assert texts(read) == lines
        links = await asyncio.gather(
            *(links_of(http, f"{url}builds/{build.build_uuid}/links") for _ in range(viewers))
        )
        assert all(it == links[0] and it["dashboard_url"] for it in links)
        costs.append([seen.path.count("/logs") for seen in sim.requests if build.build_uuid in seen.path])
    assert costs[0] == costs[1]
    assert sum(costs[1]) == 11  # pages of three lines, and the empty last page


def all_read_at_once(patch: pytest.MonkeyPatch, viewers: int) -> None:
    """Delay all reads of the log until all viewers are there."""
    read, here, complete = LogSubscription.read, set[int](), asyncio.Event()

    async def read_together(subscription: LogSubscription) -> tuple[LogLine, ...]:
        here.add(id(subscription))
        if len(here) == viewers:
            complete.set()
        await complete.wait()
        return await read(subscription)

    patch.setattr(LogSubscription, "read", read_together)


async def links_of(http: aiohttp.ClientSession, address: str) -> dict[str, str | None]:
    async with http.get(address) as response:
        links: dict[str, str | None] = await response.json()
        return links


async def raw(http: aiohttp.ClientSession, address: str) -> tuple[int, str]:
    async with http.get(f"{address}/raw") as response:
        return response.status, await response.text()


async def test_raw_log(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession) -> None:
    """The raw log has every line as written, even while the build is running."""
    build = sim.add_build()
    build.emit("\x1b[31mone\x1b[0m", "", "<b>")
    async with http.get(f"{url}logs/{build.build_uuid}/raw") as response:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert (
            await response.content.readexactly(len("\x1b[31mone\x1b[0m\n\n<b>\n"))
            == b"\x1b[31mone\x1b[0m\n\n<b>\n"
        )
        build.emit("two")
        build.finish()
        assert await response.text() == "two\n"


async def test_raw_log_that_fails(sim: BuildsSimulator, http: aiohttp.ClientSession) -> None:
    """An error midway is the last line of a raw log, so that it is not mistaken for complete."""
    build = sim.add_finished_build([f"line {number}" for number in range(6)])
    sim.fault(Fault("blocked", path="/logs", after=1, times=None))
    async with serving(sim) as url:
        status, body = await raw(http, f"{url}logs/{build.build_uuid}")
    assert status == 200
    assert body.startswith("line 0\nline 1\nline 2\n\nThe rest is missing: GET ")


@pytest.mark.parametrize(
    ("build_uuid", "fault", "status"),
    [
        pytest.param("00000000-0000-0000-0000-000000000000", None, 404, id="unknown build"),
        pytest.param("a%5cb", None, 400, id="no id"),
        pytest.param(None, Fault("blocked", times=None), 502, id="refused"),
    ],
)
async def test_errors_of_raw_logs(
    sim: BuildsSimulator,
    http: aiohttp.ClientSession,
    build_uuid: str | None,
    fault: Fault | None,
    status: int,
) -> None:
    """A log that can't be read at all is an HTTP error."""
    build = sim.add_finished_build()
    async with serving(sim) as url:
        if fault:
            sim.fault(fault)
        assert (await raw(http, f"{url}logs/{build_uuid or build.build_uuid}"))[0] == status


async def test_unavailable_links(sim: BuildsSimulator, http: aiohttp.ClientSession) -> None:
    """A link without permission is omitted and not requested again, and one with an outage is retried."""
    build = sim.add_finished_build(external_script_id=sim.workers["shop"])
    async with serving(sim) as url:
        address = f"{url}builds/{build.build_uuid}/links"
        sim.fault(Fault("server_error", path="/workers/scripts", times=2))
        assert (await links_of(http, address))["dashboard_url"] is None
        sim.clear_faults()
        assert (await links_of(http, address))["dashboard_url"] is not None
        other = sim.add_finished_build(external_script_id=sim.add_worker("new"))
        sim.fault(Fault("blocked", path="/workers/scripts", times=None))
        address = f"{url}builds/{other.build_uuid}/links"
        assert (await links_of(http, address))["dashboard_url"] is None
        asked = len(sim.requests)
        assert (await links_of(http, address))["dashboard_url"] is None
        assert [seen.path for seen in list(sim.requests)[asked:] if "scripts" in seen.path] == []


async def test_links_of_an_unknown_build(url: str, http: aiohttp.ClientSession) -> None:
    """The links of an unknown build are an error."""
    async with http.get(f"{url}builds/00000000-0000-0000-0000-000000000000/links") as response:
        assert response.status == 502
