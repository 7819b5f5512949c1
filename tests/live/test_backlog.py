"""`tail=N` delivers the last N lines of a log, and each later line once.

The tests drive coroutines by hand, against the simulator without a socket, so a cancellation can strike at
any await.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from builds_async import (
    BuildOutcome,
    BuildsClient,
    BuildsConnectionError,
    BuildTail,
    LogFollower,
    LogLine,
    LogPage,
    LogPosition,
    NotFoundError,
    RateBudget,
    RetryPolicy,
    TailPosition,
)
from builds_async.live.backlog import Backlog
from builds_async.live.log_reader import SETTLE
from builds_async.models.builds import Build, BuildStatus
from builds_async.resources.builds import DatedBuilds
from builds_async.session.session import ApiSession
from builds_async.session.transport import Request, Response
from builds_async.simulator import (
    Behavior,
    BuildDetails,
    BuildsSimulator,
    Moment,
    SimulatedBuild,
    VirtualClock,
)
from tests.live.tail.support import next_line
from tests.support import CancelledStep, drive
from tests.support.clock import LoneClock

EPOCH = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UUID = "5f2b9d64-8f3e-4e0c-9a55-0f6f1f0d7a11"


@dataclass
class World:
    """A build whose log has some lines when a reader starts, and gets more later."""

    there: int
    later: list[float]  # times
    ends: Literal["long ago", "just now", "later"]
    page_size: int
    behavior: Behavior
    failures: set[int] = field(default_factory=set)  # numbers of the failing requests
    latency: float = 0.0  # seconds per request
    requests: int = 0
    shown_first: int | None = None  # number of lines at the first look
    shown: int = 0  # number of lines at the last look
    asked_log: list[float] = field(default_factory=list)  # times

    def __post_init__(self) -> None:
        self.clock = LoneClock()
        self.sim = BuildsSimulator(
            clock=self.clock,
            epoch=EPOCH,
            seed=1,
            page_size=self.page_size,
            behavior=self.behavior,
            rate_limit=None,
        )
        end = {"long ago": -3600.0, "just now": -0.5, "later": max(self.later, default=0.0) + 1}[self.ends]
        moments: list[Moment] = [(end - 100 + number / 100, f"old {number}") for number in range(self.there)]
        if self.ends == "later":
            moments += [(moment, f"new {moment}") for moment in self.later]
            moments = [(min(moment, end), text) for moment, text in moments]
        born = min(end, 0.0) - 200
        script = [(moment - born, what) for moment, what in [*moments, (end, BuildOutcome.SUCCESS)]]
        self.build = self.sim._add_build(BuildDetails(), script, created=born)
        self._served = self.sim.transport
        session = ApiSession(
            self,
            f"/accounts/{self.sim.account_id}",
            credentials={"Authorization": f"Bearer {self.sim.api_token}"},
            retry=RetryPolicy(attempts=1),
            budget=RateBudget(limit=10**6),
            max_in_flight=10,
            clock=self.clock,
        )
        self.builds = DatedBuilds(session)

    async def send(self, request: Request) -> Response:
        assert (request.method, request.body) == ("GET", None)
        await asyncio.sleep(0)
        self.requests += 1
        assert self.requests < 3000, "it spins"
        self.clock.time += self.latency
        if self.requests in self.failures:
            raise BuildsConnectionError("reset")
        if request.path.endswith("/logs"):
            self.asked_log.append(self.clock.time)
            self.shown = self.build.readable
            self.shown_first = self.shown if self.shown_first is None else self.shown_first
        response = await self._served.send(request)
        if self.shown_first is None and b'"queued"' in response.body:
            self.shown_first = 0  # now the reader knows that there are none
        await asyncio.sleep(0)
        return response

    def check_open(self) -> None:
        """Do nothing: it is always open."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    def follow(self, tail: int | None, start: LogPosition | None = None) -> LogFollower:
        return LogFollower(
            self.builds,
            self.build.build_uuid,
            clock=self.clock,
            start=start,
            tail=tail,
        )

    @property
    def lines(self) -> list[LogLine]:
        return list(self.build.lines)


