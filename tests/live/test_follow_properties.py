"""Random walks of a follower deliver every line once and in order.

The tests drive coroutines by hand, one step at a time, so a cancellation can strike at any await and ten
minutes of a build cost no time.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds_async.errors import BuildsConnectionError, NotFoundError
from builds_async.live.follow import LogFollower
from builds_async.live.log_reader import SETTLE
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.logs import LogLine, LogPage, LogPosition
from tests.support import CancelledStep, drive
from tests.support.clock import LoneClock

pytestmark = pytest.mark.slow

T = TypeVar("T")

UUID = "5f2b9d64-8f3e-4e0c-9a55-0f6f1f0d7a11"
EPOCH = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class World:
    """One build, and the variations of the API's responses for it."""

    written: list[float]  # when each line was written
    texts: list[str]
    page_sizes: list[int]  # of successive requests
    last_cursor: Literal["tail", "none", "same"]
    lag: float  # delay between writing and showing a line
    outcome_lag: float
    begins: float  # 404 before, unless it has stopped by then
    truncated_lies: bool
    failures: set[int]  # numbers of the failing requests
    repeats: set[int]  # numbers of the requests that repeat the last page
    paging: Literal["offsets", "numbers"] = "offsets"  # numbers: the last page repeats at the end
    stamps: list[int] = field(default_factory=lambda: [1784052295481] * 20)
    lapses: set[int] = field(default_factory=set)  # numbers of the requests with a 404 from a stale replica
    queued: float = 0.0  # the build is queued until then
    stale: set[int] = field(default_factory=set)  # numbers of the requests that see a started build as queued
    gone: float = float("inf")  # the log no longer exists from then on
    clock: LoneClock = field(default_factory=LoneClock)
    requests: int = 0
    last: LogPage = field(default_factory=LogPage)
    repeated: bool = False
    lapsed: bool = False
    given: dict[int, int] = field(default_factory=dict)  # number of lines of each page

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """All lines that the build writes, now or later."""
        return tuple(map(LogLine, self.stamps, self.texts[: len(self.written)]))

    @property
    def stops(self) -> float:
        return max(self.written, default=self.queued) + 1

    async def _arrive(self) -> int:
        await asyncio.sleep(0)
        self.requests += 1
        assert self.requests < 5000, "it spins"
        if self.requests in self.failures:
            raise BuildsConnectionError("reset")
        return self.requests

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime]:
        number = await self._arrive()
        now = self.clock.time
        await asyncio.sleep(0)
        stopped = now >= self.stops
        # Not at the very end, because the lag of a stale copy is bounded.
        queued = now < self.queued or (number in self.stale and now < self.stops)
        begun = BuildStatus.QUEUED if queued else BuildStatus.RUNNING
        build = Build(
            build_uuid=build_uuid,
            status=BuildStatus.STOPPED if stopped else begun,
            build_outcome=BuildOutcome.SUCCESS if stopped and now >= self.stops + self.outcome_lag else None,
            running_on=EPOCH if self.written and not queued else None,
            stopped_on=EPOCH + timedelta(seconds=self.stops) if stopped else None,
        )
        return build, EPOCH + timedelta(seconds=now)

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        assert build_uuid == UUID
        assert self.clock.time >= min(self.queued, self.stops), "the log of a queued build is asked for"
        number = await self._arrive()
        self.lapsed = number in self.lapses and not self.lapsed
        if self.lapsed or not min(self.begins, self.stops) <= self.clock.time < self.gone:
            raise NotFoundError("no log here")
        shown = sum(written + self.lag <= self.clock.time for written in self.written)
        await asyncio.sleep(0)
        if self.paging == "numbers":
            return self._numbered(int(cursor or 0), shown)
        first = int(cursor or 0)
        last = min(shown, first + self.page_sizes[number % len(self.page_sizes)])
        after = (
            {"tail": str(last), "none": None, "same": cursor}[self.last_cursor]
            if last >= shown
            else str(last)
        )
        # A stale page at the very end would be a line that arrives later than the API promises.
        stale = self.last.lines and self.last.cursor == cursor and self.clock.time < self.stops
        if number in self.repeats and stale and not self.repeated:
            self.repeated = True
            return self.last
        self.repeated = False
        self.last = LogPage(
            lines=self.lines[first:last],
            cursor=after,
            truncated=last < shown or (self.truncated_lies and number % 3 == 0),
        )
        return self.last

    def _numbered(self, asked: int, shown: int) -> LogPage:
        """The page of that number, or the previous page if there is none or the previous one was not full."""
        if not shown:
            return LogPage()
        size = self.page_sizes[0]
        has_none = asked * size >= shown
        number = asked - 1 if has_none or self.given.get(asked - 1, size) < size else asked
        lines = self.lines[number * size : min(shown, (number + 1) * size)]
        self.given[number] = len(lines)
        return LogPage(lines=lines, cursor=str(number + 1), truncated=(number + 1) * size < shown)


TIMES = st.floats(0, 60)

