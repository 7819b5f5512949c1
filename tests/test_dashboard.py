"""The dashboard example against a simulated account, first without a browser, then in one."""

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest

from builds_async import BuildOutcome, BuildsClient, BuildStatus, RateBudget, RetryPolicy
from builds_async.simulator import BuildsSimulator, Fault
from examples.dashboard import app as dashboard
from tests.support import nothing_left, tasks
from tests.support.browser import CHROMIUM, Browser, Page, chromium, connected

APP = Path(dashboard.__file__ or "")
HARM = "<script>document.title='harm'</script><img src=x onerror=\"document.title='harm'\">"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INTERVAL", "POLL_INTERVAL", "RETRY"):
        monkeypatch.setattr(dashboard, name, 0.02)
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)


@pytest.fixture(autouse=True)
def _no_tracebacks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever connections do, the server has nothing to complain of."""
    yield
    assert [it for it in caplog.get_records("call") if it.levelno >= logging.ERROR] == []


@pytest.fixture
async def sim() -> AsyncIterator[BuildsSimulator]:
    """An account with the Workers `blog` and `shop`."""
    async with BuildsSimulator(rate_limit=None, page_size=3) as sim:
        for name in ("blog", "shop"):
            sim.add_worker(name)
        yield sim


@asynccontextmanager
async def serving(sim: BuildsSimulator) -> AsyncIterator[str]:
    async with BuildsClient(
        account_id=sim.account_id,
        api_token=sim.api_token,
        base_url=sim.url,
        budget=RateBudget(limit=1_000_000),
        retry=RetryPolicy(attempts=1),
    ) as client:
        board = dashboard.Dashboard(client, await dashboard.workers(client, []))
        async with dashboard.serving(board, "127.0.0.1", 0) as url:
            watch = asyncio.create_task(board.watch())
            yield url
            watch.cancel()
            await asyncio.wait({watch})


@pytest.fixture
async def url(sim: BuildsSimulator) -> AsyncIterator[str]:
    async with serving(sim) as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http:
        yield http


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Texts that the server breaks off at, in the middle of the event that has them, once each."""
    texts: list[bytes] = []
    write = dashboard.EventStream.write

    async def write_or_cut(stream: dashboard.EventStream, data: bytes) -> None:
        if text := next((it for it in texts if it in data), None):
            texts.remove(text)
            await write(stream, data[: data.index(text)])
            assert stream._req is not None
            assert stream._req.transport is not None
            stream._req.transport.close()
        await write(stream, data)

    monkeypatch.setattr(dashboard.EventStream, "write", write_or_cut)
    return texts


