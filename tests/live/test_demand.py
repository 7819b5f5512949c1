"""The forecast that followers give a budget: how long their builds will need polls."""

import gc
from datetime import UTC, datetime, timedelta
from math import inf

from builds_async import RateBudget
from builds_async.live.demand import Demand
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from tests.support import FakeClock

DAY = datetime(2026, 11, 21, tzinfo=UTC)


class Budget(RateBudget):
    """A budget that records the horizons."""

    def __init__(self) -> None:
        super().__init__()
        self.horizons: list[float | None] = []

    def set_horizon(self, poller: object, seconds: float | None, *, builds: int = 1) -> None:  # noqa: ARG002  # the protocol's
        self.horizons.append(seconds)


class Follower:
    """Something that follows a build."""


def build(status: BuildStatus) -> Build:
    return Build(build_uuid="b", status=status)


def finished(seconds: float) -> Build:
    return Build(
        build_uuid="b",
        status=BuildStatus.STOPPED,
        build_outcome=BuildOutcome.SUCCESS,
        running_on=DAY,
        stopped_on=DAY + timedelta(seconds=seconds),
    )


def test_life_of_a_build(clock: FakeClock) -> None:
    """The horizon is None for a queued build, the usual remaining time for a running one, then None."""
    budget, follower = Budget(), Follower()
    demand = Demand(clock, budget)
    demand.see(follower, build(BuildStatus.QUEUED))
    clock.advance(10)
    demand.see(follower, build(BuildStatus.RUNNING))
    clock.advance(20)
    demand.see(follower, build(BuildStatus.RUNNING))
    demand.see(follower, finished(40.0))
    assert budget.horizons == [None, 120.0, 100.0, None]


def test_queued_next_to_running(clock: FakeClock) -> None:
    """The horizon is infinite while other builds are queued."""
    budget, queued, running = Budget(), Follower(), Follower()
    demand = Demand(clock, budget)
    demand.see(queued, build(BuildStatus.QUEUED))
    clock.advance(1)
    demand.see(running, build(BuildStatus.RUNNING))
    assert budget.horizons == [None, inf]


def test_usual_duration(clock: FakeClock) -> None:
    """A build is expected to run as long as the last build of its Worker that any follower has seen."""
    budget, first, second = Budget(), Follower(), Follower()
    demand = Demand(clock, budget)
    demand.see(first, finished(250.0))
    clock.advance(1)
    demand.see(second, build(BuildStatus.RUNNING))
    assert budget.horizons == [None, 250.0]


def test_once_a_second(clock: FakeClock) -> None:
    """The horizon is set at most once per second, however many followers there are."""
    budget, followers = Budget(), [Follower() for _ in range(100)]
    demand = Demand(clock, budget)
    for _ in range(30):
        for follower in followers:
            demand.see(follower, build(BuildStatus.RUNNING))
        clock.advance(0.5)
    assert len(budget.horizons) == 15


def test_follower_that_is_dropped(clock: FakeClock) -> None:
    """A follower that was canceled and dropped no longer counts."""
    budget, queued, running = Budget(), Follower(), Follower()
    demand = Demand(clock, budget)
    demand.see(queued, build(BuildStatus.QUEUED))
    del queued
    gc.collect()
    clock.advance(1)
    demand.see(running, build(BuildStatus.RUNNING))
    assert budget.horizons == [None, 120.0]