BEHAVIOURS = st.builds(
    Behavior,
    cursors=st.sampled_from(["array", "quoted", "raw", "new"]),
    last_page_cursor=st.sampled_from(["tail", "same", "null", "absent"]),
    queued_logs=st.sampled_from(["empty", "not_found"]),
    truncated_hollow=st.sampled_from([0, 0, 1, 4]),
    null_logs_result=st.booleans(),
    late_lines=st.sampled_from([0.0, 0.0, 1.0]),
    late_outcome=st.sampled_from([0.0, 0.0, 3.0]),
)
WORLDS = st.builds(
    World,
    there=st.integers(0, 25),
    later=st.lists(st.floats(0.1, 20), max_size=8).map(sorted),
    ends=st.sampled_from(["long ago", "just now", "later"]),
    page_size=st.integers(1, 9),
    behavior=BEHAVIOURS,
    failures=st.sets(st.integers(1, 30), max_size=6),
    latency=st.sampled_from([0.0, 0.1, 0.4]),
)
QUEUED = st.builds(
    World,
    there=st.just(0),
    later=st.lists(st.floats(30, 200), min_size=1, max_size=8).map(sorted),
    ends=st.just("later"),
    page_size=st.integers(1, 9),
    behavior=BEHAVIOURS,
    failures=st.sets(st.integers(1, 30), max_size=6),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "next", "next"]), st.none() | st.integers(0, 4)), max_size=20
)


def take(log: LogFollower, how: str = "read", cancel_at: int | None = None) -> list[LogLine] | None:
    """The lines of one step, or None at the end of the log."""
    try:
        if how == "read":
            return [*drive(log.read(), cancel_at)] or None
        return [drive(log.__anext__(), cancel_at)]
    except StopAsyncIteration:
        return None
    except (CancelledStep, BuildsConnectionError):
        return []


def rest(log: LogFollower) -> list[LogLine]:
    """All remaining lines."""
    got: list[LogLine] = []
    while (lines := take(log)) is not None:
        got += lines
    return got


def settled(*, there: int = 3, hollow: int = 0, cursor: str = "tail", late: float = 1.0) -> World:
    behavior = Behavior(truncated_hollow=hollow, last_page_cursor=cursor, late_lines=late)  # type: ignore[arg-type]
    return World(there=there, later=[0.5, 0.9], ends="later", page_size=2, behavior=behavior)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=WORLDS, count=st.integers(0, 30), walk=STEPS)
@example(world=settled(), count=2, walk=[])
@example(world=settled(hollow=1), count=2, walk=[])
@example(world=settled(hollow=4, cursor="null"), count=1, walk=[])
def test_last_lines_and_all_that_follow(world: World, count: int, walk: list[tuple[str, int | None]]) -> None:
    """A follower skips all but the last existing lines, and delivers each later line once and in order."""
    log = world.follow(count)
    got: list[LogLine] = []
    begun: int | None = None  # number of lines when the first one was delivered
    for how, cancel_at in walk:
        got += take(log, how, cancel_at) or []
        begun = world.shown if got and begun is None else begun
    while (lines := take(log, "next" if len(got) % 2 else "read")) is not None:
        got += lines
        begun = world.shown if got and begun is None else begun
    lines = world.lines
    start = len(lines) - len(got)
    assert got == lines[start:]
    assert log.build.build_outcome == BuildOutcome.SUCCESS
    assert log.complete
    assert world.shown_first is not None
    assert start >= max(0, world.shown_first - count) or not got
    assert start <= max(0, (world.shown if begun is None else begun) - count) or count >= len(lines)
    if world.ends == "long ago":
        assert got == (lines[-count:] if count else [])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=WORLDS, count=st.integers(0, 12), walk=STEPS)
@example(world=settled(), count=2, walk=[("read", 2), ("read", 4)])
def test_position_at_any_moment(world: World, count: int, walk: list[tuple[str, int | None]]) -> None:
    """A position taken at any moment, even while lines are skipped, loses no later line."""
    log = world.follow(count)
    got: list[LogLine] = []
    for how, cancel_at in walk:
        got += take(log, how, cancel_at) or []
    shown, first = world.shown, world.shown_first
    stored = msgspec.json.decode(msgspec.json.encode(log.position), type=LogPosition)
    after = rest(world.follow(None, stored))
    lines = world.lines
    both = [*got, *after]
    start = len(lines) - len(both)
    assert both == lines[start:]
    assert start <= max(0, shown - count)
    assert not got or first is None or start >= max(0, first - count)
    assert rest(world.follow(None, log.position)) == after


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=WORLDS, count=st.integers(0, 12), done=st.integers(0, 30))
def test_with_a_start(world: World, count: int, done: int) -> None:
    """With a `start`, only lines after it are delivered, and `tail` counts among those."""
    world.failures = set()
    earlier = world.follow(None)
    given_out = 0
    for _ in range(done):
        given_out += len(take(earlier, "next") or [])
    position, now = earlier.position, world.clock.time
    log = world.follow(count, position)
    got = rest(log)
    lines = world.lines
    start = len(lines) - len(got)
    assert got == lines[start:]
    assert start >= given_out
    if world.ends == "long ago":
        assert start == max(given_out, len(lines) - count)
    assert world.clock.time >= now


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=QUEUED, count=st.integers(0, 12), walk=STEPS)
def test_queued_build(world: World, count: int, walk: list[tuple[str, int | None]]) -> None:
    """All lines of a queued build are delivered, and its log is not requested before it starts."""
    log = world.follow(count)
    got: list[LogLine] = []
    for how, cancel_at in walk:
        got += take(log, how, cancel_at) or []
    got += rest(log)
    assert got == world.lines
    assert log.complete
    assert all(when >= world.later[0] - 1e-6 for when in world.asked_log)


