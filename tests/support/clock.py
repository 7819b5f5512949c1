"""Clocks that spare tests from real waiting."""

import asyncio
import heapq
from collections.abc import Awaitable
from itertools import count
from typing import TypeVar

from builds_async import Clock
from builds_async.simulator.clock import is_idle

T = TypeVar("T")


async def settle(turns: int = 50) -> None:
    """Let every runnable task run until it waits for something that only the test can provide."""
    loop = asyncio.get_running_loop()
    for _ in range(turns):
        await asyncio.sleep(0)
        if is_idle(loop):
            return


class FakeClock:
    """A clock whose `sleep` takes no time: it advances `now`, records the nap and yields once to the loop.

    For one sleeper at a time. Several concurrent sleepers would each advance the time for all; `VirtualClock`
    keeps them in order.
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self.naps: list[float] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass without a sleeper."""
        self._now += seconds


class LoneClock:
    """Time that advances only through sleeping, for one sleeper; a test may also set it."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.time += max(0.0, seconds)


class VirtualClock:
    """A clock for concurrent sleepers: each wakes at its own moment, in order of the moments.

    Time stands still until the test advances it with `run_until`; in between, all tasks run as far as they
    can.
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        wakes = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + max(0.0, seconds), next(self._order), wakes))
        await wakes

    async def run_until(self, moment: float) -> None:
        """Advance time to `moment`, waking each sleeper on the way at its own moment."""
        await settle()
        while self._sleepers and self._sleepers[0][0] <= moment:
            at, _, wakes = heapq.heappop(self._sleepers)
            self._now = max(self._now, at)
            if not wakes.done():
                wakes.set_result(None)
                await settle()
        self._now = max(self._now, moment)
        await settle()


async def canceled_after(clock: Clock, step: Awaitable[T], seconds: float) -> T | None:
    """The result of a step, or None if it takes longer than `seconds` and is canceled."""
    reading = asyncio.ensure_future(step)
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({reading, alarm}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reading, alarm):
            task.cancel()
        await asyncio.wait({reading, alarm})
    return None if reading.cancelled() else reading.result()