worlds = st.builds(
    World,
    written=st.lists(TIMES, max_size=12).map(sorted),
    texts=st.lists(st.sampled_from(["", "a", "b"]), min_size=12, max_size=12),
    page_sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    last_cursor=st.sampled_from(["tail", "none", "same"]),
    # The latest moment at which a line may show is the second look after the end.
    lag=st.sampled_from([0.0, 0.5, 1 + SETTLE - 0.01]),
    outcome_lag=st.sampled_from([0.0, 3.0, 20.0]),
    begins=st.sampled_from([0.0, 0.0, 7.0]),
    truncated_lies=st.booleans(),
    failures=st.sets(st.integers(1, 40), max_size=10),
    repeats=st.sets(st.integers(1, 60), max_size=10),
    lapses=st.sets(st.integers(1, 60), max_size=10),
    stale=st.sets(st.integers(1, 60), max_size=10),
)


def queued_first(world: World, seconds: float) -> World:
    """The same build after `seconds` in the queue. Without lines, it is a build that never ran."""
    world.queued = seconds
    world.written = [seconds + moment for moment in world.written]
    world.begins += seconds
    return world


@st.composite
def last_pages_again(draw: st.DrawFn) -> World:
    """A server that numbers pages and repeats the last page at the end, grown or not.

    Timestamps differ, and lines come in pairs: a follower that has seen only one line can't tell a repeated
    page from an equal line.
    """
    world = draw(worlds)
    world.paging = "numbers"
    world.page_sizes = [draw(st.sampled_from([2, 4, 6]))]
    world.written = sorted(2 * draw(st.lists(TIMES, max_size=6)))
    world.stamps = [1784052295481 + number for number in range(12)]
    return world


@st.composite
def blocks_again(draw: st.DrawFn) -> World:
    """A log in which a block of lines repeats with its old timestamps."""
    world = draw(worlds)
    world.last_cursor = "tail"
    count = draw(st.integers(1, 10))
    first, length = draw(st.integers(0, count - 1)), draw(st.integers(1, 6))
    numbers = [*range(count)]
    block = numbers[first : first + length]
    place = draw(st.integers(first + len(block), count))
    numbers[place:place] = block
    world.texts = [str(number) for number in numbers]
    world.stamps = [1784052295481 + number for number in numbers]
    world.written = sorted(draw(st.lists(TIMES, min_size=len(numbers), max_size=len(numbers))))
    world.repeats = set()  # a repeated page would look the same
    return world


all_worlds = st.builds(
    queued_first,
    worlds | last_pages_again() | blocks_again(),
    st.sampled_from([0.0, 0.0, 2.6, 31.0, 1000.0]) | st.floats(0, 100),
)

steps = st.lists(
    st.tuples(
        st.sampled_from(["read", "next", "next", "hand over"]),
        st.none() | st.integers(0, 4),  # number of the await at which it is canceled
    ),
    max_size=40,
)


def follow(world: World, start: LogPosition | None = None) -> LogFollower:
    return LogFollower(world, UUID, clock=world.clock, start=start)


def take(log: LogFollower, how: str, cancel_at: int | None) -> list[str] | None:
    """The texts of one step, or None at the end of the log."""
    try:
        if how == "read":
            return [line.message for line in drive(log.read(), cancel_at)] or None
        return [drive(log.__anext__(), cancel_at).message]
    except StopAsyncIteration:
        return None
    except (CancelledStep, BuildsConnectionError):
        return []


def read_all(world: World, walk: list[tuple[str, int | None]]) -> tuple[list[str], LogFollower]:
    """The texts of the steps of a walk and of the rest of the log."""
    log = follow(world)
    got: list[str] = []
    for how, cancel_at in walk:
        if how == "hand over":
            world.last = LogPage()  # a new follower can't recognize a repeated page that the old one saw
            stored = msgspec.json.encode(log.position)
            log = follow(world, msgspec.json.decode(stored, type=LogPosition))
        else:
            got += take(log, how, cancel_at) or []
    while (texts := take(log, "next", None)) is not None:
        got += texts
    return got, log


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=all_worlds, walk=steps)
def test_every_line_once_and_in_order(world: World, walk: list[tuple[str, int | None]]) -> None:
    """No response, fault, cancellation or handover makes a follower lose, repeat or reorder a line."""
    got, log = read_all(world, walk)
    assert got == world.texts[: len(world.written)]
    assert log.build.build_outcome == BuildOutcome.SUCCESS
    assert log.complete or world.truncated_lies


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=all_worlds, walk=steps, gone=st.floats(0, 70))
def test_deleted_log_is_never_complete(world: World, walk: list[tuple[str, int | None]], gone: float) -> None:
    """A follower whose log is deleted ends with the build, and is complete only with all lines."""
    world.gone = world.queued + gone
    got, log = read_all(world, walk)
    expected = world.texts[: len(world.written)]
    assert got == expected[: len(got)]
    assert log.build.build_outcome == BuildOutcome.SUCCESS
    assert not log.complete or got == expected