def page(*texts: str, cursor: str | None = None, truncated: bool = False) -> LogPage:
    return LogPage(
        lines=tuple(LogLine(1784052295481, text) for text in texts), cursor=cursor, truncated=truncated
    )


RUNNING = Build(build_uuid=UUID, status=BuildStatus.RUNNING)
STOPPED = Build(
    build_uuid=UUID, status=BuildStatus.STOPPED, build_outcome=BuildOutcome.SUCCESS, stopped_on=EPOCH
)


class Script:
    """A source with a list of pages for each cursor; the last page of a list repeats forever."""

    def __init__(self, builds: list[Build], **pages: list[LogPage]) -> None:
        self.builds = builds
        self.pages = pages
        self.asked: list[str | None] = []

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime]:
        assert build_uuid == UUID
        build = self.builds.pop(0) if len(self.builds) > 1 else self.builds[0]
        return build, EPOCH + timedelta(hours=1)

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        assert build_uuid == UUID
        self.asked.append(cursor)
        pages = self.pages[cursor or "none"]
        return pages.pop(0) if len(pages) > 1 else pages[0]


def follower(script: Script, tail: int) -> tuple[LogFollower, LoneClock]:
    clock = LoneClock()
    return LogFollower(script, UUID, clock=clock, tail=tail), clock


class TestScripted:
    def test_stop_at_the_end_of_the_backlog(self) -> None:
        """A build that stops while its backlog is skipped gets its second look for late lines."""
        script = Script(
            [RUNNING, STOPPED],
            none=[page("a", "b", cursor="1", truncated=True)],
            **{"1": [page(cursor="1"), page(cursor="1"), page("late", cursor="2")], "2": [page(cursor="2")]},
        )
        log, clock = follower(script, 1)
        assert [line.message for line in rest(log)] == ["b", "late"]
        assert clock.time >= SETTLE
        assert log.complete

    def test_log_without_a_build(self) -> None:
        """An unknown build raises NotFoundError with a tail, too."""

        class Nothing(Script):
            async def get_dated(self, build_uuid: str) -> tuple[Build, datetime]:
                raise NotFoundError(build_uuid)

        log, _ = follower(Nothing([]), 3)
        for _ in range(2):
            with pytest.raises(NotFoundError):
                drive(log.read())

    def test_finished_log_takes_no_time(self) -> None:
        """The last lines of a build that has already finished arrive without a pause."""
        script = Script(
            [STOPPED],
            none=[page(*"abc", cursor="1", truncated=True)],
            **{"1": [page(*"def", cursor="2")], "2": [page(cursor="2")]},
        )
        log, clock = follower(script, 4)
        assert [line.message for line in rest(log)] == ["c", "d", "e", "f"]
        assert clock.time == 0

    @pytest.mark.parametrize("count", [0, 1, 5])
    def test_endless_hollow_pages(self, count: int) -> None:
        """A log that always claims to continue ends after its last lines and is not complete."""
        cursors = [str(number) for number in range(1, 60)]
        pages = {here: [page(cursor=there, truncated=True)] for here, there in pairwise(cursors)}
        script = Script([STOPPED], none=[page(*"ab", cursor="1", truncated=True)], **pages)
        log, _ = follower(script, count)
        assert [line.message for line in rest(log)] == [*"ab"][2 - min(count, 2) :]
        assert not log.complete
        assert len(script.asked) < 40

    def test_hollow_page_within(self) -> None:
        """A page without lines that is marked `truncated` is not the end of the log."""
        script = Script(
            [STOPPED],
            none=[page(*"ab", cursor="1", truncated=True)],
            **{
                "1": [page(cursor="2", truncated=True)],
                "2": [page(*"cd", cursor="3")],
                "3": [page(cursor="3")],
            },
        )
        log, _ = follower(script, 1)
        assert [line.message for line in rest(log)] == ["d"]

    @pytest.mark.parametrize("count", [-1, -100])
    def test_misuse(self, count: int) -> None:
        """A negative number of lines raises ValueError."""
        with pytest.raises(ValueError, match=f"tail must be a number of lines, 0 or more, not {count}"):
            follower(Script([STOPPED]), count)

    def test_bounded(self) -> None:
        """The memory of a backlog depends on the number of requested lines, not on its length."""
        backlog = Backlog(10)
        for number in range(1000):
            backlog.add(LogPosition(str(number), 2, 3 * number), 3)
        assert len(backlog._batches) <= 4
        assert backlog.start == LogPosition("996", 2 + 2, 3 * 996 + 2)
        assert Backlog(0).start is None
        assert Backlog(5).start is None


