"""Polls are spread over the time for which they are needed."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds_async import RateBudget
from tests.support import FakeClock, VirtualClock
from tests.support.crowd import EPSILON, a_budget, burst


class Poller:
    """A stand-in for a live verb."""


def went(budget: RateBudget, clock: FakeClock, seconds: float) -> list[float]:
    """The times at which polls go out when one is always ready."""
    times: list[float] = []
    end = clock.now() + seconds
    while clock.now() < end:
        if budget.try_acquire(poll=True):
            budget.done(poll=True)
            times.append(clock.now())
        clock.advance(max(budget.ready_in(poll=True), 0.001))
    return times


class TestHorizon:
    def test_a_burst_uses_the_spare_budget(self, clock: FakeClock) -> None:
        """With one-minute builds, polls in that minute exceed the sustained rate and are evenly spaced."""
        budget, poller = a_budget(clock, 1200, 300, 0.1), Poller()
        budget.set_horizon(poller, 60.0)
        times = went(budget, clock, 55.0)
        assert len(times) > 1.8 * 55 * 972 / 300
        gaps = [after - before for before, after in pairwise(times)]
        assert max(gaps) < 3 * min(gaps)

    def test_a_wrong_expectation_stops_nothing(self, clock: FakeClock) -> None:
        """If builds outlast the expected horizon, polls slow down, but the longest gap stays short."""
        budget, poller = a_budget(clock, 1200, 300, 0.1), Poller()
        times: list[float] = []
        for _ in range(90):
            budget.set_horizon(poller, 30.0)
            times += went(budget, clock, 10.0)
        assert max(after - before for before, after in pairwise(times)) < 4 * 300 / 972 / 0.37

    def test_ignored_horizons(self, clock: FakeClock) -> None:
        """A horizon that is withdrawn, expired, or owned by a dropped verb does not count."""
        budget, poller = a_budget(clock, 100), Poller()
        assert burst(budget, poll=True) == 25
        budget = a_budget(clock, 100)
        budget.set_horizon(poller, 5.0)
        assert burst(budget, poll=True) == 1
        clock.advance(6.0)
        assert burst(budget, poll=True) == 24
        budget = a_budget(clock, 100)
        budget.set_horizon(poller, 500.0)
        budget.set_horizon(poller, None)
        budget.set_horizon(Poller(), 500.0)
        assert burst(budget, poll=True) == 25

    def test_the_largest_counts(self, clock: FakeClock) -> None:
        """The longest horizon among several verbs decides."""
        budget, one, two = a_budget(clock, 1200, 300, 0.1), Poller(), Poller()
        budget.set_horizon(one, 60.0)
        budget.try_acquire(poll=True)
        alone = budget.ready_in(poll=True)
        budget = a_budget(clock, 1200, 300, 0.1)
        budget.set_horizon(one, 60.0)
        budget.set_horizon(two, 300.0)
        budget.try_acquire(poll=True)
        assert budget.ready_in(poll=True) > 1.5 * alone

    @pytest.mark.slow
    @settings(max_examples=60, deadline=None)
    @given(
        horizons=st.lists(st.floats(1.0, 400.0), min_size=1, max_size=8),
        singles=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    )
    def test_never_more_than_the_limit(self, horizons: list[float], singles: list[int]) -> None:
        """No window exceeds the limit, whatever horizons the verbs set."""
        clock = FakeClock()
        budget, poller = a_budget(clock, 100, 30, 0.1), Poller()
        times: list[float] = []
        for horizon, calls in zip(horizons, singles * 8, strict=False):
            budget.set_horizon(poller, horizon)
            times += went(budget, clock, 7.0)
            for _ in range(calls):
                if budget.try_acquire(poll=False):
                    budget.done()
                    times.append(clock.now())
        times.sort()
        for number, time in enumerate(times):
            assert sum(time <= other < time + 30 - EPSILON for other in times[number:]) <= 90


class TestReadyIn:
    def test_fresh_budget(self, clock: FakeClock) -> None:
        """`ready_in` is zero at first, then the time until the oldest request leaves the used-up window."""
        budget = a_budget(clock, limit=2)
        assert budget.ready_in(poll=False) == budget.ready_in(poll=True) == 0.0
        burst(budget)
        clock.advance(4.0)
        assert budget.ready_in(poll=False) == pytest.approx(6.0)

    async def test_behind_waiting_requests(self) -> None:
        """A request is ready after the waiting ones, and not before the window admits it."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=10)
        burst(budget)
        waiting = [asyncio.create_task(budget.acquire(poll=True, max_wait=1e9)) for _ in range(3)]
        await clock.run_until(1)
        assert budget.ready_in(poll=True) == pytest.approx(9.0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def test_while_a_probe_is_in_flight(self, clock: FakeClock) -> None:
        """While the probe after a 429 is in flight, `ready_in` is infinite."""
        budget = a_budget(clock)
        budget.close(5.0)
        assert budget.ready_in(poll=True) == pytest.approx(5.0)
        clock.advance(5.0)
        assert budget.try_acquire(poll=True)
        assert budget.ready_in(poll=True) == float("inf")
