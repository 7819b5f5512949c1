"""The gate: the in-flight limit and the budget together, under arrivals, exits and cancellation."""

import asyncio
import random
from collections.abc import Mapping

import pytest

from builds_async import BudgetSnapshot, BuildsClient, Clock, RateBudget
from builds_async.session.admission import Admission
from builds_async.session.headers import Allowance
from tests.support import ACCOUNT, BUILD_UUID, TOKEN, FakeClock, MockApi, build, envelope, refusal, settle
from tests.support.case import Case


class TestLimit:
    @pytest.mark.parametrize("limit", [1, 2, 5])
    async def test_random(self, limit: int) -> None:
        """The bounds hold and no slot is lost, however callers arrive, hold, leave and are canceled."""
        for seed in range(20):
            with Case(seed):
                await self._come_and_go(limit, seed)

    async def _come_and_go(self, limit: int, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311  # no secret
        gate = Admission(RateBudget(limit=10**6), limit)
        held = {True: 0, False: 0}

        async def call(*, poll: bool) -> None:
            await settle(rng.randrange(10))
            if rng.random() < 0.5 or not gate.try_enter(poll=poll):
                await gate.enter(poll=poll, max_wait=0)
            held[poll] += 1
            try:
                assert held[True] + held[False] <= limit
                assert held[True] <= max(1, limit - 1)
                await settle(rng.randrange(5))
            finally:
                held[poll] -= 1
                gate.leave(poll=poll)

        calls = [asyncio.create_task(call(poll=rng.random() < 0.5)) for _ in range(40)]
        for _ in range(30):
            await asyncio.sleep(0)
            rng.choice(calls).cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert [task for task in calls if not task.cancelled() and task.exception()] == []
        assert [gate.try_enter(poll=True) for _ in range(limit)].count(True) == max(1, limit - 1)
        assert gate.try_enter(poll=False) is (limit > 1)
        assert not gate.try_enter(poll=False)

    async def test_cancelled_when_called_up(self) -> None:
        """A waiter that is canceled at the moment it gets a slot passes the slot on."""
        gate = Admission(RateBudget(), 1)
        await gate.enter(poll=False, max_wait=0)
        first, second = (asyncio.create_task(gate.enter(poll=False, max_wait=0)) for _ in range(2))
        await settle(3)
        gate.leave(poll=False)
        first.cancel()
        await settle(3)
        assert (first.cancelled(), second.done()) == (True, True)

    async def test_singles_first(self) -> None:
        """A single call gets the next slot before polls that have waited longer."""
        gate = Admission(RateBudget(), 2)
        await gate.enter(poll=False, max_wait=0)
        await gate.enter(poll=False, max_wait=0)
        poll = asyncio.create_task(gate.enter(poll=True, max_wait=0))
        await settle(3)
        single = asyncio.create_task(gate.enter(poll=False, max_wait=0))
        await settle(3)
        gate.leave(poll=False)
        await settle(3)
        assert (single.done(), poll.done()) == (True, False)
        gate.leave(poll=False)
        await settle(3)
        assert poll.done()


class StrictBudget:
    """A third-party budget built on the public methods alone: one request at a time."""

    def __init__(self) -> None:
        self.out: list[bool] = []  # whether each request in flight is a poll
        self.closings = 0
        self.blocked_for = 0.0
        self.calls: list[str] = []

    def bind(self, clock: Clock) -> None:
        self.calls.append(f"bind {type(clock).__name__}")

    def try_acquire(self, *, poll: bool) -> bool:
        if self.out:
            return False
        self.out.append(poll)
        return True

    async def acquire(self, *, poll: bool, max_wait: float) -> bool:
        if self.blocked_for > max_wait:
            return False
        while self.out:
            await asyncio.sleep(0)
        self.out.append(poll)
        return True

    def done(self, *, poll: bool = False) -> None:
        self.out.remove(poll)
        self.calls.append("done")

    def give_back(self) -> None:
        self.out.pop()
        self.calls.append("give_back")

    def close(self, seconds: float) -> float:
        self.closings += 1
        self.calls.append(f"close {seconds:g}")
        return seconds

    def observe(self, allowances: Mapping[str, Allowance]) -> None:
        self.calls.append(f"left {allowances['default'].left}")

    def ready_in(self, *, poll: bool) -> float:
        return 1.0 if self.out and poll else 0.0

    def set_horizon(self, poller: object, seconds: float | None, *, builds: int = 1) -> None:  # noqa: ARG002
        self.calls.append(f"horizon {seconds}")

    def snapshot(self) -> BudgetSnapshot:
        return BudgetSnapshot(
            capacity=1, used=len(self.out), left=1 - len(self.out), resets_in=0.0, closed_for=0.0
        )


class TestAdmission:
    @pytest.mark.parametrize("poll", [False, True], ids=["call", "poll"])
    async def test_both(self, poll: bool) -> None:
        """A request enters when both the budget and the limit admit it, and it leaves both."""
        budget = StrictBudget()
        gate = Admission(budget, 2)
        assert gate.try_enter(poll=poll)
        assert not gate.try_enter(poll=poll)
        gate.leave(poll=poll)
        assert (budget.out, budget.calls) == ([], ["done"])
        assert gate.try_enter(poll=poll)

    async def test_nothing_kept(self) -> None:
        """A request that the budget or the limit refuses leaves the other unchanged."""
        budget = StrictBudget()
        gate = Admission(budget, 1)
        budget.out.append(False)
        assert not gate.try_enter(poll=False)
        budget.out.clear()
        assert gate.try_enter(poll=False)

    async def test_blocked(self) -> None:
        """A block longer than the request's `max_wait` refuses entry and takes nothing."""
        budget = StrictBudget()
        budget.blocked_for = 60.0
        gate = Admission(budget, 1)
        assert not await gate.enter(poll=False, max_wait=59.0)
        assert budget.out == []
        assert gate.try_enter(poll=False)

    async def test_cancelled(self) -> None:
        """A request canceled while it waits for a slot returns its budget."""
        budget = StrictBudget()
        gate = Admission(budget, 1)
        assert gate.try_enter(poll=False)
        budget.out.clear()
        waiting = asyncio.create_task(gate.enter(poll=False, max_wait=1.0))
        await settle(3)
        waiting.cancel()
        await settle(3)
        assert (waiting.cancelled(), budget.out, budget.calls) == (True, [], ["give_back"])

    async def test_with_a_client(self, api: MockApi, clock: FakeClock) -> None:
        """A client accepts any budget that has the public methods."""
        path = f"/builds/builds/{BUILD_UUID}"
        api.on("GET", path, refusal(971, "no"), status=429, headers={"Retry-After": "5"})
        api.on("GET", path, envelope(build()), headers={"Ratelimit": '"default";r=7;t=60'})
        budget = StrictBudget()
        async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, clock=clock, budget=budget) as client:
            await client.builds.get(BUILD_UUID)
            assert client.budget.snapshot().left == 1
        assert budget.calls == ["bind FakeClock", "done", "close 5", "done", "left 7"]
