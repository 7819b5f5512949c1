"""Helpers for tests of the guides' programs: an outage, a webhook, and a bot that is killed and restarted."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, Self

import aiohttp
import pytest

from builds_async import BuildOutcome
from builds_async.simulator import BuildsSimulator, Fault, SimulatedBuild
from tests.support.snippets import program

ROOT = Path(__file__).parent.parent.parent
GUIDES = ROOT / "docs" / "guides"
HOOK = "https://hooks.example/secret"
OUTAGE = Fault("server_error", times=None)


def guide(page: str, name: str) -> ModuleType:
    """The program in the guide."""
    return program(GUIDES / f"{page}.md", name)


def outage(sim: BuildsSimulator, start: float, end: float) -> None:
    """Let all requests between two times fail."""
    plan: Any = sim._api.faults
    take = plan.take

    def take_or_fail(method: str, path: str) -> Fault | None:
        return Fault("server_error") if start <= sim.clock.now() < end else take(method, path)

    plan.take = take_or_fail


class Webhook:
    """A webhook in place of `aiohttp` that records texts, and can refuse some or let a bot hang."""

    ClientError = aiohttp.ClientError

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refusals: list[Exception] = []
        self.posts = 0
        self.hangs: Literal["", "before the post", "after the post"] = ""
        self.hangs_from = 1  # from this post on
        self.is_hanging = asyncio.Event()

    def ClientSession(self, *, raise_for_status: bool) -> Self:  # noqa: N802  # aiohttp's name
        assert raise_for_status
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def post(self, url: str, *, json: dict[str, str]) -> SimpleNamespace:
        assert url == HOOK
        self.posts += 1
        await self._hang("before the post")
        if self.refusals:
            raise self.refusals.pop(0)
        self.texts.append(json["text"])
        await self._hang("after the post")
        return SimpleNamespace(release=lambda: None)

    async def _hang(self, moment: str) -> None:
        if self.hangs == moment and self.posts >= self.hangs_from:
            self.is_hanging.set()
            await asyncio.Event().wait()


@asynccontextmanager
async def running(work: Coroutine[object, object, None], sim: BuildsSimulator) -> AsyncIterator[None]:
    """Run a bot during the block, then kill it; requests during its shutdown fail."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        if task.done():
            task.result()
            raise AssertionError("the bot has ended")
        sim.fault(OUTAGE)
        task.cancel()
        await asyncio.wait([task])
        sim.clear_faults()


async def until(condition: Callable[[], object], sim: BuildsSimulator, *, seconds: float = 3600) -> None:
    """Let time pass on the simulator's clock until the condition is true."""
    end = sim.clock.now() + seconds
    while not condition():
        assert sim.clock.now() < end, "it did not come to that"
        await sim.clock.sleep(5)


def on_clock(monkeypatch: pytest.MonkeyPatch, sim: BuildsSimulator) -> None:
    """Run the pauses of a program on the simulator's clock."""
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: sim.clock.sleep(seconds) if seconds else real(0))


def fail(sim: BuildsSimulator, worker: str = "shop", reason: str = "no cheese") -> SimulatedBuild:
    """Add a build that fails now."""
    build = sim.add_build(external_script_id=sim.workers[worker])
    build.emit("npm run build", f"Error: {reason}")
    build.finish(BuildOutcome.FAIL)
    return build
