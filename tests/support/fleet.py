"""Members of a shared budget on a virtual clock: their traffic, and the API that enforces the limit."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from math import inf

from builds_async.fleet import EngineError, SharedBudget
from builds_async.fleet.engine import Claim, Grant
from builds_async.fleet.memory import MemoryEngine
from builds_async.session.headers import allowances
from builds_async.simulator import RateLimit, VirtualClock
from builds_async.simulator.limits import RateWindow

LIMIT, WINDOW = 300, 10.0
TIMEOUT = 1.0
LATENCY = 0.002


class Judge:
    """The API: it counts every request on arrival, and blocks all requests after too many."""

    def __init__(self, clock: VirtualClock, *, headers: bool = True) -> None:
        self.clock = clock
        self.headers = headers
        self.window = RateWindow(RateLimit(LIMIT, WINDOW), clock.now())
        self.arrived: deque[float] = deque()
        self.requests = 0
        self.refused = 0
        self.most = 0

    def answer(self) -> tuple[float, dict[str, str]]:
        """Count a request. Returns how long it is refused for, and the headers."""
        now = self.clock.now()
        refused = self.window.enter(now)
        self.refused += bool(refused)
        self.requests += 1
        self.arrived.append(now)
        while self.arrived[0] <= now - WINDOW:
            self.arrived.popleft()
        self.most = max(self.most, len(self.arrived))
        return refused, self.window.headers(now) if self.headers else {}


class Link:
    """A member's connection to an engine, which may be cut, slow, or frozen with the member."""

    def __init__(self, engine: "Engine", alive: Callable[[], Coroutine[object, object, None]]) -> None:
        self.engine = engine
        self.alive = alive
        self.name = "the engine"
        self.clock = engine.clock
        self.is_cut = False
        self.lost = 0.0
        self.calls = 0

    async def open(self) -> None:
        """Nothing to check."""

    async def lease(self, user: str, claim: Claim) -> Grant:
        self.calls += 1
        await self.alive()
        if self.is_cut or self.engine.is_down:
            await self._time_out()
        if self.engine.random.random() < self.lost / 2:
            await self._time_out()  # the request is lost
        grant = await self.engine.lease(user, claim)
        if self.engine.random.random() < self.lost / 2:
            await self._time_out()  # the reply is lost
        await self.alive()
        return grant

    async def _time_out(self) -> None:
        await self.clock.sleep(TIMEOUT)
        raise EngineError("the engine: no response")

    async def listen_to_closings(self, user: str, heard: Callable[[float], object]) -> None:
        await self.engine.listen_to_closings(
            user, lambda seconds: None if self.is_cut or self.engine.is_down else heard(seconds)
        )

    async def aclose(self) -> None:
        """Nothing to close."""


class Engine(MemoryEngine):
    """An engine that may become unreachable for all members, and may lose its data."""

    def __init__(self, clock: VirtualClock, seed: int = 1) -> None:
        super().__init__(clock, latency=LATENCY)
        self.is_down = False
        self.random = random.Random(seed)  # noqa: S311  # the same every time

    def forget(self) -> None:
        """Lose all data."""
        self.users.clear()


class Member:
    """A process that shares the budget: callers that each send one request after another."""

    def __init__(self, engine: Engine, judge: Judge, *, seed: int = 1, **options: object) -> None:
        self.clock = judge.clock
        self.judge = judge
        self.random = random.Random(seed)  # noqa: S311  # the same every time
        self.link = Link(engine, self.alive)
        usual = {"limit": LIMIT, "window": WINDOW}
        self.budget = SharedBudget(self.link, **(usual | options))  # type: ignore[arg-type]  # by name
        self.budget._supply._chance = self.random.random
        self.asleep_until = -inf
        self.sent = 0
        self._stack = AsyncExitStack()
        self._callers: list[asyncio.Task[None]] = []

    async def start(self, callers: int = 0, *, pause: float = 0.0, polls: bool = False) -> None:
        """Join, with this many callers."""
        await self._stack.enter_async_context(self.budget)
        await self.call(callers, pause=pause, polls=polls)

    async def call(self, callers: int, *, pause: float = 0.0, polls: bool = False) -> None:
        """Add callers that send."""
        self._callers += [asyncio.ensure_future(self._call(pause, poll=polls)) for _ in range(callers)]

    async def stop(self) -> None:
        """Shut down in good order."""
        await self._end_callers()
        await self._stack.aclose()

    async def crash(self) -> None:
        """End without notice. Requests in flight still arrive."""
        supply = self.budget._supply
        tasks = [*supply._background, *([supply._refilling] if supply._refilling else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._end_callers()

    async def alive(self) -> None:
        """Wait until the process is no longer frozen."""
        while (left := self.asleep_until - self.clock.now()) > 0:
            await self.clock.sleep(left)

    async def send(self, *, poll: bool = False) -> bool:
        """Send one request as a session does. Returns False if it was refused."""
        budget = self.budget
        await self.alive()
        while not budget.try_acquire(poll=poll):
            closings = budget.closings
            assert await budget.acquire(poll=poll, max_wait=inf)
            if budget.closings == closings:
                break
            budget.give_back()
        refused = 0.0
        try:
            await self.alive()  # a process may freeze between the decision and the socket
            await self.clock.sleep(0.01 + 0.05 * self.random.random())
            refused, headers = self.judge.answer()
            await self.clock.sleep(0.01 + 0.05 * self.random.random())
            await self.alive()
        finally:
            budget.done(poll=poll)
        self.sent += 1
        if said := allowances(headers):
            budget.observe(said)
        if refused:
            budget.close(refused)
        return not refused

    async def _call(self, pause: float, *, poll: bool) -> None:
        while True:
            await self.send(poll=poll)
            if pause:
                await self.clock.sleep(pause * 2 * self.random.random())

    async def _end_callers(self) -> None:
        for task in self._callers:
            task.cancel()
        if self._callers:
            await asyncio.wait(self._callers)
        self._callers = []
