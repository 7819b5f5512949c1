"""The rate budget by itself: how many requests go out, when, and in which order."""

import asyncio
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds_async import BudgetSnapshot, RateBudget
from builds_async.session.headers import Allowance
from tests.support import FakeClock, VirtualClock, nothing_left, settle
from tests.support.case import cases
from tests.support.crowd import EPSILON, Crowd, a_budget, burst, say


class TestWindow:
    @pytest.mark.parametrize(
        ("limit", "reserve", "capacity"),
        [
            (1200, 0.1, 1080),
            (10, 0.0, 10),
            (10, 0.1, 9),
            (10, 0.25, 7),
            (1, 0.0, 1),
            (3, 0.9, 1),
            (100, 0.9, 10),
        ],
    )
    def test_burst(self, clock: FakeClock, limit: int, reserve: float, capacity: int) -> None:
        """The unreserved capacity may go out at once, and no more until the window has passed."""
        budget = a_budget(clock, limit, 300, reserve)
        assert burst(budget) == capacity
        clock.advance(299.5)
        assert burst(budget) == 0
        clock.advance(0.5)
        assert burst(budget) == capacity

    def test_counts_until_a_window_after_the_response(self, clock: FakeClock) -> None:
        """A request counts from before it is sent until a window after its response."""
        budget = a_budget(clock, limit=1)
        assert budget.try_acquire(poll=False)
        clock.advance(60)
        assert not budget.try_acquire(poll=False)
        budget.done()
        clock.advance(9.5)
        assert not budget.try_acquire(poll=False)
        clock.advance(0.5)
        assert budget.try_acquire(poll=False)

    async def test_wait(self, clock: FakeClock) -> None:
        """With no capacity left, a request waits exactly until the first one leaves the window."""
        budget = a_budget(clock, limit=2)
        for _ in range(2):
            assert budget.try_acquire(poll=False)
            budget.done()
            clock.advance(1)
        assert await budget.acquire(poll=False, max_wait=0)
        assert clock.naps == [8.0]

    async def test_wait_for_requests_in_flight(self, clock: FakeClock) -> None:
        """While all requests are in flight, the next one waits for a window after a response."""
        budget = a_budget(clock, limit=1)
        assert budget.try_acquire(poll=False)
        waiter = asyncio.create_task(budget.acquire(poll=False, max_wait=0))
        await settle(5)
        assert not waiter.done()
        answered = clock.now()
        budget.done()
        assert await waiter
        assert clock.now() >= answered + 10

    def test_give_back(self, clock: FakeClock) -> None:
        """A request that is returned unsent does not count."""
        budget = a_budget(clock, limit=2)
        assert burst(budget, done=False) == 2
        budget.give_back()
        assert budget.snapshot().used == 1
        assert budget.try_acquire(poll=False)
        assert not budget.try_acquire(poll=False)

    @pytest.mark.slow
    @given(st.data())
    @settings(max_examples=60, deadline=None)
    async def test_exact(self, data: st.DataObject) -> None:
        """No half-open window exceeds the limit, whatever callers do and whenever the server counts."""
        limit = data.draw(st.integers(1, 12), label="limit")
        window = data.draw(st.sampled_from([1.0, 8.0, 10.0]), label="window")
        reserve = data.draw(st.sampled_from([0.0, 0.1, 0.5]), label="reserve")
        rng = random.Random(data.draw(st.integers(0, 2**32), label="seed"))  # noqa: S311  # no secret
        clock = VirtualClock()
        budget = a_budget(clock, limit, window, reserve)
        sent: list[tuple[float, float]] = []

        async def call() -> None:
            poll = rng.random() < 0.4
            await clock.sleep(rng.choice([0, 0, rng.uniform(0, 3 * window), rng.randrange(12) / 4]))
            if not budget.try_acquire(poll=poll):
                assert await budget.acquire(poll=poll, max_wait=1e9)
            start = clock.now()
            if rng.random() < 0.1:
                budget.give_back()
                return
            try:
                await clock.sleep(rng.choice([0, rng.uniform(0, window / 2), window * 2]))
            finally:
                budget.done(poll=poll)
                sent.append((start, clock.now()))
                if rng.random() < 0.05:
                    budget.close(rng.uniform(0, window))

        calls = [asyncio.create_task(call()) for _ in range(data.draw(st.integers(1, 40), label="calls"))]
        await clock.run_until(rng.uniform(0, 2 * window))
        cancelled = [task for task in calls if rng.random() < 0.15]
        for task in cancelled:
            task.cancel()
        await clock.run_until(1e6)
        assert all(task.done() for task in calls)
        assert [task for task in calls if not task.cancelled() and task.exception()] == []

        allowed = max(1, int(limit * (1 - reserve) + EPSILON))
        for _, moment in sent:
            # The server may count a request at any moment between its start and its end.
            inside = [1 for start, end in sent if start < moment + window - EPSILON and end >= moment]
            assert len(inside) <= allowed


