"""A build in a browser: facts, reason, steps, colors and links, with hostile input, too."""

import json

import pytest

from builds_async import BuildOutcome, BuildStatus
from builds_async.simulator import Behaviour, BuildsSimulator
from tests.dashboard.pages import END, LINES, click, href, refused, text
from tests.dashboard.support import serving
from tests.support.browser import Browser, Page

HARM = (
    "<script>document.title='harm'</script><img src=x onerror=\"document.title='harm'\">\"' onclick=\"harm()"
)
SCRIPT = "javascript:document.title='harm'"
HASH = "c0ffee" * 6 + "abcd"
FAILED = [
    "Cloning repository...",
    "Installing project dependencies: npm clean-install",
    *(f"npm warn {number}" for number in range(100)),
    "Executing user build command: npm run build",
    "\x1b[31mError:\x1b[0m no such module",
    "Failed: error occurred while running build command",
]
STEPS = "[...document.querySelectorAll('#steps li')].map(it => it.textContent.split(' ')[0])"
TARGET = "document.querySelector('.line.target .text')?.textContent ?? null"


@pytest.mark.slow
async def test_facts(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """The pane shows the Worker, outcome, duration, branch, commit, message and author of the build."""
    build = sim.add_finished_build(
        3,
        duration=75.0,
        external_script_id=sim.workers["shop"],
        branch="next",
        commit_message="Sell more\n\nDetails",
        commit_hash=HASH,
        author="octo",
    )
    page = await browser.open(f"{url}#build={build.build_uuid}")
    await page.until(END, "End of the log: success")
    shown = {name: await page.evaluate(text(f"#log-{name}")) for name in ("name", "state", "took", "branch")}
    assert shown == {"name": "shop", "state": "success", "took": "took 1 min 15 s", "branch": "next"}
    assert await page.evaluate(text("#log-message")) == "Sell more"
    assert await page.evaluate(text("#log-author")) == "by octo"
    assert await page.evaluate(text("#log-commit")) == HASH[:7]
    assert page.troubles == []


@pytest.mark.slow
async def test_links_of_a_build(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """The commit, the preview and Cloudflare's page are links that reveal nothing about this page."""
    build = sim.add_finished_build(
        3,
        external_script_id=sim.workers["shop"],
        commit_hash=HASH,
        preview_url="https://abc-shop.octo.workers.dev",
    )
    page = await browser.open(f"{url}#build={build.build_uuid}")
    await page.until(href("#preview"), "https://abc-shop.octo.workers.dev")
    await page.until(href("#cloudflare") + f"?.endsWith('/shop/production/builds/{build.build_uuid}')")
    commit = str(await page.evaluate(href("#log-commit")))
    assert commit.startswith("https://github.com/")
    assert commit.endswith(f"/commit/{HASH}")
    apart = "['#log-commit', '#preview', '#cloudflare'].map(it => document.querySelector(it)).every(it =>"
    assert await page.evaluate(apart + " it.rel === 'noopener noreferrer' && it.target === '_blank')")


@pytest.mark.slow
async def test_reason_links_to_its_line(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A failed build shows its reason on top, with a jump to its line, even into a folded step."""
    build = sim.add_finished_build(FAILED, BuildOutcome.FAIL, external_script_id=sim.workers["shop"])
    page = await browser.open(f"{url}#build={build.build_uuid}")
    await page.until(text("#reason-text"), "Error: no such module")
    assert await page.evaluate(text("#reason-line")) == "Line 104"
    await page.until(END, "End of the log: fail")
    await page.evaluate(click("[data-step=build] button"))
    await page.until(LINES + ".includes('Error: no such module')", expected=False)
    await page.evaluate(click("#reason-line"))
    await page.until(TARGET, "Error: no such module")


@pytest.mark.slow
async def test_success_has_no_reason(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A build that did not fail shows no reason, even if its log has errors."""
    build = sim.add_finished_build(["Error: ignored"], external_script_id=sim.workers["shop"])
    page = await browser.open(f"{url}#build={build.build_uuid}")
    await page.until(END, "End of the log: success")
    assert await page.evaluate("document.querySelector('#reason').hidden")


@pytest.mark.slow
async def test_steps_have_times_and_fold(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """Each step has its duration, and its row folds and unfolds only its own lines."""
    build = sim.add_finished_build(
        FAILED, BuildOutcome.FAIL, duration=104.0, external_script_id=sim.workers["shop"]
    )
    page = await browser.open(f"{url}#build={build.build_uuid}")
    await page.until(END, "End of the log: fail")
    await page.until(STEPS, ["initialize", "clone", "install", "build"])
    times = await page.evaluate("[...document.querySelectorAll('#steps li')].map(it => it.textContent)")
    assert all(it.endswith((" s", " min")) for it in times), times
    outcomes = "[...document.querySelectorAll('#steps li')].map(it => it.dataset.outcome)"
    assert await page.evaluate(outcomes) == ["success", "success", "success", "fail"]
    await page.evaluate("document.querySelector('#log').scrollTop = 0")
    await page.until("document.querySelector('[data-step=install] .size')?.textContent", "101 lines")
    await page.evaluate(click("[data-step=install] button"))
    folded = ["Cloning repository...", *FAILED[-3:-2], "Error: no such module", FAILED[-1]]
    await page.until(LINES, folded)
    assert await page.evaluate("document.activeElement.ariaExpanded") == "false"
    await page.evaluate("document.activeElement.click()")
    await page.until(LINES + ".includes('npm warn 0')")


@pytest.mark.slow
async def test_colors(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """Colors, bold and reset sequences of a terminal are rendered, and all other sequences are removed."""
    build = sim.add_finished_build(
        [
            "\x1b[31mred\x1b[39m \x1b[1mbold\x1b[22m \x1b[38;5;21mindexed\x1b[0m \x1b[38;2;9;0;9mtrue\x1b[m",
            "\x1b[48;5;226mground\x1b[0m\x1b[38:2::1:2:3mcolons\x1b[0m\x1b[7minverse\x1b[27m",
            "\x1b[2K\x1b[1A\x1b]0;title\x07\x1b(B\x1b[?25l\x1b[99;99;99mtext\x1b[38;5m\x1b[38;2;999;0;0m",
            "10%\r20%\r100%\r",
        ],
        external_script_id=sim.workers["shop"],
    )
    page = await browser.open(f"{url}#build={build.build_uuid}")
    await page.until(LINES, ["red bold indexed true", "groundcolonsinverse", "text", "100%"])
    styled = "[...document.querySelectorAll('.text span')].map(it => it.textContent)"
    assert await page.evaluate(styled) == [
        *("red", "bold", "indexed", "true", "ground", "colons", "inverse"),
    ]
    weight = "getComputedStyle([...document.querySelectorAll('.text span')][1]).fontWeight"
    assert await page.evaluate(weight) == "700"
    assert page.troubles == []


CONTRASTS = """(() => {
    const luminance = color => {
        const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(it => it / 255)
            .map(it => it <= 0.03928 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = element => {
        const color = getComputedStyle(element).backgroundColor;
        return color === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : color;
    };
    return [...document.querySelectorAll(".text span")].map(it => {
        const [a, b] = [luminance(getComputedStyle(it).color), luminance(ground(it))].sort((x, y) => x - y);
        return [it.textContent, (b + 0.05) / (a + 0.05)];
    }).filter(([, contrast]) => contrast < 4.5);
})()"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_colors_are_readable(sim: BuildsSimulator, url: str, browser: Browser, scheme: str) -> None:
    """Every color has readable contrast, on the page and on another color."""
    lines = [
        "".join(f"\x1b[38;5;{color}m{color}\x1b[0m " for color in range(at, at + 64))
        for at in (0, 64, 128, 192)
    ]
    lines += [
        "".join(f"\x1b[{color};{ground}m{color} on {ground}\x1b[0m " for color in (30, 34, 37, 90, 97))
        for ground in (*range(40, 48), *range(100, 108))
    ]
    lines.append(
        "\x1b[7minverse\x1b[0m\x1b[7;33myellow inverse\x1b[0m\x1b[2mdim\x1b[0m\x1b[41mground alone\x1b[0m"
    )
    build = sim.add_finished_build(lines, external_script_id=sim.workers["shop"])
    page = await browser.open("about:blank")
    await page.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    await page.call(
        "Emulation.setDeviceMetricsOverride", width=1200, height=1200, deviceScaleFactor=1, mobile=False
    )
    await page.call("Page.navigate", url=f"{url}#build={build.build_uuid}")
    await page.until("document.querySelector('#log-end')?.textContent ?? ''", "End of the log: success")
    assert await page.evaluate("document.querySelectorAll('.text span').length") == 256 + 80 + 4
    assert await page.evaluate(CONTRASTS) == []


TRICKS = {
    "markup": HARM,
    "a script's address": SCRIPT,
    "a link of a terminal": f"\x1b]8;;{SCRIPT}\x07link\x1b]8;;\x07",
    "colors around markup": f"\x1b[31m{HARM}\x1b[0m",
    "a color that is no number": '\x1b[38;2;1;2;3);background:url("//evil.example")mx',
    "an unfinished sequence": "\x1b]0;title",
    "text from right to left": "user\u202eexe.txt\u2066a\u2069",
    "characters without width": "pay\u200bpal\ufeff\u00ad\U000e0041",
    "bells and backspaces": "a\x07\x08\x00\x9b31m",
}
SHOWN = {
    "a link of a terminal": "link",
    "colors around markup": HARM,
    "a color that is no number": '\\u001b[38;2;1;2;3);background:url("//evil.example")mx',
    "an unfinished sequence": "\\u001b]0;title",
    "text from right to left": "user\\u202eexe.txt\\u2066a\\u2069",
    "characters without width": "pay\\u200bpal\\ufeff\\u00ad\\u{e0041}",
    "bells and backspaces": "a\\u0007\\u0008\\u0000\\u009b31m",
}


@pytest.mark.slow
@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS.keys())
async def test_fields_are_never_executed(sim: BuildsSimulator, browser: Browser, trick: str) -> None:
    """All fields and lines of a build are shown as text: nothing runs, loads or is hidden."""
    shown = SHOWN.get(next(name for name, it in TRICKS.items() if it == trick), trick)
    connection = next(iter(sim._account.connections.values()))
    connection.repo_name = connection.provider_account_name = trick
    build = sim.add_finished_build(
        [trick, f"Error: {trick}"],
        BuildOutcome.FAIL,
        external_script_id=sim.add_worker(trick),
        branch=trick,
        commit_message=trick,
        commit_hash=trick,
        author=trick,
        preview_url=trick,
        pull_request_url=trick,
    )
    async with serving(sim) as url:
        page = await browser.open(f"{url}#build={build.build_uuid}")
        await page.until(END, "End of the log: fail")
        assert await page.evaluate(LINES) == [shown, f"Error: {shown}"]
        assert await page.evaluate(text("#log-name")) == shown
        assert await page.evaluate(text("#log-branch")) == shown
        assert str(await page.evaluate(text("#reason-text"))).startswith("Error: ")
        assert await page.evaluate(text("#log-message")) == shown
        assert await page.evaluate(text("#log-author")) == f"by {shown}"
        assert await page.evaluate("document.querySelector('#log-commit').href") == ""
        assert await page.evaluate("document.querySelector('#preview').hidden")
        assert await is_harmless(page)


async def is_harmless(page: Page) -> bool:
    """Whether the page has no foreign elements, scripts, handlers, addresses or loads."""
    links = await page.evaluate("[...document.querySelectorAll('[href]')].map(it => it.getAttribute('href'))")
    assert not [it for it in links if "script:" in it.lower() or "evil" in it], links
    assert page.troubles == []
    assert (
        await page.evaluate(
            "document.querySelectorAll('img, iframe, object').length + document.scripts.length"
        )
        == 1
    )
    title: str = await page.evaluate("document.title")
    return "harm" not in title


@pytest.mark.slow
async def test_hostile_fragments_are_text(url: str, browser: Browser) -> None:
    """A forged address is shown as text at most, and the policy blocks even the page's own mistakes."""
    page = await browser.open(f"{url}#build={HARM}&line={SCRIPT}")
    await page.until("document.querySelector('#try-again').hidden", expected=False)
    assert await page.evaluate(text("#log-name")) == "Build <script>"
    assert await page.evaluate("document.querySelectorAll('img').length + document.scripts.length") == 1
    assert await refused(page, f"document.body.innerHTML = {json.dumps(HARM)}")
    assert await refused(page, "eval('1')")


@pytest.mark.slow
async def test_unknown_status(browser: Browser) -> None:
    """An unknown status is shown unchanged."""
    behaviour = Behaviour(status_words={"running": "reticulating"})
    async with BuildsSimulator(rate_limit=None, behaviour=behaviour) as sim:
        build = sim.add_build(external_script_id=sim.add_worker("shop"))
        build.set_status(BuildStatus.RUNNING)
        async with serving(sim) as url:
            page = await browser.open(f"{url}#build={build.build_uuid}")
            await page.until(text("#log-state"), "reticulating")


@pytest.mark.slow
async def test_page_checks_links_itself(url: str, browser: Browser) -> None:
    """The page makes no link of an invalid address, even if the server sends one."""
    page = await browser.open(url)
    for address in (SCRIPT, "data:text/html,x", "http://shop.example", "//shop.example", "", None, 1):
        linked = (
            f"import('./dom.js').then(it => it.link('#preview', {json.dumps(address)}).hasAttribute('href'))"
        )
        assert not await page.evaluate(linked), address
