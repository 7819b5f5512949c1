"""The states of the page: loading, empty, down, refused or disconnected."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from builds_async.dashboard import server as dashboard
from builds_async.dashboard.event_stream import EventStream
from builds_async.simulator import BuildsSimulator, Fault, TokenKind
from tests.dashboard.pages import NONE, ROWS, SHOWN, TABLE, row, text
from tests.dashboard.support import serving
from tests.support.browser import Browser, Page, connected

pytestmark = pytest.mark.slow

LABEL, WORDS = text("#connection"), text("#problem-words")

IS_GREEN = """(() => {
    const good = document.body.appendChild(document.createElement("i"));
    good.style.color = "var(--good)";
    const color = getComputedStyle(document.querySelector("#connection"), "::before").color;
    const isGreen = color === getComputedStyle(good).color;
    good.remove();
    return isGreen;
})()"""
"""Whether the dot of the connection has the color of success."""


@pytest.fixture
async def free_browser(devtools: str) -> AsyncIterator[Browser]:
    """A browser that does not need the server of `url`."""
    async with connected(devtools) as browser:
        yield browser


async def live(page: Page) -> None:
    await page.until(LABEL, "live")
    await page.until(WORDS, None)
    assert await page.evaluate(IS_GREEN)


async def test_empty_account(free_browser: Browser) -> None:
    """The page of an account without Workers announces that new ones will appear."""
    async with BuildsSimulator() as sim, serving(sim) as url:
        page = await free_browser.open(url)
        await page.until(
            text("#empty-words"),
            "This account has no Workers yet. A new one appears here within a minute.",
        )
        await live(page)


async def test_outage(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """During an outage, the page shows its start and the last states, not in green; then it is live again."""
    sim.add_finished_build(external_script_id=sim.workers["shop"])
    page = await browser.open(url)
    await page.until(SHOWN, ["shop", "blog"])
    await live(page)
    sim.fault(Fault("server_error", path="/latest", times=None))
    await page.until(f"/^API down since \\d\\d:\\d\\d$/.test({LABEL})")
    assert not await page.evaluate(IS_GREEN)
    assert "has not worked since" in await page.evaluate(WORDS)
    assert (await page.evaluate("document.querySelector('#problem-error').textContent")).startswith("GET /")
    assert await page.evaluate(TABLE + "[0]") == row("shop", "success")
    sim.clear_faults()
    await live(page)


async def test_some_workers_fail(
    sim: BuildsSimulator, free_browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that can't be checked are counted and underlined, and the others are live."""
    monkeypatch.setattr(dashboard, "INTERVAL", 0.5)
    tag = sim.workers["shop"]
    async with serving(sim) as url:
        page = await free_browser.open(url)
        await live(page)
        sim.fault(Fault("server_error", path=tag, times=None))
        sim.add_build(external_script_id=tag)
        await page.until(LABEL, "live, except for 1")
        assert (await page.evaluate(WORDS)).startswith("One Worker could not be checked since ")
        assert not await page.evaluate(IS_GREEN)
        unchecked = (
            f"[...{ROWS}].map(it => [it.className.includes('unchecked'), it.innerText.split('\\t')[0]])"
        )
        await page.until(unchecked, [[True, "shop"], [False, "blog"]])