class TestOrder:
    async def test_first_come(self) -> None:
        """Waiting requests go out in the order of arrival, as soon as there is room."""
        clock = VirtualClock()
        crowd = Crowd(a_budget(clock, limit=2), clock)
        await crowd.add("a", "b", "c", "d", "e")
        assert crowd.went == [("a", 0.0), ("b", 0.0)]
        await clock.run_until(100)
        assert crowd.went[2:] == [("c", 10.0), ("d", 10.0), ("e", 20.0)]

    @pytest.mark.parametrize("poll", [False, True], ids=["singles", "polls"])
    async def test_no_overtaking(self, poll: bool) -> None:
        """A new request queues behind the waiting ones, even if there is room at that moment."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=1)
        crowd = Crowd(budget, clock)
        await crowd.add("a", "b", poll=poll)
        clock._now = 10.0  # the sleeping request has not woken yet
        assert not budget.try_acquire(poll=poll)
        await clock.run_until(10)
        assert crowd.went == [("a", 0.0), ("b", 10.0)]

    @cases("name", ["b", "c", "d"], ids=["head", "middle", "tail"])
    async def test_cancel(self, name: str) -> None:
        """A canceled waiter takes nothing, and the next one moves up."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=1)
        crowd = Crowd(budget, clock)
        await crowd.add("a", "b", "c", "d")
        await crowd.cancel(name)
        await clock.run_until(100)
        left = [each for each in "bcd" if each != name]
        assert crowd.went == [("a", 0.0), (left[0], 10.0), (left[1], 20.0)]
        assert budget.snapshot().used == 0

    async def test_cancel_when_woken(self) -> None:
        """A waiter that is canceled at the moment of its turn passes the turn on."""
        clock = VirtualClock()
        crowd = Crowd(a_budget(clock, limit=1), clock)
        await crowd.add("a", "b", "c", "d")
        crowd.tasks["b"].cancel()  # the end of "b" wakes "c", which is canceled before it runs
        crowd.tasks["c"].cancel()
        await clock.run_until(100)
        assert crowd.went == [("a", 0.0), ("d", 10.0)]

    async def test_returned_budget_goes_to_a_waiter(self) -> None:
        """Budget returned by a canceled call goes to a waiting request at once."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=1)
        assert budget.try_acquire(poll=False)
        crowd = Crowd(budget, clock)
        await crowd.add("a")
        await clock.run_until(1)
        budget.give_back()
        await clock.run_until(1)
        assert crowd.went == [("a", 1.0)]

    async def test_returned_budget_admits_a_newcomer(self) -> None:
        """Budget returned by a canceled call also admits a later arrival."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=2)
        assert burst(budget, done=False) == 2
        crowd = Crowd(budget, clock)
        await crowd.add("a")
        budget.give_back()
        budget.give_back()
        await crowd.add("b")
        await clock.run_until(0.5)
        assert [name for name, _ in crowd.went] == ["a", "b"]

    async def test_broken_clock(self) -> None:
        """An error in the clock propagates and does not become an endless wait."""

        class BrokenClock(FakeClock):
            async def sleep(self, seconds: float) -> None:
                raise ZeroDivisionError(seconds)

        budget = a_budget(BrokenClock(), limit=1)
        burst(budget)
        with pytest.raises(ZeroDivisionError, match=r"^10\.0$"):
            async with asyncio.timeout(0.02):
                await budget.acquire(poll=False, max_wait=0)

    async def test_nothing_left(self) -> None:
        """A waiter that is woken early or canceled leaves no sleeping task behind."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=2)
        async with nothing_left():
            assert burst(budget, done=False) == 2
            crowd = Crowd(budget, clock)
            await crowd.add("a", "b", "c")
            budget.give_back()
            await settle()
            await crowd.cancel("b")
            await crowd.cancel("c")
        assert crowd.went == [("a", 0.0)]


class TestHeaders:
    async def test_nothing_left(self, clock: FakeClock) -> None:
        """When the server reports nothing left, no request goes out before the reset it names."""
        budget = a_budget(clock, limit=100)
        budget.observe(say(0, 30))
        assert burst(budget) == 0
        assert await budget.acquire(poll=False, max_wait=30)
        assert clock.naps == [30.0]

    @pytest.mark.parametrize(("left", "reserve", "goes"), [(10, 0.0, 10), (10, 0.1, 9), (1, 0.1, 0)])
    def test_less_left(self, clock: FakeClock, left: int, reserve: float, goes: int) -> None:
        """When others spend from the same allowance, this budget shrinks and keeps its reserve."""
        budget = a_budget(clock, limit=100, reserve=reserve)
        budget.observe(say(left, 5))
        assert budget.snapshot().left == goes
        assert burst(budget) == goes
        clock.advance(5)
        assert burst(budget) == int(100 * (1 - reserve)) - goes

    def test_more_left(self, clock: FakeClock) -> None:
        """The server's headers never widen the budget."""
        budget = a_budget(clock, limit=5)
        budget.observe(say(1000, 5, 1000, 10))
        assert burst(budget) == 5

    def test_in_flight(self, clock: FakeClock) -> None:
        """The budget counts requests in flight itself, because the server may not have counted them yet."""
        budget = a_budget(clock, limit=100)
        for _ in range(4):
            assert budget.try_acquire(poll=False)
        budget.done()
        budget.observe(say(10, 5))
        assert burst(budget) == 10 - 3

    def test_newest(self, clock: FakeClock) -> None:
        """The newest report of an allowance wins."""
        budget = a_budget(clock, limit=100)
        budget.observe(say(0, 30))
        budget.observe(say(7, 30))
        assert burst(budget) == 7

    async def test_newest_keeps_the_order(self) -> None:
        """A better report lets no newcomer overtake a request that waits because of a worse one."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=100)
        budget.observe(say(0, 30))
        crowd = Crowd(budget, clock)
        await crowd.add("a")
        budget.observe(say(50, 30))
        assert crowd.went or not budget.try_acquire(poll=False)
        await clock.run_until(30)
        assert crowd.went[0][0] == "a"

    def test_one_after_the_other(self, clock: FakeClock) -> None:
        """A request counts against every allowance, including those that the newest response omits."""
        budget = a_budget(clock, limit=1000)
        budget.observe({"short": Allowance(10, 60), "long": Allowance(500, 60)})
        for _ in range(4):
            assert budget.try_acquire(poll=False)
            budget.done()
        assert budget.snapshot().left == 6
        for _ in range(2):
            assert budget.try_acquire(poll=False)
            budget.done()
        budget.observe({"long": Allowance(494, 60)})
        assert burst(budget) == 4

    def test_several(self, clock: FakeClock) -> None:
        """Several allowances all hold at once."""
        budget = a_budget(clock, limit=100)
        budget.observe({"short": Allowance(3, 1), "long": Allowance(5, 60)})
        assert burst(budget) == 3
        clock.advance(1)
        assert burst(budget) == 2
        clock.advance(58)
        assert burst(budget) == 0

    @pytest.mark.parametrize(
        ("quota", "window", "capacity"),
        [(50, 10.0, 45), (50, 60.0, 90), (None, 10.0, 90), (500, 10.0, 90), (0, 10.0, 90)],
        ids=["smaller", "other window", "none", "larger", "zero"],
    )
    def test_quota(self, clock: FakeClock, quota: int | None, window: float, capacity: int) -> None:
        """A smaller quota for the same window shrinks the budget permanently."""
        budget = a_budget(clock, limit=100, reserve=0.1)
        budget.observe(say(100, 1, quota, window))
        clock.advance(1)
        assert budget.snapshot().capacity == capacity
        assert burst(budget) == capacity

    def test_give_back(self, clock: FakeClock) -> None:
        """A request that is returned unsent is not deducted from the server's allowance either."""
        budget = a_budget(clock, limit=100)
        budget.observe(say(1, 30))
        assert budget.try_acquire(poll=False)
        budget.give_back()
        assert budget.snapshot().left == 1
        assert budget.try_acquire(poll=False)


