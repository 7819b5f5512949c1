"""Accessibility of the page: keyboard, screen reader, phone, contrast and reduced motion."""

import re
from itertools import product

import pytest

from builds_async import BuildOutcome, BuildStatus
from builds_async.dashboard import server as dashboard
from builds_async.simulator import BuildsSimulator
from tests.dashboard.pages import END, SHOWN, click, press, text, type_into
from tests.support.browser import Browser, Page

FOCUS = "document.activeElement.ariaLabel"


@pytest.fixture
def builds(sim: BuildsSimulator) -> dict[str, str]:
    """One finished build of each Worker: `blog`'s is the newer one."""
    return {
        name: sim.add_finished_build(external_script_id=sim.workers[name], age=age).build_uuid
        for name, age in (("shop", 600.0), ("blog", 60.0))
    }


async def listed(browser: Browser, url: str) -> Page:
    page = await browser.open(url)
    await page.until(SHOWN, ["blog", "shop"])
    return page


# --- Keyboard


@pytest.mark.slow
async def test_keys_walk_through_the_list(builds: dict[str, str], url: str, browser: Browser) -> None:
    """J and k move through the rows, Enter opens one, and Escape closes it and restores the focus."""
    page = await listed(browser, url)
    for key, worker in zip("jjjkkj", ["blog", "shop", "shop", "blog", "blog", "shop"], strict=True):
        await page.evaluate(press(key))
        assert await page.evaluate(FOCUS) == f"Log of {worker}"
    for kind in ("keyDown", "keyUp"):  # a real key: Enter on a link is the browser's work
        await page.call("Input.dispatchKeyEvent", type=kind, key="Enter", text="\r", windowsVirtualKeyCode=13)
    await page.until("location.hash", f"#build={builds['shop']}")
    await page.until(END + ".length > 0")
    assert await page.evaluate("document.activeElement.id") == "log"
    await page.evaluate(press("Escape"))
    await page.until("document.querySelector('#panel').hidden")
    assert await page.evaluate(FOCUS) == "Log of shop"


@pytest.mark.slow
@pytest.mark.usefixtures("builds")
async def test_keys_are_text_in_the_search(url: str, browser: Browser) -> None:
    """In the search, j, k and / are text, and Enter focuses the first match."""
    page = await listed(browser, url)
    await page.evaluate(press("/"))
    for key in "jk/":
        assert await page.evaluate(press(key))  # not handled by the page
        assert await page.evaluate("document.activeElement.id") == "search"
    await page.evaluate(type_into("#search", "sho"))
    await page.evaluate(press("Enter"))
    assert await page.evaluate(FOCUS) == "Log of shop"


@pytest.mark.slow
async def test_hidden_row_gets_no_focus(builds: dict[str, str], url: str, browser: Browser) -> None:
    """If the row of a closed build is hidden, the search gets the focus."""
    page = await browser.open(f"{url}#build={builds['shop']}")
    await page.until(END + ".length > 0")
    await page.evaluate(type_into("#search", "blog"))
    await page.evaluate(click("#close"))
    await page.until("document.activeElement.id", "search")


# --- Phone


@pytest.mark.slow
async def test_phone_shows_one_pane_at_a_time(builds: dict[str, str], url: str, browser: Browser) -> None:
    """A tap on a row shows only the log, a button leads back, and nothing is wider than the screen."""
    page = await listed(browser, url)
    await page.call(
        "Emulation.setDeviceMetricsOverride", width=390, height=760, deviceScaleFactor=1, mobile=True
    )
    panes = "['#workers', '#panel'].map(it => document.querySelector(it).checkVisibility())"
    is_inside = "document.documentElement.scrollWidth <= innerWidth"
    await page.until(panes, [True, False])
    assert await page.evaluate(is_inside)
    await page.evaluate(click("#worker-rows .entry .status"))
    await page.until("location.hash", f"#build={builds['blog']}")
    await page.until(panes, [False, True])
    assert await page.evaluate(is_inside)
    assert (
        await page.evaluate("getComputedStyle(document.querySelector('#close'), '::before').content")
        == '"← Workers"'
    )
    await page.evaluate(click("#close"))
    await page.until(panes, [True, False])
    assert await page.evaluate(FOCUS) == "Log of blog"


@pytest.mark.slow
@pytest.mark.usefixtures("builds")
@pytest.mark.parametrize("width", [320, 390, 600, 800, 1000, 1400, 2000])
async def test_details_are_as_wide_as_the_list(url: str, browser: Browser, width: int) -> None:
    """At every width, details span all columns, and no row needs a scroll bar."""
    page = await listed(browser, url)
    await page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=760, deviceScaleFactor=1, mobile=False
    )
    await page.evaluate(click(".more"))
    await page.until("document.querySelectorAll('.detail tbody tr').length", 1)
    widths = "[...document.querySelectorAll('.entry, .detail > td, #head')].map(it => it.offsetWidth)"
    await page.until(f"new Set({widths}).size", 1)
    assert await page.evaluate("(it => it.scrollWidth <= it.clientWidth)(document.querySelector('#list'))")


# --- Screen reader