async def test_token_that_expires(
    sim: BuildsSimulator, url: str, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused token is named as the cause, with the remedy, and the page recovers with the token."""
    monkeypatch.setattr("builds_async.dashboard.table.REFUSED_INTERVAL", 0.02)
    page = await browser.open(url)
    await live(page)
    sim.add_token(TokenKind.NO_PERMISSION, token=sim.api_token)
    await page.until(f"/^token refused since \\d\\d:\\d\\d$/.test({LABEL})")
    words = await page.evaluate(WORDS)
    assert "has expired, was revoked, or lacks a permission" in words
    assert "`builds-async doctor`" in words
    assert not await page.evaluate(IS_GREEN)
    sim.add_token(TokenKind.FULL, token=sim.api_token)
    await live(page)


async def test_rate_limit(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """A used-up rate limit shows the time at which the list continues."""
    page = await browser.open(url)
    await live(page)
    sim.fault(Fault("rate_limited", path="/latest", retry_after=200))
    await page.until(f"/^rate limit until \\d\\d:\\d\\d$/.test({LABEL})")
    assert "continues by itself at" in await page.evaluate(WORDS)
    assert not await page.evaluate(IS_GREEN)


async def test_server_that_stops_and_restarts(
    sim: BuildsSimulator, free_browser: Browser, unused_tcp_port: int
) -> None:
    """A lost connection is shown with its time, and the same rows continue when the server is back."""
    async with serving(sim, port=unused_tcp_port) as url:
        page = await free_browser.open(url)
        await live(page)
        await page.evaluate(f"globalThis.first = {ROWS}[0]")
    await page.until(f"/^reconnecting … lost at \\d\\d:\\d\\d$/.test({LABEL})")
    assert not await page.evaluate(IS_GREEN)
    await page.until(f"({WORDS} ?? '').startsWith('The connection to the dashboard was lost at ')")
    sim.add_build(external_script_id=sim.workers["shop"])
    async with serving(sim, port=unused_tcp_port):
        await page.until(TABLE + "[0]", row("shop", "queued"))
        await live(page)
        assert await page.evaluate("first.isConnected")


async def test_restarted_server(
    sim: BuildsSimulator, free_browser: Browser, unused_tcp_port: int, look_ups: asyncio.Event
) -> None:
    """After a restart, the page is loading, not live, and keeps the known states."""
    sim.add_finished_build(external_script_id=sim.workers["shop"])
    known = [row("shop", "success"), row("blog", "no build", NONE, "")]
    async with serving(sim, port=unused_tcp_port) as url:
        page = await free_browser.open(url)
        await page.until(TABLE, known)
        look_ups.clear()
    async with serving(sim, port=unused_tcp_port):
        await page.until(LABEL, "loading 0 of 2 …")
        assert await page.evaluate(TABLE) == known
        assert not await page.evaluate(IS_GREEN)
        look_ups.set()
        await live(page)


async def test_server_with_another_token(
    sim: BuildsSimulator, free_browser: Browser, unused_tcp_port: int
) -> None:
    """A browser that is no longer authorized shows how to get access."""
    async with serving(sim, "one", port=unused_tcp_port) as url:
        page = await free_browser.open(url)
        await live(page)
    async with serving(sim, "two", port=unused_tcp_port):
        await page.until(LABEL, "refused")
        assert await page.evaluate(WORDS) == (
            "This browser may not read the dashboard any more. "
            "Open the address that `builds-async dashboard` printed."
        )


async def test_too_many_pages(
    sim: BuildsSimulator, free_browser: Browser, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page above the limit says so, and connects when another page is closed."""
    monkeypatch.setattr(dashboard, "STREAMS", 1)
    async with serving(sim) as url:
        other = await http.get(f"{url}workers")
        page = await free_browser.open(url)
        await page.until(WORDS, "Too many pages are open: close some of them. This one continues by itself.")
        other.close()
        await page.until("dispatchEvent(new Event('online')), " + LABEL, "live")


async def test_connection_that_died_silently(
    url: str, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection without heartbeats, as after sleep, counts as lost and is renewed."""
    monkeypatch.setattr(dashboard, "HEARTBEAT", 0.1)
    page = await browser.open(url)
    await live(page)
    send, gate = EventStream.send, asyncio.Event()

    async def send_later(stream: EventStream, event: str, data: object) -> None:
        await gate.wait()
        await send(stream, event, data)

    monkeypatch.setattr(EventStream, "send", send_later)
    await page.until(f"({LABEL} ?? '').startsWith('reconnecting … lost at ')")
    gate.set()
    await live(page)
