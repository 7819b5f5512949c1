"""The dashboard in a browser."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from builds_async import BuildOutcome, BuildStatus
from builds_async.dashboard import server as dashboard
from builds_async.simulator import BuildsSimulator, Fault
from tests.dashboard.support import eventually, is_following
from tests.support.browser import BROWSERS, Browser, Page, chromium, connected
from tests.support.needs import needs_program

HARM = "<script>document.title='harm'</script><img src=x onerror=\"document.title='harm'\">"


@pytest.fixture(scope="session")
def devtools() -> Iterator[str]:
    needs_program(*BROWSERS)
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


SHOWN = """[...document.querySelectorAll("tbody tr:not([hidden]) .worker")].map(it => it.textContent)"""


def press(key: str) -> str:
    return (
        f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))"
    )


@pytest.mark.slow
async def test_search(url: str, browser: Browser) -> None:
    """`/` focuses the search, which hides other Workers; Escape shows them all again."""
    page = await browser.open(url)
    await page.until(SHOWN, ["blog", "shop"])
    await page.evaluate(press("/"))
    await page.until("document.activeElement.id", "search")
    await page.evaluate("find('#search').value = 'SHO'; find('#search').dispatchEvent(new Event('input'))")
    await page.until(SHOWN, ["shop"])
    await page.evaluate(press("Escape"))
    await page.until(SHOWN, ["blog", "shop"])
    assert page.troubles == []


@pytest.mark.slow
async def test_rows_are_one_line_high(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """However long a branch or message is, its row is as high as the others; the title has all of it."""
    sim.add_finished_build(
        external_script_id=sim.workers["shop"], branch="b-" * 100, commit_message="word " * 100
    )
    sim.add_finished_build(external_script_id=sim.workers["blog"])
    page = await browser.open(url)
    await page.until("document.querySelectorAll('a.open:not([hidden])').length", 2)
    heights = "new Set([...document.querySelectorAll('tbody tr')].map(it => it.offsetHeight)).size"
    await page.until(heights, 1)
    await page.until("document.querySelectorAll('.branch')[2].title", "b-" * 100)


@pytest.mark.slow
async def test_escape_closes_the_log(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """Escape leads from a log back to the table."""
    build = sim.add_finished_build(external_script_id=sim.workers["shop"])
    page = await browser.open(f"{url}#{build.build_uuid}")
    await page.until(END, "End of the log: success")
    await page.evaluate(press("Escape"))
    await page.until("document.querySelector('#panel').hidden")