@pytest.mark.slow
async def test_changes_are_announced_politely(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """Changes of states are announced in a polite status region, and rows and lines are silent."""
    page = await browser.open(url)
    await page.until(text("#connection"), "live")
    news = "document.querySelector('#news')"
    assert await page.evaluate(f"[{news}.role, {news}.textContent]") == ["status", ""]
    build = sim.add_build(external_script_id=sim.workers["shop"])
    build.emit("a line")
    await page.until(f"{news}.textContent", "shop: running")
    build.finish(BuildOutcome.FAIL)
    await page.until(f"{news}.textContent", "shop: fail")
    loud = """[...document.querySelectorAll("[aria-live=assertive], [role=alert]")]
        .filter(it => !it.closest("#panel")).length"""
    assert await page.evaluate(loud) == 0
    assert await page.evaluate("document.querySelector('#workers [aria-live], #log').ariaLive") == "off"


@pytest.mark.slow
async def test_many_changes_are_one_announcement(url: str, browser: Browser) -> None:
    """Changes within one second are announced together, and more than three as counts."""
    page = await browser.open(url)
    await page.until(text("#connection"), "live")
    changes = [[f"worker-{number}", "fail"] for number in range(5)]
    await page.evaluate(f"import('/states.js').then(it => it.announce({changes}))")
    await page.until(text("#news"), "5 Workers have changed: 5 fail")


NAMED = """[...document.querySelectorAll("table")].map(it => it.caption.textContent)"""


@pytest.mark.slow
@pytest.mark.usefixtures("builds")
async def test_names_for_a_screen_reader(url: str, browser: Browser) -> None:
    """Tables have captions, buttons and links have names, and dots are not text."""
    page = await listed(browser, url)
    await page.evaluate(click(".more"))
    await page.until("document.querySelectorAll('.detail tbody tr').length", 1)
    assert await page.evaluate(NAMED) == [
        "The latest build of each Worker: failures first, then what is running",
        "The last builds of blog",
    ]
    nodes = (await page.call("Accessibility.getFullAXTree"))["nodes"]
    roles = {"button", "link", "searchbox", "region", "table", "columnheader", "rowheader"}
    all_of_them = [(it["role"]["value"], it["name"]["value"]) for it in nodes if "name" in it]
    found = [it for it in all_of_them if it[0] in roles]
    assert {("button", "Details of blog"), ("link", "Log of blog"), ("button", "Failed 0")} <= set(found)
    assert ("rowheader", "blog") in {(role, name.removeprefix("Details of blog ")) for role, name in found}
    assert [role for role, name in found if not name] == []
    texts = [name for role, name in all_of_them if role == "StaticText"]
    assert "success" in texts
    assert not [it for it in texts if "●" in it]


# --- Colors and motion

TOKEN = re.compile(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\);")
STYLE = (dashboard.STATIC / "style.css").read_text("utf-8")
TOKENS = {name: (light, dark) for name, light, dark in TOKEN.findall(STYLE)}
TEXT = ["text", "quiet", "accent", "good", "bad", "busy", "odd"]
GROUNDS = {
    "ground": ("ground", None, 0.0),
    "surface": ("surface", None, 0.0),
    "a changed row": ("flash", None, 0.0),
    "the open row": ("surface", "accent", 0.10),
    "the focused row": ("surface", "accent", 0.07),
    "a row under the mouse": ("surface", "text", 0.04),
}


def rgb(color: str) -> list[float]:
    return [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def luminance(color: list[float]) -> float:
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in color]
    return sum(part * it for part, it in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: list[float], other: list[float]) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def ground(name: str, scheme: int) -> list[float]:
    base, tint, share = GROUNDS[name]
    color = rgb(TOKENS[base][scheme])
    over = rgb(TOKENS[tint][scheme]) if tint else color
    return [a * (1 - share) + b * share for a, b in zip(color, over, strict=True)]


@pytest.mark.parametrize("scheme", [pytest.param(0, id="light"), pytest.param(1, id="dark")])
@pytest.mark.parametrize(("token", "on"), list(product(TEXT, GROUNDS)))
def test_text_has_contrast(token: str, on: str, scheme: int) -> None:
    """Each text color has the WCAG AA contrast of 4.5 on every background where it can appear."""
    assert contrast(rgb(TOKENS[token][scheme]), ground(on, scheme)) >= 4.5


@pytest.mark.parametrize("scheme", [pytest.param(0, id="light"), pytest.param(1, id="dark")])
def test_problem_has_contrast(scheme: int) -> None:
    """The text of a problem is readable on its red background."""
    red = [
        a * 0.9 + b * 0.1
        for a, b in zip(rgb(TOKENS["surface"][scheme]), rgb(TOKENS["bad"][scheme]), strict=True)
    ]
    assert contrast(rgb(TOKENS["text"][scheme]), red) >= 4.5


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_follows_the_color_scheme(url: str, browser: Browser, scheme: str) -> None:
    """The page is light or dark, like the system."""
    page = await browser.open(url)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    await page.call("Emulation.setEmulatedMedia", features=[feature])
    color = ", ".join(str(round(it * 255)) for it in rgb(TOKENS["ground"][scheme == "dark"]))
    await page.until("getComputedStyle(document.body).backgroundColor", f"rgb({color})")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("motion", "moves"),
    [pytest.param("no-preference", True, id="any"), pytest.param("reduce", False, id="none")],
)
async def test_reduced_motion(
    sim: BuildsSimulator, url: str, browser: Browser, motion: str, moves: bool
) -> None:
    """A running build pulses and a changed row flashes, unless the reader prefers reduced motion."""
    page = await browser.open(url)
    feature = {"name": "prefers-reduced-motion", "value": motion}
    await page.call("Emulation.setEmulatedMedia", features=[feature])
    await page.until(text("#connection"), "live")
    sim.add_build(external_script_id=sim.workers["shop"]).set_status(BuildStatus.RUNNING)
    await page.until("document.querySelectorAll('.state[data-state=running]').length", 1)
    assert await page.evaluate("document.getAnimations().length > 0") == moves
