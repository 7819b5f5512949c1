"""A small budget, and callers that wait for it."""

import asyncio

import pytest

from builds_async import RateBudget
from builds_async.session.headers import Allowance
from tests.support import FakeClock, VirtualClock, settle

EPSILON = 1e-9


def a_budget(
    clock: FakeClock | VirtualClock, limit: int = 10, window: float = 10.0, reserve: float = 0.0
) -> RateBudget:
    """A small budget on a clock."""
    budget = RateBudget(limit=limit, window=window, reserve=reserve)
    budget.bind(clock)
    return budget


def burst(budget: RateBudget, *, poll: bool = False, done: bool = True) -> int:
    """Send requests until the budget refuses, each completed at once if `done`; returns their number."""
    count = 0
    while budget.try_acquire(poll=poll):
        count += 1
        if done:
            budget.done(poll=poll)
    return count


def say(
    left: int, reset: float, quota: int | None = None, window: float | None = None
) -> dict[str, Allowance]:
    """Parsed rate-limit headers."""
    return {"default": Allowance(left, reset, quota, window)}


class Crowd:
    """Callers that wait for a budget; `went` records who went out, and when."""

    def __init__(self, budget: RateBudget, clock: VirtualClock) -> None:
        self.budget = budget
        self.clock = clock
        self.went: list[tuple[str, float]] = []
        self.refused: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, *names: str, poll: bool = False, max_wait: float = 1e9) -> None:
        """Queue callers, in this order."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._call(name, poll=poll, max_wait=max_wait))
            await settle(3)

    async def _call(self, name: str, *, poll: bool, max_wait: float) -> None:
        if not self.budget.try_acquire(poll=poll) and not await self.budget.acquire(
            poll=poll, max_wait=max_wait
        ):
            self.refused.append(name)
            return
        self.went.append((name, self.clock.now()))
        self.budget.done(poll=poll)

    async def cancel(self, name: str) -> None:
        self.tasks[name].cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.tasks[name]