class TestGate:
    async def test_closed_for_all(self) -> None:
        """One 429 holds back every request until it expires; then they go out one by one."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=20)
        crowd = Crowd(budget, clock)
        budget.close(7)
        await crowd.add("a", "b", "c")
        await crowd.add("p", poll=True)
        await clock.run_until(6.99)
        assert crowd.went == []
        assert budget.closed_for == pytest.approx(0.01)
        await clock.run_until(100)
        assert crowd.went[:3] == [("a", 7.0), ("b", 7.5), ("c", 8.0)]
        assert crowd.went[3][0] == "p"
        assert crowd.went[3][1] >= 8.5

    def test_not_opened_by_headers(self, clock: FakeClock) -> None:
        """A response that arrives after a 429 does not reopen the gate, whatever its headers report."""
        budget = a_budget(clock, limit=100)
        assert budget.try_acquire(poll=False)
        budget.close(7)
        budget.done()
        budget.observe(say(90, 10))
        assert burst(budget) == 0
        clock.advance(7)
        assert budget.try_acquire(poll=False)

    async def test_a_burst_again(self) -> None:
        """Once the waiting requests are through, bursts are allowed again."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=20)
        budget.close(7)
        crowd = Crowd(budget, clock)
        await crowd.add("a", "b")
        await clock.run_until(7.5)
        assert len(crowd.went) == 2
        assert burst(budget) == 18

    @pytest.mark.parametrize(("first", "second", "until"), [(5, 9, 9), (9, 5, 9), (0, 0, 0)])
    async def test_longest(self, clock: FakeClock, first: float, second: float, until: float) -> None:
        """The longer of two closures wins."""
        budget = a_budget(clock)
        budget.close(first)
        budget.close(second)
        assert budget.closed_for == until
        assert burst(budget) == (10 if until == 0 else 0)
        clock.advance(until)
        budget.close(0)
        assert budget.closed_for == 0
        assert budget.try_acquire(poll=False) is (until > 0)

    @pytest.mark.parametrize(("max_wait", "allowed"), [(60.0, True), (59.9, False)])
    async def test_max_wait(self, clock: FakeClock, max_wait: float, allowed: bool) -> None:
        """A closure longer than `max_wait` is refused at once, and the request does not count."""
        budget = a_budget(clock)
        budget.close(60)
        assert await budget.acquire(poll=False, max_wait=max_wait) is allowed
        assert clock.naps == ([60.0] if allowed else [])
        assert budget.snapshot().used == int(allowed)

    async def test_max_wait_for_all(self) -> None:
        """A closure also refuses requests that already wait, each by its own `max_wait`."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=1)
        crowd = Crowd(budget, clock)
        await crowd.add("a")
        await crowd.add("b", "c", max_wait=60)
        await crowd.add("d", max_wait=600)
        budget.close(300)
        await clock.run_until(1000)
        assert crowd.refused == ["b", "c"]
        assert [name for name, _ in crowd.went] == ["a", "d"]
        assert crowd.went[1][1] == 300.0

    async def test_max_wait_excludes_the_window(self, clock: FakeClock) -> None:
        """`max_wait` limits waits for a 429, not pacing by the budget's own window."""
        budget = a_budget(clock, limit=1, window=300)
        burst(budget)
        assert await budget.acquire(poll=False, max_wait=0)
        assert clock.naps == [300.0]


