"""A simulated account, the dashboard that shows it, and a browser and an HTTP client."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import aiohttp
import pytest

from builds_async.dashboard import build_pane, event_stream
from builds_async.dashboard import server as dashboard
from builds_async.live.tracker import Tracker
from builds_async.simulator import BuildsSimulator
from tests.dashboard.support import serving
from tests.support.browser import BROWSERS, Browser, chromium, connected
from tests.support.needs import needs_program


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (dashboard, "INTERVAL"),
        (dashboard, "BEAT"),
        (build_pane, "POLL_INTERVAL"),
        (build_pane, "LOOK"),
        (event_stream, "RETRY"),
    ):
        monkeypatch.setattr(module, name, 0.02)
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)


@pytest.fixture(autouse=True)
def _no_tracebacks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The server logs no error, whatever connections do."""
    yield
    assert [it for it in caplog.get_records("call") if it.levelno >= logging.ERROR] == []


@pytest.fixture
async def sim() -> AsyncIterator[BuildsSimulator]:
    """An account with the Workers `blog` and `shop`."""
    async with BuildsSimulator(rate_limit=None, page_size=3) as sim:
        for name in ("blog", "shop"):
            sim.add_worker(name)
        yield sim


@pytest.fixture
async def url(sim: BuildsSimulator) -> AsyncIterator[str]:
    async with serving(sim) as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http:
        yield http


@pytest.fixture
def unused_tcp_port() -> int:
    """A port for a server that is started twice."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Texts at which the server cuts the connection, in the middle of their event, once each."""
    texts: list[bytes] = []
    write = event_stream.EventStream.write

    async def write_or_cut(stream: event_stream.EventStream, data: bytes) -> None:
        if text := next((it for it in texts if it in data), None):
            texts.remove(text)
            await write(stream, data[: data.index(text)])
            assert stream._req is not None
            assert stream._req.transport is not None
            stream._req.transport.close()
        await write(stream, data)

    monkeypatch.setattr(event_stream.EventStream, "write", write_or_cut)
    return texts


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """An event that holds back all lookups of Workers while it is not set."""
    look_up, gate = Tracker.look_up, asyncio.Event()
    gate.set()

    async def look_up_later(tracker: Tracker, tags: Sequence[str]) -> None:
        await gate.wait()
        await look_up(tracker, tags)

    monkeypatch.setattr(Tracker, "look_up", look_up_later)
    return gate


@pytest.fixture(scope="session")
def devtools() -> Iterator[str]:
    needs_program(*BROWSERS)
    with chromium() as address:
        yield address


@pytest.fixture
async def browser(devtools: str, url: str) -> AsyncIterator[Browser]:  # noqa: ARG001  # leaves before the server
    async with connected(devtools) as browser:
        yield browser
