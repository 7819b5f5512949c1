"""When a poller is due: intervals, their growth, and the effects of failures and slow consumers."""

import asyncio

import pytest

from builds_async.live.pace import Pace
from tests.support import FakeClock


async def turns(pace: Pace, clock: FakeClock, count: int, *, took: float = 0.0) -> list[float]:
    """The times of requests without progress, each with a response after `took` seconds."""
    moments = []
    for _ in range(count):
        requested_at = await pace.turn()
        moments.append(requested_at)
        clock.advance(took)
        pace.next_after(requested_at)
        pace.slow_down()
    return moments


async def test_grows_up_to_the_maximum(clock: FakeClock) -> None:
    """The first request is due at once, and intervals grow by the factor up to the maximum."""
    assert await turns(Pace(clock, 2, 8, growth=2), clock, 6) == [0, 2, 6, 14, 22, 30]


async def test_reset(clock: FakeClock) -> None:
    """Progress resets the interval to its minimum."""
    pace = Pace(clock, 2, 100, growth=2)
    await turns(pace, clock, 5)
    pace.reset()
    pace.next_after(clock.now())
    assert pace.pause == 2


async def test_constant_without_a_maximum(clock: FakeClock) -> None:
    """Without a maximum, all intervals are equal."""
    assert await turns(Pace(clock, 3), clock, 4) == [0, 3, 6, 9]


async def test_minimum_above_the_maximum(clock: FakeClock) -> None:
    """A minimum above the maximum wins."""
    assert await turns(Pace(clock, 30, 5), clock, 3) == [0, 30, 60]


async def test_counts_from_request_to_request(clock: FakeClock) -> None:
    """The response time is part of the interval, and a longer one leaves no pause."""
    assert await turns(Pace(clock, 5), clock, 3, took=2) == [0, 5, 10]
    clock.naps.clear()
    assert await turns(Pace(clock, 5), clock, 3, took=7) == [12, 19, 26]
    assert clock.naps == []


async def test_factor(clock: FakeClock) -> None:
    """A factor lengthens only one interval."""
    pace = Pace(clock, 5)
    pace.next_after(0, factor=3)
    assert await pace.turn() == 15
    pace.next_after(15)
    assert await pace.turn() == 20


async def test_failure(clock: FakeClock) -> None:
    """After a failure, the next request is due one interval later, however long the failed one took."""
    pace = Pace(clock, 5)
    await pace.turn()
    clock.advance(60)
    pace.failed()
    assert pace.pause == 5


async def test_cancelled_wait(clock: FakeClock) -> None:
    """A canceled wait does not start over: the elapsed time counts."""
    pace = Pace(clock, 5)
    pace.next_after(clock.now())

    async def interrupted(seconds: float) -> None:
        clock.advance(min(seconds, 2))
        raise asyncio.CancelledError

    clock.sleep = interrupted  # type: ignore[method-assign]  # a clock whose sleeper is canceled
    for left in (5, 3, 1):
        assert pace.pause == left
        with pytest.raises(asyncio.CancelledError):
            await pace.turn()
    assert await pace.turn() == 5