class TestClient:
    async def test_follow_and_tail_misuse(self) -> None:
        """Both verbs refuse a negative count at once, without a request."""
        async with BuildsClient(account_id="0" * 32, api_token="x" * 20) as client:
            verbs: list[Callable[[], object]] = [
                lambda: client.follow(UUID, tail=-1),
                lambda: client.tail(["0" * 32], tail=-1),
            ]
            for verb in verbs:
                with pytest.raises(ValueError, match="not -1"):
                    verb()

    @pytest.mark.parametrize("count", [0, 1, 5, 100])
    async def test_running_build(self, count: int) -> None:
        """Over a socket, the last existing lines arrive first, and later lines as they are written."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20), page_size=7)
        async with (
            sim,
            sim.client(transport=None) as client,
        ):
            build = sim.add_build()
            build.emit(*(f"old {number}" for number in range(30)))
            log = client.follow(build.build_uuid, tail=count)
            waiting = asyncio.ensure_future(log.read())
            await sim.clock.sleep(3)
            build.emit("new 1", "new 2")
            got = [*await waiting]
            build.finish()
            got += [line async for line in log]
        assert got == list(build.lines)[max(0, 30 - count) :]


def emitting(sim: BuildsSimulator, tag: str, texts: int) -> SimulatedBuild:
    build = sim.add_build(external_script_id=tag)
    build.emit(*(f"{number}" for number in range(texts)))
    return build


async def _take(lines: BuildTail, count: int) -> list[tuple[str, str]]:
    got = []
    for _ in range(count):
        line = await next_line(lines)
        got.append((line.build.build_uuid, line.line.message))
    return got


class TestTail:
    @pytest.mark.parametrize("count", [0, 1, 4])
    async def test_each_log_from_its_last_lines(self, count: int) -> None:
        """Existing logs start at their last lines, and logs of new builds at their first."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20), page_size=3)
        async with (
            sim,
            sim.client(transport=None) as client,
        ):
            tags = [sim.add_worker(), sim.add_worker()]
            old = [emitting(sim, tag, 10) for tag in tags]
            async with client.tail(tags, tail=count, interval=5) as lines:
                got = await _take(lines, 2 * count)
                waiting = asyncio.ensure_future(_take(lines, 6))
                await sim.clock.sleep(12)
                old[0].emit("later", "later")
                old[1].finish()
                new = emitting(sim, tags[1], 4)
                got += await waiting
        by_build: dict[str, list[str]] = {}
        for uuid, text in got:
            by_build.setdefault(uuid, []).append(text)
        last = [str(number) for number in range(10)][10 - count :]
        assert by_build.pop(old[0].build_uuid) == [*last, "later", "later"]
        assert by_build.pop(old[1].build_uuid, []) == last
        assert by_build == {new.build_uuid: ["0", "1", "2", "3"]}

    async def test_start_overrides_tail(self) -> None:
        """A position overrides `tail`: all lines after it are delivered."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20), page_size=3)
        async with (
            sim,
            sim.client(transport=None) as client,
        ):
            tag = sim.add_worker()
            build = emitting(sim, tag, 8)
            async with client.tail([tag], tail=4) as lines:
                assert await _take(lines, 2) == [(build.build_uuid, "4"), (build.build_uuid, "5")]
                stored = msgspec.json.encode(lines.position)
            build.emit("8", "9")
            position = msgspec.json.decode(stored, type=TailPosition)
            async with client.tail([tag], tail=1, start=position) as lines:
                texts = [text for _, text in await _take(lines, 4)]
        assert texts == ["6", "7", "8", "9"]