class TestSnapshot:
    def test_fresh(self) -> None:
        """A fresh budget has its full capacity left."""
        assert RateBudget().snapshot() == BudgetSnapshot(
            capacity=1080, used=0, left=1080, resets_in=0.0, closed_for=0.0
        )

    def test_used(self, clock: FakeClock) -> None:
        """A snapshot counts the requests in flight and in the window, and says when all have left it."""
        budget = a_budget(clock)
        for _ in range(3):
            assert budget.try_acquire(poll=False)
        budget.done()
        clock.advance(4)
        budget.done()
        assert budget.snapshot() == BudgetSnapshot(
            capacity=10, used=3, left=7, resets_in=10.0, closed_for=0.0
        )
        clock.advance(6)  # one is still in flight, and leaves the window in 10 s at the earliest
        assert budget.snapshot() == BudgetSnapshot(
            capacity=10, used=2, left=8, resets_in=10.0, closed_for=0.0
        )
        budget.give_back()
        assert budget.snapshot() == BudgetSnapshot(capacity=10, used=1, left=9, resets_in=4.0, closed_for=0.0)

    def test_reported_remainder(self, clock: FakeClock) -> None:
        """The server's reported remainder, less the reserve, caps `left`."""
        budget = a_budget(clock, limit=100, reserve=0.1)
        budget.observe(say(50, 5))
        assert budget.snapshot().left == 45
        clock.advance(5)
        assert budget.snapshot().left == 90

    def test_closed(self, clock: FakeClock) -> None:
        """While the gate is closed, nothing is left."""
        budget = a_budget(clock)
        budget.close(5)
        assert budget.snapshot() == BudgetSnapshot(capacity=10, used=0, left=0, resets_in=5.0, closed_for=5.0)
        clock.advance(5)
        assert budget.snapshot().left == 1  # the probe
        assert budget.try_acquire(poll=False)
        assert budget.snapshot().left == 0
        budget.done()
        assert budget.snapshot().left == 9

    def test_frozen(self) -> None:
        """A snapshot is immutable."""
        with pytest.raises(AttributeError):
            RateBudget().snapshot().left = 0  # type: ignore[misc]  # the point