class Event(NamedTuple):
    name: str
    data: Any
    id: str | None


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The whole events of an answer."""
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


async def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def is_following() -> bool:
    return any("LogBroadcast" in repr(task) for task in tasks())


def states(event: Event) -> dict[str, str | None]:
    return {row["worker"]: row.get("state") for row in event.data["workers"]}


async def read_log(http: aiohttp.ClientSession, url: str, last: str | None = None) -> list[Event]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with http.get(url, headers=headers) as response:
        return [event async for event in events(response)]


def texts(read: list[Event]) -> list[str]:
    return [text for event in read if event.name == "lines" for _, text in event.data]


# --- Without a browser


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
    """What changes while a browser takes nothing in is told to it once, as it then is."""
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


@pytest.mark.parametrize(
    "path", ["", "app.js", "style.css", "icon.svg", "workers", "logs/x", "app.py", "nothing"]
)
async def test_headers(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, path: str) -> None:
    """Every answer forbids foreign code and storing; none has the token."""
    async with http.get(url + path) as response:
        assert response.status == (404 if path in {"app.py", "nothing"} else 200)
        assert dashboard.HEADERS.items() <= dict(response.headers).items()
        assert "'unsafe-" not in response.headers["Content-Security-Policy"]
        body = await response.content.readany()
        assert sim.api_token.encode() not in body


FOREIGN = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "another port of this host": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    "another origin": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
}
OWN = {
    "no browser": {},
    "the page": {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    "the address bar": {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        *(pytest.param(headers, 403, id=name) for name, headers in FOREIGN.items()),
        *(pytest.param(headers, 200, id=name) for name, headers in OWN.items()),
    ],
)
@pytest.mark.parametrize("path", ["", "workers"])
async def test_foreign_pages_load_nothing(
    path: str, headers: dict[str, str], status: int, url: str, http: aiohttp.ClientSession
) -> None:
    """What a page of somebody else asks for is refused before it costs a call of the user's."""
    async with http.get(url + path, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize(("path", "status"), [("", 200), ("workers", 403), ("logs/x", 403)])
async def test_other_sites_may_link_to_the_page_alone(
    path: str, status: int, url: str, http: aiohttp.ClientSession
) -> None:
    """A link from elsewhere opens the page; followed to a stream it would cost calls, and is refused."""
    async with http.get(url + path, headers=LINK) as response:
        assert response.status == status


@pytest.mark.parametrize(("path", "status"), [("", 200), ("app.js", 200), ("workers", 405), ("logs/x", 405)])
async def test_head_has_no_body(path: str, status: int, url: str, http: aiohttp.ClientSession) -> None:
    """HEAD tells of a file; a stream is not begun for it."""
    async with http.head(url + path) as response:
        assert (response.status, await response.read()) == (status, b"")


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


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8642", 200),
        ("localhost:80", 200),
        ("[::1]:8642", 200),
        ("rebound.example", 421),
        ("127.0.0.1.rebound.example:8642", 421),
        ("localhost.rebound.example", 421),
        ("", 421),
    ],
)
@pytest.mark.parametrize("path", ["", "workers"])
async def test_host_names_of_others_are_refused(
    url: str, http: aiohttp.ClientSession, path: str, host: str, status: int
) -> None:
    """A name that somebody has pointed at this address gets nothing."""
    async with http.get(url + path, headers={"Host": host}) as response:
        assert response.status == status


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


async def test_shutdown_leaves_nothing(sim: BuildsSimulator) -> None:
    """The server ends at once, with all that are connected."""
    build = sim.add_build(external_script_id=sim.workers["shop"])
    build.emit("one")
    async with nothing_left(), aiohttp.ClientSession() as http:
        async with serving(sim) as url:
            log, table = await http.get(f"{url}logs/{build.build_uuid}"), await http.get(url + "workers")
            assert texts([await anext(events(log))]) == ["one"]
            assert states(await anext(events(table))).keys() == {"blog", "shop"}
            began = time.monotonic()
        assert time.monotonic() - began < 0.9  # no stream was waited for
        log.close()
        table.close()


