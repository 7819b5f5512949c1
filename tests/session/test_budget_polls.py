"""Polls and the rate budget: polls leave room for single calls and are evenly spaced."""

import asyncio
from itertools import pairwise

import pytest

from tests.support import FakeClock, VirtualClock
from tests.support.crowd import Crowd, a_budget, burst, say


class TestPolls:
    @pytest.mark.parametrize(("limit", "polls"), [(100, 90), (10, 9), (5, 4), (2, 1)])
    def test_share(self, clock: FakeClock, limit: int, polls: int) -> None:
        """Polls leave a tenth of the budget, at least one request, to single calls."""
        budget = a_budget(clock, limit=limit)
        went = 0
        for _ in range(200):
            went += burst(budget, poll=True, done=False)
            clock.advance(1)
        assert went == polls
        assert burst(budget) == limit - polls

    async def test_singles_first(self) -> None:
        """A single call goes out before polls that have waited longer."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=10)
        crowd = Crowd(budget, clock)
        burst(budget)
        await crowd.add("p", "q", poll=True)
        await clock.run_until(5)
        await crowd.add("a", "b")
        await clock.run_until(10)
        assert [name for name, _ in crowd.went[:2]] == ["a", "b"]
        await clock.run_until(100)
        assert sorted(name for name, _ in crowd.went[2:]) == ["p", "q"]

    async def test_singles_while_polls_wait(self) -> None:
        """A single call with room in the budget does not wait, however many polls do."""
        clock = VirtualClock()
        crowd = Crowd(a_budget(clock, limit=100), clock)
        await crowd.add(*(f"p{number}" for number in range(200)), poll=True)
        waiting = 200 - len(crowd.went)
        assert waiting > 100
        await clock.run_until(3)
        await crowd.add("a")
        assert crowd.went[-1] == ("a", 3.0)

    def test_free_at_first(self, clock: FakeClock) -> None:
        """Until a quarter of the budget is used, polls are not held back."""
        budget = a_budget(clock, limit=100)
        assert burst(budget, poll=True) == 25

    @pytest.mark.slow
    @pytest.mark.parametrize("before", [0, 60], ids=["alone", "after a burst"])
    @pytest.mark.parametrize("pollers", [5, 20, 100])
    async def test_steady(self, pollers: int, before: int) -> None:
        """Polls that exceed the budget go out evenly, without stop-and-go, and leave little unused."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=120, window=30, reserve=0.1)
        even = 30 / (108 - 10)
        times: list[float] = []

        async def poll(offset: float) -> None:
            await clock.sleep(offset)
            while True:
                if not budget.try_acquire(poll=True):
                    assert await budget.acquire(poll=True, max_wait=0)
                times.append(clock.now())
                await clock.sleep(0.01)
                budget.done(poll=True)
                await clock.sleep(1)

        for _ in range(before):
            assert budget.try_acquire(poll=False)
            budget.done()
        tasks = [asyncio.create_task(poll(number / pollers)) for number in range(pollers)]
        await clock.run_until(120)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        gaps = [(start, end - start) for start, end in pairwise(times)]
        assert max(gap for _, gap in gaps) < 4 * even
        assert max(gap for start, gap in gaps if start > 30) < 1.2 * even
        assert len([time for time in times if time > 30]) > 0.95 * 90 / even

    async def test_reported_remainder(self) -> None:
        """The server's reported remainder is spread over the time until its reset."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=100)
        budget.observe(say(20, 10))
        crowd = Crowd(budget, clock)
        await crowd.add(*(f"p{number}" for number in range(40)), poll=True)
        await clock.run_until(9.99)
        times = [time for _, time in crowd.went]
        assert 15 <= len(times) <= 20
        assert times[10] > 3
        assert max(end - start for start, end in pairwise(times)) < 1

    def test_on_the_edge(self, clock: FakeClock) -> None:
        """A poll at the exact moment a request leaves the window is not delayed."""
        budget = a_budget(clock, limit=10, window=300)
        clock.advance(0.7)
        for _ in range(5):
            assert budget.try_acquire(poll=False)
            budget.done()
        clock._now = 0.7 + 300
        assert budget.try_acquire(poll=True)

    async def test_cancel(self) -> None:
        """A canceled poll passes its turn to the next one."""
        clock = VirtualClock()
        budget = a_budget(clock, limit=2)
        crowd = Crowd(budget, clock)
        await crowd.add("p", "q", "r", poll=True)
        await crowd.cancel("q")
        await clock.run_until(1000)
        assert [name for name, _ in crowd.went] == ["p", "r"]
