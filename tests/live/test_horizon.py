"""The forecast of how long polls will be needed."""

from datetime import UTC, datetime, timedelta
from math import inf

from builds_async.live.horizon import Horizon
from builds_async.models.builds import Build, BuildOutcome, BuildStatus

DAY = datetime(2026, 11, 21, tzinfo=UTC)


def finished(seconds: float) -> Build:
    return Build(
        build_uuid="b",
        status=BuildStatus.STOPPED,
        build_outcome=BuildOutcome.SUCCESS,
        initializing_on=DAY,
        stopped_on=DAY + timedelta(seconds=seconds),
    )


def test_none_without_a_build() -> None:
    """Without a build, no polls are needed."""
    assert Horizon().seconds(5.0, [], queued=False) is None


def test_infinite_while_a_build_is_queued() -> None:
    """The horizon is infinite while a build is queued."""
    assert Horizon().seconds(5.0, [("w", 0.0)], queued=True) == inf


def test_as_long_as_the_last_build() -> None:
    """A build is expected to run as long as the last one of its Worker, or two minutes without a last one."""
    horizon = Horizon()
    horizon.learn("w", finished(300.0))
    assert horizon.seconds(10.0, [("w", 0.0)], queued=False) == 290.0
    assert horizon.seconds(10.0, [("v", 0.0)], queued=False) == 110.0
    assert horizon.seconds(10.0, [("v", 0.0), ("w", 5.0)], queued=False) == 295.0


def test_never_short() -> None:
    """A build that takes longer than expected gets at least 30 more seconds."""
    horizon = Horizon()
    assert horizon.seconds(0.0, [("w", 0.0)], queued=False) == 120.0
    assert horizon.seconds(89.0, [("w", 0.0)], queued=False) == 31.0
    assert horizon.seconds(90.0, [("w", 0.0)], queued=False) == 30.0


def test_lasting_load() -> None:
    """Load that has lasted long is expected to last, whatever single builds do, until it pauses."""
    horizon = Horizon()
    horizon.seconds(0.0, [("w", 0.0)], queued=False)
    assert horizon.seconds(500.0, [("w", 450.0)], queued=False) == 440.0
    horizon.seconds(600.0, [], queued=False)
    assert horizon.seconds(700.0, [("w", 700.0)], queued=False) == 120.0


def test_dates_that_are_not_comparable() -> None:
    """A naive date next to an aware one teaches nothing and does no harm."""
    horizon = Horizon()
    naive = (DAY + timedelta(seconds=9)).replace(tzinfo=None)
    odd = Build(build_uuid="b", status=BuildStatus.STOPPED, initializing_on=DAY, stopped_on=naive)
    horizon.learn("w", odd)
    assert horizon.seconds(0.0, [("w", 0.0)], queued=False) == 120.0
