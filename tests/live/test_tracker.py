"""Which builds are new when dates are missing, wrong or equal, and when responses are stale."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from builds_async import BuildsError, InternalServerError, LogPage, NotFoundError, ResponseDecodeError
from builds_async.live.tail import BuildTail
from builds_async.live.tracker import Tracker
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.changes import WorkerMark
from builds_async.models.envelope import Page
from builds_async.models.logs import LogLine, LogPosition
from builds_async.models.tail import TailLog, TailPosition
from builds_async.results import BulkResult
from tests.live.tail.support import next_line
from tests.support import FakeClock, drive, tags
from tests.support.case import cases

A, B = tags(2)
DAY = datetime(2026, 11, 21, tzinfo=UTC)
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
WRONG = DAY + timedelta(days=400)


def made(uuid: str, created: datetime | int | None = None, *, running: bool = False) -> Build:
    """A build that has failed or is running; an integer `created` is a second of the day."""
    return Build(
        build_uuid=uuid,
        status=BuildStatus.RUNNING if running else BuildStatus.STOPPED,
        build_outcome=None if running else BuildOutcome.FAIL,
        created_on=DAY + timedelta(seconds=created) if isinstance(created, int) else created,
    )


class Source:
    """A Worker with its builds, newest first; `latest` may return another build, and may fail."""

    def __init__(self, *builds: Build) -> None:
        self.builds = [*builds]
        self.latest_build: Build | None = None
        self.failed: dict[str, BuildsError] = {}
        self.skipped = 0
        self.asked: list[str] = []

    async def latest(self, _: Iterable[str]) -> BulkResult[Build]:
        self.asked.append("latest")
        newest = self.latest_build or next(iter(self.builds), None)
        return BulkResult(found={} if newest is None else {A: newest}, failed=self.failed)

    async def get(self, build_uuid: str) -> Build:
        self.asked.append(build_uuid)
        for build in self.builds:
            if build.build_uuid == build_uuid:
                return build
        raise NotFoundError("no such build")

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime]:
        return await self.get(build_uuid), DAY

    async def list(self, _: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        self.asked.append("list")
        return Page(result=tuple(self.builds[(page - 1) * per_page : page * per_page]), skipped=self.skipped)

    async def logs(self, _: str, *, cursor: str | None = None) -> LogPage:
        return LogPage(lines=(LogLine(1, "x"),) if cursor is None else (), cursor="c")

    def tracker(self, marks: dict[str, WorkerMark | None] | None = None) -> Tracker:
        return Tracker(self, [A], FakeClock(), marks)


async def passed(tracker: Tracker) -> None:
    """Look at all Workers, and follow up on the open ones."""
    await tracker.look_up(tracker.ids)
    for tag in tuple(tracker.unfinished):
        await tracker.follow_up(tag)


def looked(tracker: Tracker) -> list[str]:
    """The builds that one pass reports as new."""
    drive(passed(tracker))
    new = [change.build.build_uuid for change in tracker.changes if change.is_new]
    tracker.changes.clear()
    return new


def stored(tracker: Tracker) -> dict[str, WorkerMark | None]:
    """The marks after encoding and decoding."""
    data = msgspec.json.encode(tracker.marks)
    return msgspec.json.decode(data, type=dict[str, WorkerMark | None])


ODD: dict[str, datetime | None] = {
    "null": None,
    "9999": NEVER,
    "next year": WRONG,
    "long ago": DAY.replace(year=1),
}


@cases("date", ODD.values(), ids=ODD)
@cases("restart", [False, True], ids=["one tracker", "restarted"])
def test_odd_date(date: datetime | None, restart: bool) -> None:
    """A build with an odd date is new once, when the list first shows it, and so is each later build."""
    source = Source(made("b1", 1))
    tracker = source.tracker()
    assert looked(tracker) == ["b1"]
    for number, created in enumerate((date, 3, date, 5), 2):
        source.builds.insert(0, made(f"b{number}", created))
        if restart:  # the marked build is reported once more, in its present state
            tracker = source.tracker(stored(tracker))
        assert [it for it in looked(tracker) if it != f"b{number - 1}"] == [f"b{number}"]
        assert looked(tracker) == []


@pytest.mark.parametrize("date", ODD.values(), ids=ODD)
def test_several_at_once(date: datetime | None) -> None:
    """Several new builds are reported in list order where their dates can't decide."""
    source = Source(made("b1", 1))
    tracker = source.tracker()
    looked(tracker)
    source.builds[:0] = [made("b4", 4), made("b3", date), made("b2", 2)]
    assert looked(tracker) == (["b2", "b4", "b3"] if date is WRONG else ["b2", "b3", "b4"])
    assert looked(tracker) == []