@cases(
    ("arguments", "kind", "said"),
    [
        ({"limit": 0}, ValueError, "limit must be at least 1, not 0"),
        ({"limit": 1.5}, TypeError, "limit must be a whole number, not 1.5"),
        ({"limit": True}, TypeError, "limit must be a whole number, not True"),
        ({"window": 0}, ValueError, "window must be above 0 s and finite, not 0"),
        ({"window": -1}, ValueError, "window must be above 0 s and finite, not -1"),
        ({"window": float("nan")}, ValueError, "window must be above 0 s and finite, not nan"),
        ({"window": float("inf")}, ValueError, "window must be above 0 s and finite, not inf"),
        ({"window": None}, TypeError, "window must be a number of seconds, not None"),
        ({"reserve": 1}, ValueError, "reserve must be a number from 0 to below 1, not 1"),
        ({"reserve": -0.1}, ValueError, "reserve must be a number from 0 to below 1, not -0.1"),
        ({"reserve": float("nan")}, ValueError, "reserve must be a number from 0 to below 1, not nan"),
        ({"reserve": True}, TypeError, "reserve must be a number from 0 to below 1, not a bool"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_misuse(arguments: dict[str, Any], kind: type[Exception], said: str) -> None:
    """An invalid number is rejected by name."""
    with pytest.raises(kind, match=f"^{re.escape(said)}$"):
        RateBudget(**arguments)


def test_keywords() -> None:
    """A budget takes keyword arguments only."""
    with pytest.raises(TypeError, match="positional"):
        RateBudget(1200)  # type: ignore[call-arg]  # the point
