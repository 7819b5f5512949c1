"""Retrying and canceling builds: permissions and behavior."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from builds_async import BuildOutcome, BuildStatus
from builds_async.simulator import BuildsSimulator, Fault
from tests.dashboard.pages import END, click, text
from tests.dashboard.support import events, eventually, serving
from tests.support.browser import Browser


@pytest.fixture
async def writable(sim: BuildsSimulator) -> AsyncIterator[str]:
    """The address of a dashboard that may change builds."""
    async with serving(sim, writes=True) as url:
        yield url


def writes(sim: BuildsSimulator) -> list[str]:
    """The requests that changed something."""
    return [f"{it.method} {it.path.rsplit('/', 1)[1]}" for it in sim.requests if it.method != "GET"]


async def key(http: aiohttp.ClientSession, url: str, build_uuid: str) -> str:
    """The key that the page gets with a build."""
    async with http.get(f"{url}logs/{build_uuid}") as response:
        event: Any = await anext(events(response))
        return str(event.data["csrf"])


PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}


@pytest.mark.parametrize(
    ("headers", "has_key", "status"),
    [
        pytest.param(PAGE, True, 200, id="the page"),
        pytest.param({"Origin": "own"}, True, 200, id="the page in an older browser"),
        pytest.param(PAGE, False, 403, id="the page without the key"),
        pytest.param({}, True, 403, id="no browser"),
        pytest.param({"Sec-Fetch-Site": "none"}, True, 403, id="the address bar"),
        pytest.param(
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, True, 403, id="another site"
        ),
        pytest.param({"Sec-Fetch-Site": "same-site"}, True, 403, id="another port"),
        pytest.param({"Origin": "https://evil.example"}, True, 403, id="another origin"),
        pytest.param({"Origin": "null"}, True, 403, id="no origin"),
        pytest.param({**PAGE, "Host": "evil.example"}, True, 421, id="a name that was pointed here"),
    ],
)
@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_only_the_page_changes_builds(  # noqa: PLR0917  # a table with its fixtures
    sim: BuildsSimulator,
    writable: str,
    http: aiohttp.ClientSession,
    action: str,
    headers: dict[str, str],
    has_key: bool,
    status: int,
) -> None:
    """Only a POST from the page with the server's key changes a build; nothing else reaches the API."""
    build = sim.add_build(external_script_id=sim.workers["shop"])
    if has_key:
        headers = {**headers, "X-CSRF-Token": await key(http, writable, build.build_uuid)}
    if headers.get("Origin") == "own":
        headers = {**headers, "Origin": writable.rstrip("/")}
    async with http.post(f"{writable}builds/{build.build_uuid}/{action}", headers=headers) as response:
        assert response.status == status
    assert bool(writes(sim)) == (status == 200)


@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_get_changes_nothing(writable: str, http: aiohttp.ClientSession, action: str) -> None:
    """A link can't change a build."""
    async with http.get(f"{writable}builds/x/{action}") as response:
        assert response.status == 405


@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_read_only_server_changes_nothing(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, action: str
) -> None:
    """A read-only server issues no key and accepts none."""
    build = sim.add_build()
    headers = {**PAGE, "X-CSRF-Token": "None"}
    async with http.post(f"{url}builds/{build.build_uuid}/{action}", headers=headers) as response:
        assert response.status == 403
        assert "only reads" in await response.text()
    assert await key(http, url, build.build_uuid) == "None"
    assert writes(sim) == []


async def test_second_request_is_refused(
    sim: BuildsSimulator, writable: str, http: aiohttp.ClientSession
) -> None:
    """A second request during the first one is refused, and only one build is started."""
    build = sim.add_finished_build(external_script_id=sim.workers["shop"])
    headers = {**PAGE, "X-CSRF-Token": await key(http, writable, build.build_uuid)}
    address = f"{writable}builds/{build.build_uuid}/retry"

    async def post() -> int:
        async with http.post(address, headers=headers) as response:
            return response.status

    assert sorted(await asyncio.gather(post(), post())) == [200, 409]
    assert writes(sim) == ["POST builds"]