@pytest.mark.parametrize("date", [None, NEVER, WRONG], ids=["null", "9999", "next year"])
def test_mark_with_an_odd_date(date: datetime | None) -> None:
    """A stored mark whose date is missing or wrong does not hide later builds."""
    source = Source(made("b3", 3), made("b2", 2), made("b1", date), made("b0", 0))
    tracker = source.tracker({A: WorkerMark("b1", date)})
    assert [it for it in looked(tracker) if it != "b1"] == ["b2", "b3"]
    source.builds.insert(0, made("b4", 4))
    assert looked(tracker) == ["b4"]


@pytest.mark.parametrize("date", [None, NEVER], ids=["null", "9999"])
def test_stale_copy(date: datetime | None) -> None:
    """A look that returns an older build from a stale copy reports nothing, dated or not."""
    source = Source(made("b3", 3), made("b2", date), made("b1", date))
    tracker = source.tracker({A: WorkerMark("b3", DAY + timedelta(seconds=3))})
    for stale in source.builds[1:]:
        source.latest_build = stale
        assert set(looked(tracker)) <= {"b3"}
    source = Source(made("b3", date), made("b2", 2), made("b1", 1))
    tracker = source.tracker({A: WorkerMark("b3", date)})
    source.latest_build = source.builds[-1]
    assert set(looked(tracker)) <= {"b3"}


def test_lagging_list() -> None:
    """A new build that is not listed yet is reported at once and only once, dated or not."""
    for date in (5, None):
        source = Source(made("b1", 1))
        tracker = source.tracker()
        looked(tracker)
        source.latest_build = new = made("b2", date)
        assert looked(tracker) == ["b2"]
        source.builds.insert(0, new)
        assert looked(tracker) == []


def test_first_build_while_the_list_lags() -> None:
    """The first build of a Worker is reported while its list is still empty."""
    source = Source()
    tracker = source.tracker()
    assert looked(tracker) == []
    source.latest_build = made("b1", 1, running=True)
    assert looked(tracker) == ["b1"]
    assert tracker.tracks(A, "b1")


def test_builds_with_equal_dates() -> None:
    """If the marked build was deleted, builds with its date are not new, and later ones are."""
    source = Source(made("b4", 2), made("b3", 1), made("b2", 1), made("b0", 0))
    tracker = source.tracker({A: WorkerMark("b1", DAY + timedelta(seconds=1))})
    assert looked(tracker) == ["b4"]
    source.builds[:0] = [made("b6", 2), made("b5", 2)]
    assert looked(tracker) == ["b5", "b6"]
    assert tracker.marks[A] == WorkerMark("b6", DAY + timedelta(seconds=2))


def test_deleted_mark_and_no_dates() -> None:
    """If the marked build was deleted, an undated build is new if it is listed before all older ones."""
    source = Source(made("b4"), made("b3", 3), made("b1", 1), made("b0"))
    tracker = source.tracker({A: WorkerMark("b2", DAY + timedelta(seconds=2))})
    assert looked(tracker) == ["b3", "b4"]


def test_mark_without_a_date() -> None:
    """The mark of a build without a date, or with one in 9999, has no date."""
    for date in (None, NEVER):
        tracker = Source(made("b1", date)).tracker()
        looked(tracker)
        assert tracker.marks == {A: WorkerMark("b1", None)}


def test_marked_build_is_tracked_again() -> None:
    """After a restart, a marked build that still runs is tracked again, and its end is reported."""
    source = Source(made("b1", 1, running=True))
    tracker = source.tracker({A: WorkerMark("b1", DAY + timedelta(seconds=1))})
    assert looked(tracker) == ["b1"]
    assert tracker.tracks(A, "b1")
    source.builds[0] = made("b1", 1)
    source.builds.insert(0, made("b2", 2))
    drive(passed(tracker))
    reported = [(change.build.build_uuid, change.build.is_finished) for change in tracker.changes]
    assert sorted(reported) == [("b1", True), ("b2", True)]


