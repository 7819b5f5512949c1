"""A headless Chromium, driven through its DevTools protocol. Only the browser must be installed."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
"""The browser's possible names, the preferred one first."""

CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
"""The browser's path, or None if the machine has none."""

PATIENCE = 10.0

ATTEMPTS = 2
"""On a busy machine the browser hangs at its start once in a long while."""

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the sandbox does not run as root; only test pages load
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--remote-debugging-port=0",
)


@contextmanager
def chromium() -> Iterator[str]:
    """Run the browser; the block gets the address of its DevTools."""
    for _ in range(ATTEMPTS):
        with _started() as (process, file):
            if (address := _address(file, process)) is not None:
                yield address
                return
    raise AssertionError("Chromium did not start")


@contextmanager
def _started() -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The process of the browser, and the file that will have its address."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # its last children still write
        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(  # noqa: S603  # ours
            command,
            env={**os.environ, "TMPDIR": profile},  # it leaves files there
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield process, Path(profile, "DevToolsActivePort")
            finally:
                process.terminate()


def _address(file: Path, process: "subprocess.Popen[bytes]") -> str | None:
    """The address of the browser; None if it does not start in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if file.exists() and len(lines := file.read_text("utf-8").splitlines()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.01)
    return None


class DevTools:
    """The connection to the browser: calls, and the events of each page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.troubles: dict[str, list[str]] = {}

    async def call(self, method: str, session: str | None = None, **params: object) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        await self._socket.send_json(message if session is None else message | {"sessionId": session})
        async with asyncio.timeout(PATIENCE):
            answer = await self._answers[number]
        del self._answers[number]
        assert "error" not in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result

    async def listen(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if (answer := self._answers.get(told.get("id", 0))) and not answer.done():
                answer.set_result(told)
            elif told.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}:
                self.troubles[told["sessionId"]].append(json.dumps(told["params"]))


class Page:
    """One page in its own profile, as if in another browser.

    `troubles` are the errors on its console: exceptions, policy violations and failed loads.
    """

    def __init__(self, tools: DevTools, session: str) -> None:
        self._tools = tools
        self._session = session
        self.troubles = tools.troubles.setdefault(session, [])

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        return await self._tools.call(method, self._session, **params)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript `expression`, with a promise awaited."""
        got = await self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            allowUnsafeEvalBlockedByCSP=False,  # no more is allowed than to the page itself
        )
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    async def until(self, expression: str, expected: object = True) -> None:
        """Wait until `expression` has the expected value; on a timeout, fail with its actual value."""
        deadline = time.monotonic() + PATIENCE
        while (got := await self.evaluate(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {got!r}, not {expected!r}: {self.troubles}"
            await asyncio.sleep(0.01)

    async def screenshot(self, file: Path) -> None:
        shot = await self.call("Page.captureScreenshot", format="png")
        file.write_bytes(b64decode(shot["data"]))


class Browser:
    """Opens pages."""

    def __init__(self, tools: DevTools) -> None:
        self._tools = tools

    async def open(self, url: str) -> Page:
        profile = (await self._tools.call("Target.createBrowserContext"))["browserContextId"]
        target = await self._tools.call("Target.createTarget", url="about:blank", browserContextId=profile)
        attached = await self._tools.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self._tools, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            await page.call(f"{domain}.enable")
        await page.call("Page.navigate", url=url)
        await page.until("document.readyState", "complete")
        return page


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Browser]:
    """Use a running browser; its pages are closed at the end of the block."""
    async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
        tools = DevTools(socket)
        listener = asyncio.create_task(tools.listen())
        try:
            yield Browser(tools)
            for profile in (await tools.call("Target.getBrowserContexts"))["browserContextIds"]:
                await tools.call("Target.disposeBrowserContext", browserContextId=profile)
        finally:
            listener.cancel()
            await asyncio.wait({listener})