@pytest.mark.parametrize(
    ("build_uuid", "fault", "status", "words"),
    [
        pytest.param(None, Fault("server_error", method="PUT", times=None), 502, "502", id="outage"),
        pytest.param("00000000-0000-0000-0000-000000000000", None, 404, "404", id="unknown build"),
        pytest.param("..", None, 404, "", id="no id"),
    ],
)
async def test_refusals_are_forwarded(  # noqa: PLR0917  # a table with its fixtures
    sim: BuildsSimulator,
    writable: str,
    http: aiohttp.ClientSession,
    build_uuid: str | None,
    fault: Fault | None,
    status: int,
    words: str,
) -> None:
    """A refusal of the API is returned with its reason."""
    build = sim.add_build()
    headers = {**PAGE, "X-CSRF-Token": await key(http, writable, build.build_uuid)}
    if fault:
        sim.fault(fault)
    address = f"{writable}builds/{build_uuid or build.build_uuid}/cancel"
    async with http.post(address, headers=headers) as response:
        assert response.status == status
        assert words in await response.text()


@pytest.mark.slow
async def test_retry(sim: BuildsSimulator, writable: str, browser: Browser) -> None:
    """Retry asks for confirmation; "no" changes nothing, and "yes" starts and opens a new build."""
    build = sim.add_finished_build(3, BuildOutcome.FAIL, external_script_id=sim.workers["shop"])
    page = await browser.open(f"{writable}#build={build.build_uuid}")
    await page.until(END, "End of the log: fail")
    await page.evaluate(click("#retry"))
    await page.until(text("#confirm-title"), "Retry this build?")
    assert str(await page.evaluate(text("#confirm-what"))).startswith("shop · main · ")
    await page.evaluate(click("#confirm-no"))
    await page.until("document.querySelector('dialog').open", expected=False)
    assert writes(sim) == []
    await page.evaluate(click("#retry"))
    await page.evaluate(click("#confirm-yes"))
    await page.until(text("#log-state"), "queued")
    assert writes(sim) == ["POST builds"]
    assert build.build_uuid not in await page.evaluate("location.hash")
    assert page.troubles == []


@pytest.mark.slow
async def test_cancel(sim: BuildsSimulator, writable: str, browser: Browser) -> None:
    """Cancel asks for confirmation; Escape changes nothing, and "yes" cancels the build."""
    build = sim.add_build(external_script_id=sim.workers["shop"])
    build.emit("one")
    page = await browser.open(f"{writable}#build={build.build_uuid}")
    await page.until(text("#log-state"), "running")
    assert await page.evaluate("document.querySelector('#retry').hidden")
    await page.evaluate(click("#cancel"))
    await page.until(text("#confirm-title"), "Cancel this build?")
    for kind in ("keyDown", "keyUp"):
        await page.call("Input.dispatchKeyEvent", type=kind, key="Escape", windowsVirtualKeyCode=27)
    await page.until("document.querySelector('dialog').open", expected=False)
    assert build.status == BuildStatus.RUNNING
    assert not await page.evaluate("document.querySelector('#panel').hidden")
    await page.evaluate(click("#cancel"))
    await page.evaluate(click("#confirm-yes"))
    await page.until(END, "End of the log: cancelled")
    await eventually(lambda: writes(sim) == ["PUT cancel"])
    await page.until("document.querySelector('#cancel').hidden")


@pytest.mark.slow
async def test_problem_of_an_action(sim: BuildsSimulator, writable: str, browser: Browser) -> None:
    """A failed action is shown in the page, which continues."""
    build = sim.add_build(external_script_id=sim.workers["shop"])
    page = await browser.open(f"{writable}#build={build.build_uuid}")
    await page.until(text("#log-state"), "queued")
    sim.fault(Fault("server_error", method="PUT", times=None))
    await page.evaluate(click("#cancel"))
    await page.evaluate(click("#confirm-yes"))
    await page.until(text("#log-problem") + "?.startsWith('Not done: PUT ')")


@pytest.mark.slow
async def test_read_only_page_has_no_buttons(sim: BuildsSimulator, url: str, browser: Browser) -> None:
    """On a read-only server, the page has no buttons for actions."""
    build = sim.add_finished_build(external_script_id=sim.workers["shop"])
    page = await browser.open(f"{url}#build={build.build_uuid}")
    await page.until(END, "End of the log: success")
    for button in ("#retry", "#cancel"):
        assert await page.evaluate(f"document.querySelector('{button}').hidden")