@pytest.mark.parametrize("uuid", ["a/b", "..", "a\\b"])
def test_invalid_uuid(uuid: str) -> None:
    """A build whose UUID can't be in a path is skipped, and its Worker is in `failures`."""
    source = Source(made(uuid, 1, running=True))
    tracker = source.tracker()
    assert looked(tracker) == []
    assert isinstance(tracker.failures[A], ResponseDecodeError)
    source.builds.insert(0, made("b2", 2))
    assert looked(tracker) == ["b2"]
    assert looked(tracker) == []


def test_unreadable_builds_in_the_list() -> None:
    """If a list has unreadable builds, the Worker is in `failures`, and the other builds are reported."""
    source = Source(made("b1", 1))
    tracker = source.tracker()
    looked(tracker)
    source.builds.insert(0, made("b2", 2))
    source.skipped = 1
    assert looked(tracker) == ["b2"]
    assert "1 of the Worker's builds can't be read" in str(tracker.failures[A])
    assert looked(tracker) == []
    assert tracker.failures == {}


@cases("outcome", list(BuildOutcome))
def test_finished_with_an_unknown_status(outcome: BuildOutcome) -> None:
    """A build with an outcome and an end has finished, whatever its status, and never becomes unfinished."""
    running = made("b1", 1, running=True)
    over = msgspec.structs.replace(
        running, status=BuildStatus("completed"), build_outcome=outcome, stopped_on=DAY
    )
    source = Source(running)
    tracker = source.tracker()
    looked(tracker)
    source.builds[0] = over
    drive(passed(tracker))
    assert [change.build for change in tracker.changes] == [over]
    source.builds[0] = running
    drive(passed(tracker))
    assert len(tracker.changes) == 1


async def test_resumed_tail_whose_look_fails() -> None:
    """When the look at a Worker fails, its open log is still read: its build is requested separately."""
    source = Source(made("b1", 1, running=True))
    source.failed = {A: InternalServerError("busy", status=503)}
    log = TailLog(A, LogPosition())
    tail = BuildTail(
        source,
        [A],
        clock=FakeClock(),
        start=TailPosition({A: WorkerMark("b1")}, {"b1": log}),
        interval=10.0,
        poll_interval=1.0,
        max_poll_interval=5.0,
    )
    line = await next_line(tail)
    assert (line.build.build_uuid, line.line.message) == ("b1", "x")
    assert list(tail.failures) == [A]
    assert "b1" in source.asked
    await tail.aclose()


def test_a_build_from_an_event_during_a_lookup() -> None:
    """A build that an event names after a lookup is covered only by the next lookup.

    Until then the Worker is not settled: a tail that forgot the end of this build would deliver it again.
    """
    source = Source(made("one", 1))
    tracker = source.tracker({A: WorkerMark("one", DAY + timedelta(seconds=1))})
    looked(tracker)
    source.builds.insert(0, made("two", 2))
    tracker.hear(A, source.builds[0])
    drive(tracker.look_up([A]))  # its latest build is "two"
    source.builds.insert(0, made("three", 3))
    tracker.hear(A, source.builds[0])
    drive(tracker.follow_up(A))
    assert tracker.marks[A] == WorkerMark("two", DAY + timedelta(seconds=2))
    assert not tracker.is_settled(A)
    assert looked(tracker) == ["two", "three"]
    assert tracker.is_settled(A)


@pytest.mark.parametrize("newer", [0, 1, 26, 48, 49, 50, 120])
def test_older_running_builds(newer: int) -> None:
    """A mark with `older_may_run` reports older running builds once, wherever the marked one is listed."""
    old, over, marked = made("old", 1, running=True), made("over", 2), made("marked", 3, running=True)
    source = Source(*(made(f"new {n}", 4 + n) for n in reversed(range(newer))), marked, over, old)
    tracker = source.tracker({A: WorkerMark("marked", DAY + timedelta(seconds=3), older_may_run=True)})
    expected = {"old", "marked", *(f"new {n}" for n in range(newer))}
    assert {*looked(tracker)} - {"over"} == expected
    mark = stored(tracker)[A]
    assert mark is not None
    assert not mark.older_may_run
    assert looked(tracker) == []