@asynccontextmanager
async def process(
    sim: BuildsSimulator, *arguments: str, token: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, str(APP), "--port", "0", *arguments),
        env={
            "CLOUDFLARE_BASE_URL": sim.url,
            "CLOUDFLARE_ACCOUNT_ID": sim.account_id,
            "CLOUDFLARE_API_TOKEN": token,
            "PYTHONPATH": str(APP.parents[2]),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@pytest.mark.slow
async def test_command_until_ctrl_c(sim: BuildsSimulator, http: aiohttp.ClientSession) -> None:
    """As a command it says where it is, and ends on Ctrl-C without a word, whoever is connected."""
    async with process(sim, token=sim.api_token) as command:
        assert command.stdout is not None
        said = (await command.stdout.readline()).decode()
        assert said.startswith("2 Workers at http://127.0.0.1:")
        async with http.get(said.split()[3] + "workers") as response:
            assert states(await anext(events(response))).keys() == {"blog", "shop"}
            command.send_signal(signal.SIGINT)
            assert await command.communicate() == (b"", b"")
        assert command.returncode == 0


async def test_command_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account without Workers is said to be one."""
    async with BuildsSimulator() as sim:
        for name, value in {
            "ACCOUNT_ID": sim.account_id,
            "API_TOKEN": sim.api_token,
            "BASE_URL": sim.url,
        }.items():
            monkeypatch.setenv(f"CLOUDFLARE_{name}", value)
        with pytest.raises(SystemExit, match="the account has no Workers"):
            await dashboard.serve([], "127.0.0.1", 0)


@pytest.mark.slow
@pytest.mark.parametrize("by_name", [True, False])
async def test_command_with_a_wrong_token(sim: BuildsSimulator, by_name: bool) -> None:
    """Wrong credentials are one line, whether they show at first or when it runs."""
    worker = "shop" if by_name else sim.workers["shop"]
    async with process(sim, worker, token="wrong") as command:
        _, errors = await command.communicate()
        assert command.returncode == 1
        assert errors.count(b"\n") == 1
        assert errors.startswith(b"dashboard: GET /")


# --- In a browser


@pytest.fixture(scope="session")
def devtools() -> Iterator[str]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH")
    with chromium() as address:
        yield address


@pytest.fixture
async def browser(devtools: str, url: str) -> AsyncIterator[Browser]:  # noqa: ARG001  # leaves before the server
    async with connected(devtools) as browser:
        yield browser


TABLE = """[...document.querySelectorAll("tbody tr")].map(row =>
    [...row.querySelectorAll(".worker, .state, .branch, .message")].map(it => it.textContent))"""
NONE = "\N{EN DASH}"
LINES = """[...document.querySelectorAll("#log .text")].map(it => it.textContent)"""
END = """document.querySelector("#log-end").textContent"""


def row(worker: str, state: str, branch: str = "main", message: str = "Update the Worker") -> list[str]:
    return [worker, state, branch, message]


@pytest.mark.slow
async def test_table_changes_by_itself_in_all_browsers(
    sim: BuildsSimulator, url: str, browser: Browser
) -> None:
    """Statuses change without a reload; who comes later sees how things are; both go on."""
    first = await browser.open(url)
    blog, shop = row("blog", "no build", NONE, ""), row("shop", "no build", NONE, "")
    await first.until(TABLE, [blog, shop])
    build = sim.add_build(external_script_id=sim.workers["shop"])
    await first.until(TABLE, [blog, row("shop", "queued")])
    build.set_status(BuildStatus.RUNNING)
    await first.until(TABLE, [blog, row("shop", "running")])
    second = await browser.open(url)
    await second.until(TABLE, [blog, row("shop", "running")])
    build.finish(BuildOutcome.FAIL)
    for page in (first, second):
        await page.until(TABLE, [blog, row("shop", "fail")])
        await page.until("document.title", "(1 failed) Workers Builds")
        assert page.troubles == []


@pytest.mark.slow
async def test_log_is_shown_live(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A click opens the log; its lines come as they are written, to its end."""
    build = sim.add_build(external_script_id=sim.workers["shop"])
    page = await browser.open(url)
    await page.until("document.querySelectorAll('a.open:not([hidden])').length", 1)
    await page.evaluate("document.querySelector('a.open:not([hidden])').click()")
    await page.until("document.querySelector('#log-name').textContent", "shop")
    written = []
    for number in range(5):
        written += [f"line {number}", "the same", "the same"]
        build.emit(*written[-3:])
        await page.until(LINES, written)
    build.finish()
    await page.until(END, "End of the log: success")
    await page.until("document.querySelector('#log-state').textContent", "success")
    await page.until("stream.readyState === EventSource.CLOSED")
    await page.evaluate("document.querySelector('#close').click()")
    await page.until("document.querySelector('#panel').hidden")
    assert page.troubles == []


@pytest.mark.slow
async def test_log_goes_on_after_cuts(
    sim: BuildsSimulator, url: str, browser: Browser, cuts: list[bytes]
) -> None:
    """Connections cut in the middle of an event: every line once, in order, without a reload."""
    build = sim.add_build(external_script_id=sim.workers["shop"])
    page = await browser.open(f"{url}#{build.build_uuid}")
    await page.until(TABLE + "[1]", row("shop", "queued"))
    cuts += [b"line 2", b"line 5", b'"running"', b"line 14", b"complete"]
    written = []
    for number in range(20):
        written.append(f"line {number}")
        build.emit(written[-1])
        if number % 4 == 0:
            await page.until(LINES, written)
    build.finish()
    await page.until(END, "End of the log: success")
    await page.until(TABLE + "[1]", row("shop", "success"))
    assert await page.evaluate(LINES) == written
    assert cuts == []


@pytest.mark.slow
async def test_markup_is_text(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """Whatever a log, branch or message holds, it shows as text, and nothing runs or is loaded."""
    coloured = f"\x1b[31m{HARM}\x1b[0m \x1b]8;;javascript:harm()\x07link\x1b]8;;\x07\a\u202e\tend\r"
    build = sim.add_finished_build(
        [coloured], external_script_id=sim.workers["shop"], branch=HARM, commit_message=HARM
    )
    page = await browser.open(f"{url}#{build.build_uuid}")
    await page.until(TABLE + "[1]", row("shop", "success", HARM, HARM))
    await page.until(LINES, [f"{HARM} link\\u0007\\u202e\tend"])
    await page.until(END, "End of the log: success")
    assert await page.evaluate("document.querySelectorAll('img').length + document.scripts.length") == 1
    assert await page.evaluate("document.title") == "Workers Builds"
    assert page.troubles == []
    assert await refused(page, f"document.body.innerHTML = {HARM!r}")
    assert await refused(page, "eval('1')")


async def refused(page: Page, code: str) -> bool:
    """Whether the page's policy would keep even its own code from this."""
    return bool(await page.evaluate(f"(() => {{ try {{ {code} }} catch {{ return true }} }})()"))


@pytest.mark.slow
async def test_log_follows_its_end_unless_scrolled_up(
    sim: BuildsSimulator, url: str, browser: Browser
) -> None:
    """New lines stay in view; who has scrolled up is left there, and gets back by a button."""
    at_end = "Math.round(log.scrollHeight - log.scrollTop - log.clientHeight) <= 1"
    build = sim.add_build(external_script_id=sim.workers["shop"])
    build.emit(*map(str, range(100)))
    page = await browser.open(f"{url}#{build.build_uuid}")
    await page.until(LINES + ".length", 100)
    await page.until(at_end)
    await page.evaluate("log.scrollTop = 100")
    await page.until("!document.querySelector('#newest').hidden")
    build.emit("more")
    await page.until(LINES + ".length", 101)
    assert await page.evaluate("log.scrollTop") == 100
    await page.evaluate("document.querySelector('#newest').click()")
    await page.until(at_end)
    await page.until("document.querySelector('#newest').hidden")
    build.emit("still more")
    build.finish()
    await page.until(END, "End of the log: success")
    await page.until(at_end)


@pytest.mark.slow
async def test_hidden_page_asks_for_nothing(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A log that is open in a hidden page rests, and goes on where it was when the page is seen again."""
    build = sim.add_build(external_script_id=sim.workers["shop"])
    build.emit("one")
    page = await browser.open(f"{url}#{build.build_uuid}")
    await page.until(LINES, ["one"])

    async def turn(*, hidden: bool) -> None:
        value = json.dumps(hidden)
        await page.evaluate(
            f"Object.defineProperty(document, 'hidden', {{ value: {value}, configurable: true }});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

    await turn(hidden=True)
    assert await page.evaluate("stream.readyState === EventSource.CLOSED")
    await eventually(lambda: not is_following())
    build.emit("two")
    await turn(hidden=False)
    await page.until(LINES, ["one", "two"])


@pytest.mark.slow
async def test_problems_are_shown(
    sim: BuildsSimulator, url: str, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of the API are plain lines in the page, for as long as they last."""
    monkeypatch.setattr(dashboard, "HEARTBEAT", 0.02)
    sim.fault(Fault("server_error", path="/latest", times=None))
    page = await browser.open(url + "#00000000-0000-0000-0000-000000000000")
    problem = "document.querySelector('#problem').textContent"
    await page.until(problem + ".startsWith('2 of 2 Workers could not be checked: GET ')")
    await page.until("document.querySelector('#log-problem').textContent.startsWith('GET ')")
    sim.clear_faults()
    await page.until(problem, "")
