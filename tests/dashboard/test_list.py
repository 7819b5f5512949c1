"""The list of Workers in a browser."""

import asyncio
import json

import pytest

from builds_async import BuildOutcome, BuildStatus
from builds_async.simulator import BuildsSimulator, Fault
from tests.dashboard.pages import NONE, ROWS, SHOWN, TABLE, click, press, row, text, type_into
from tests.dashboard.support import serving
from tests.support.browser import Browser

pytestmark = pytest.mark.slow


async def test_list_updates_in_all_browsers(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """States change without a reload in all browsers, including one that was opened later."""
    first = await browser.open(url)
    blog, shop = row("blog", "no build", NONE, ""), row("shop", "no build", NONE, "")
    await first.until(TABLE, [blog, shop])
    build = sim.add_build(external_script_id=sim.workers["shop"])
    await first.until(TABLE, [row("shop", "queued"), blog])
    build.set_status(BuildStatus.RUNNING)
    await first.until(TABLE, [row("shop", "running"), blog])
    second = await browser.open(url)
    await second.until(TABLE, [row("shop", "running"), blog])
    build.finish(BuildOutcome.FAIL)
    for page in (first, second):
        await page.until(TABLE, [row("shop", "fail"), blog])
        await page.until("document.title", "(1 failed) Workers Builds")
        assert page.troubles == []


def add(sim: BuildsSimulator, name: str, outcome: BuildOutcome, age: float) -> None:
    tag = sim.workers.get(name) or sim.add_worker(name)
    sim.add_finished_build(external_script_id=tag, outcome=outcome, age=age)


@pytest.fixture
def crowd(sim: BuildsSimulator) -> None:
    """More Workers, with builds of every kind."""
    add(sim, "old-fail", BuildOutcome.FAIL, 9000)
    add(sim, "new-fail", BuildOutcome.TERMINATED, 900)
    add(sim, "good", BuildOutcome.SUCCESS, 60)
    add(sim, "off", BuildOutcome.CANCELLED, 30)
    sim.add_build(external_script_id=sim.add_worker("busy")).set_status(BuildStatus.RUNNING)


@pytest.mark.usefixtures("crowd")
async def test_failures_come_first(url: str, browser: Browser) -> None:
    """Failures come first, then running builds, then others, newest first, then Workers without builds."""
    page = await browser.open(url)
    await page.until(SHOWN, ["new-fail", "old-fail", "busy", "off", "good", "blog", "shop"])


async def test_search(url: str, browser: Browser) -> None:
    """`/` focuses the search, which hides other Workers, and Escape shows them again."""
    page = await browser.open(url)
    await page.until(SHOWN, ["blog", "shop"])
    await page.evaluate(press("/"))
    await page.until("document.activeElement.id", "search")
    await page.evaluate(type_into("#search", "SHO"))
    await page.until(SHOWN, ["shop"])
    await page.evaluate(press("Escape"))
    await page.until(SHOWN, ["blog", "shop"])
    assert page.troubles == []


async def test_rows_are_one_line_high(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A long branch or message does not make its row higher, and the title has the whole text."""
    sim.add_finished_build(
        external_script_id=sim.workers["shop"], branch="b-" * 100, commit_message="word " * 100
    )
    sim.add_finished_build(external_script_id=sim.workers["blog"])
    page = await browser.open(url)
    await page.until("document.querySelectorAll('a.open:not([hidden])').length", 2)
    await page.until(f"new Set([...{ROWS}].map(it => it.offsetHeight)).size", 1)
    titles = await page.evaluate(f"[...{ROWS}].map(it => it.querySelector('.branch').title)")
    assert "b-" * 100 in titles


async def test_worker_is_loading_until_its_lookup(
    sim: BuildsSimulator, browser: Browser, look_ups: asyncio.Event
) -> None:
    """Before its lookup, a Worker is loading, not "no build", and the page shows the progress."""
    look_ups.clear()
    async with serving(sim) as url:
        page = await browser.open(url)
        await page.until(TABLE, [row("blog", "loading", NONE, ""), row("shop", "loading", NONE, "")])
        assert await page.evaluate(text("#connection")) == "loading 0 of 2 …"
        assert await page.evaluate("document.querySelector('#workers').ariaBusy") == "true"
        look_ups.set()
        await page.until(TABLE, [row("blog", "no build", NONE, ""), row("shop", "no build", NONE, "")])
        await page.until(text("#connection"), "live")
        assert await page.evaluate("document.querySelector('#workers').ariaBusy") == "false"


FILTERS = """[...document.querySelectorAll("#filters button")].map(it => [it.textContent, it.ariaPressed])"""


@pytest.mark.usefixtures("crowd")
async def test_counts_filter(url: str, browser: Browser) -> None:
    """Each count is a toggle button that shows only its Workers, and the search narrows them."""
    page = await browser.open(url)
    counts = ["All 7", "Failed 2", "Running 1", "Succeeded 1", "Other 3"]
    await page.until(FILTERS, [[it, str(it == "All 7").lower()] for it in counts])
    await page.evaluate(click("#filters [data-group=failed]"))
    await page.until(SHOWN, ["new-fail", "old-fail"])
    assert await page.evaluate(FILTERS) == [[it, str(it == "Failed 2").lower()] for it in counts]
    await page.evaluate(type_into("#search", "old"))
    await page.until(SHOWN, ["old-fail"])
    await page.evaluate(type_into("#search", "nothing"))
    await page.until(SHOWN, [])
    assert await page.evaluate(text("#empty-words")) == "No Worker matches."
    await page.evaluate(click("#show-all"))
    await page.until(SHOWN + ".length", 7)


CELLS = f"""[...{ROWS}].map(row => ["duration", "age"].map(it => row.querySelector("." + it).textContent))"""


async def test_times_tick(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A running build shows its elapsed time, a finished one its duration and age; titles are exact."""
    sim.add_finished_build(external_script_id=sim.workers["blog"], age=7200)
    running = sim.add_build(external_script_id=sim.workers["shop"])
    running.set_status(BuildStatus.RUNNING)
    page = await browser.open(url)
    await page.until(SHOWN, ["shop", "blog"])
    await page.evaluate("const real = Date.now; Date.now = () => real() + 3 * 60000")
    await page.until(f"{CELLS}[0][0].startsWith('3 min ')")
    (_, begun), (duration, age) = await page.evaluate(CELLS)
    assert (begun, duration, age) == ("3 min ago", "1 min 0 s", "2 h ago")
    titles = await page.evaluate(f"[...{ROWS}].map(row => row.querySelector('time').title)")
    assert all(":" in title and "20" in title for title in titles)


REQUESTS = """performance.getEntriesByType("resource").map(it => it.name.split("/").slice(3).join("/"))
    .filter(it => it.startsWith("workers/"))"""

DETAILS = """[...document.querySelectorAll(".detail tbody tr")].map(row =>
    [...row.querySelectorAll(".state, .branch, .message, .author, .badge:not([hidden])")]
        .map(it => it.textContent))"""


async def test_details_are_requested_when_opened(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """The button of a row shows or hides the live version and the last builds, which link to their logs."""
    tag = sim.workers["shop"]
    sim.add_finished_build(external_script_id=tag, age=600, commit_message="Sell")
    failed = sim.add_finished_build(
        external_script_id=tag, outcome=BuildOutcome.FAIL, age=60, branch="next", commit_message="Break"
    )
    page = await browser.open(url)
    await page.until(SHOWN, ["shop", "blog"])
    assert await page.evaluate(REQUESTS) == []
    await page.evaluate(click(".more"))
    await page.until(
        DETAILS, [["fail", "next", "Break", "octocat"], ["success", "live", "main", "Sell", "octocat"]]
    )
    assert await page.evaluate("document.querySelector('.more').ariaExpanded") == "true"
    assert sorted(await page.evaluate(REQUESTS)) == [f"workers/{tag}/builds", f"workers/{tag}/live"]
    live = await page.evaluate(text(".detail .live"))
    assert live.startswith("Live since ")
    assert "main" in live
    assert live.endswith("Sell")
    await page.evaluate(click(".detail a.open"))
    await page.until("location.hash", f"#build={failed.build_uuid}")
    await page.evaluate(click(".more"))
    await page.until("document.querySelector('.detail')", None)


async def test_open_details_follow_their_worker(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A new build appears in open details, which move with their row."""
    tag = sim.workers["shop"]
    sim.add_finished_build(external_script_id=tag, age=600)
    page = await browser.open(url)
    await page.until(SHOWN, ["shop", "blog"])
    await page.evaluate(click(".more"))
    await page.until(DETAILS + ".length", 1)
    sim.add_finished_build(external_script_id=sim.workers["blog"], outcome=BuildOutcome.FAIL, age=6)
    await page.until(SHOWN, ["blog", "shop"])
    sim.add_build(external_script_id=tag)
    await page.until(DETAILS + ".map(it => it[0])", ["queued", "success"])
    rows = "[...document.querySelector('#worker-rows').rows].map(it => it.className.split(' ')[0])"
    assert await page.evaluate(rows) == ["entry", "entry", "detail"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        pytest.param("deploy", "deployed by hand, not by a build", id="by hand"),
        pytest.param("change_secret", "made by a changed secret", id="a secret"),
    ],
)
async def test_live_version_without_a_build(
    sim: BuildsSimulator, url: str, browser: Browser, how: str, words: str
) -> None:
    """A live version without a build is shown with the reason."""
    sim.add_finished_build(external_script_id=sim.workers["shop"], age=600)
    getattr(sim, how)(sim.workers["shop"])
    page = await browser.open(url)
    await page.until(SHOWN, ["shop", "blog"])
    await page.evaluate(click(".more"))
    await page.until(text(".detail .live") + f".endsWith({json.dumps(words)})")


async def test_failed_lookup_in_the_details(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A failed lookup is a line in the details, and the other one is still shown."""
    sim.add_finished_build(external_script_id=sim.workers["shop"])
    sim.fault(Fault("server_error", path="/deployments", times=None))
    page = await browser.open(url)
    await page.until(SHOWN, ["shop", "blog"])
    await page.evaluate(click(".more"))
    await page.until(text(".detail .live") + ".startsWith('What is live is not known: GET /')")
    await page.until(DETAILS + ".length", 1)


HARM = "<img src=x onerror=\"document.title='harm'\"><script>document.title='harm'<!--"


async def test_markup_in_any_field_is_text(browser: Browser) -> None:
    """Markup in the name of a Worker or in any field of a build is shown as text, and nothing runs."""
    async with BuildsSimulator(rate_limit=None) as sim:
        tag = sim.add_worker(HARM)
        sim.add_finished_build(
            external_script_id=tag, branch=HARM, commit_hash=HARM, commit_message=HARM, author=HARM
        )
        async with serving(sim) as url:
            page = await browser.open(url)
            await page.until(TABLE, [row(HARM, "success", HARM, HARM)])
            await page.evaluate(click(".more"))
            await page.until(DETAILS + ".map(it => it.slice(-3))", [[HARM, HARM, HARM]])
            await page.until("document.querySelector('.detail .live').textContent.includes('<img')")
            assert await page.evaluate("document.querySelector('#worker-rows .worker').title") == HARM
            assert await page.evaluate("document.querySelectorAll('img, script').length") == 1
            assert await page.evaluate("document.title") == "Workers Builds"
            assert page.troubles == []


async def test_control_characters_are_visible(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """Characters that hide or reverse text are shown as codes."""
    sim.add_finished_build(
        external_script_id=sim.workers["shop"], branch="a\u202eb", commit_message="c\x1b[31md"
    )
    page = await browser.open(url)
    await page.until(TABLE + "[0]", row("shop", "success", "a\\u202eb", "cd"))


WATCHED = """
    globalThis.touched = new Set();
    new MutationObserver(them => {
      for (const {target, addedNodes} of them)
        for (const node of [target, ...addedNodes]) {
          const row = (node.closest ? node : node.parentElement)?.closest("#worker-rows > tr");
          if (row) touched.add(row.querySelector(".name").textContent);
        }
    }).observe(document.querySelector("#worker-rows"), {subtree: true, childList: true, characterData: true});
"""


async def test_change_touches_only_its_row(browser: Browser) -> None:
    """Among 300 Workers, a failed build changes its row, moves it to the top and touches no other."""
    async with BuildsSimulator(rate_limit=None) as sim:
        tags = [sim.add_worker(f"worker-{number:03}") for number in range(300)]
        for number, tag in enumerate(tags):
            sim.add_finished_build(external_script_id=tag, age=90000.0 + number)
        async with serving(sim) as url:
            page = await browser.open(url)
            await page.until(text("#connection"), "live")
            await page.until(SHOWN + ".length", 300)
            await page.evaluate(WATCHED)
            build = sim.add_build(external_script_id=tags[200])
            await page.until(SHOWN + "[0]", "worker-200")
            build.finish(BuildOutcome.FAIL)
            await page.until("document.title", "(1 failed) Workers Builds")
            assert await page.evaluate("[...touched]") == ["worker-200"]


async def test_moving_row_keeps_the_focus(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A focused row keeps the focus when it moves."""
    sim.add_finished_build(external_script_id=sim.workers["blog"], age=60)
    sim.add_finished_build(external_script_id=sim.workers["shop"], age=600)
    page = await browser.open(url)
    await page.until(SHOWN, ["blog", "shop"])
    await page.evaluate(f"{ROWS}[1].querySelector('a.open').focus()")
    sim.add_build(external_script_id=sim.workers["shop"])
    await page.until(SHOWN, ["shop", "blog"])
    assert await page.evaluate("document.activeElement.ariaLabel") == "Log of shop"
