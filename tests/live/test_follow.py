"""The follower against a scripted source: which requests it makes, when, and the lines it gives."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
import pytest

from builds_async.errors import BuildsConnectionError, BuildsError, NotFoundError, RateLimitError
from builds_async.live.follow import LogFollower
from builds_async.live.log_cursor import MAX_EMPTY_TRUNCATED
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.logs import LogLine, LogPage, LogPosition
from tests.support import FakeClock

T = TypeVar("T")
UUID = "5f2b9d64-8f3e-4e0c-9a55-0f6f1f0d7a11"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def build(status: str = "running", outcome: str | None = None, stopped_on: datetime | None = None) -> Build:
    return Build(
        build_uuid=UUID,
        status=BuildStatus(status),
        build_outcome=BuildOutcome(outcome) if outcome else None,
        stopped_on=stopped_on,
    )


RUNNING = build()
STOPPED = build("stopped")
FINISHED = build("stopped", "success", NOW - timedelta(hours=1))


def lines(*texts: str) -> tuple[LogLine, ...]:
    return tuple(LogLine(1784052295481, text) for text in texts)


def page(*texts: str, cursor: str | None = None, truncated: bool = False) -> LogPage:
    return LogPage(lines=lines(*texts), cursor=cursor, truncated=truncated)


NOTHING = page()


class Script:
    """A source that responds from two lists, with the last entry for ever; `asked` has the requests."""

    def __init__(self, builds: Sequence[Build | BuildsError], pages: Sequence[LogPage | BuildsError]) -> None:
        self.builds = list(builds)
        self.pages = list(pages)
        self.asked: list[str | None] = []

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime]:
        assert build_uuid == UUID
        self.asked.append("build")
        return take(self.builds), NOW

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        assert build_uuid == UUID
        self.asked.append(cursor)
        return take(self.pages)


def take(responses: list[T | BuildsError]) -> T:
    response = responses.pop(0) if len(responses) > 1 else responses[0]
    if isinstance(response, BuildsError):
        raise response
    return response


class Followed:
    """A follower, its script and its clock."""

    def __init__(
        self,
        builds: Sequence[Build | BuildsError],
        pages: Sequence[LogPage | BuildsError],
        *,
        start: LogPosition | None = None,
        poll_interval: float = 1.0,
    ) -> None:
        self.script = Script(builds, pages)
        self.clock = FakeClock()
        self.log = LogFollower(self.script, UUID, clock=self.clock, start=start, poll_interval=poll_interval)

    async def texts(self) -> list[str]:
        return [line.message async for line in self.log]


def error(message: str = "the connection failed") -> BuildsError:
    return BuildsConnectionError(message, method="GET", path="/logs", attempts=4)


class TestTheEnd:
    async def test_finished_log_is_read_without_a_pause(self) -> None:
        """A log whose build finished before is read page by page to an empty one, without any sleep."""
        it = Followed(
            [FINISHED], [page("a", "b", cursor="1", truncated=True), page("c", cursor="2"), page(cursor="2")]
        )
        assert await it.texts() == ["a", "b", "c"]
        assert it.script.asked == ["build", None, "1", "2"]
        assert it.clock.naps == []
        assert it.log.build is FINISHED
        assert it.log.complete

    async def test_stop_seen_while_following_settles(self) -> None:
        """When the build stops while it is followed, the log is drained, and read again 2 s later."""
        it = Followed(
            [RUNNING, FINISHED],
            [
                page("a", cursor="1"),
                page(cursor="1"),
                page("b", cursor="2"),
                page(cursor="2"),
                page("late", cursor="3"),
                page(cursor="3"),
            ],
        )
        assert await it.texts() == ["a", "b", "late"]
        assert it.script.asked == ["build", None, "1", "build", "1", "2", "2", "3"]
        assert it.clock.naps == [1.0, 2.0]
        assert it.log.complete

    @pytest.mark.parametrize(
        ("ago", "naps"),
        [
            pytest.param(timedelta(seconds=1), [2.0], id="a second ago"),
            pytest.param(timedelta(seconds=-1), [2.0], id="by a clock that runs ahead"),
            pytest.param(timedelta(seconds=6), [], id="six seconds ago"),
            pytest.param(None, [2.0], id="at an unknown time"),
        ],
    )
    async def test_build_that_stopped_just_before_settles(
        self, ago: timedelta | None, naps: list[float]
    ) -> None:
        """A build that may have stopped just before the first request gets the same second look."""
        stopped_on = None if ago is None else NOW - ago
        it = Followed([build("stopped", "fail", stopped_on)], [page("a", cursor="1"), page(cursor="1")])
        assert await it.texts() == ["a"]
        assert it.clock.naps == naps

    async def test_outcome_that_comes_late_is_waited_for(self) -> None:
        """A stopped build without an outcome is asked again, paced, and its outcome is known at the end."""
        it = Followed([STOPPED, STOPPED, STOPPED, FINISHED], [page("a", cursor="1"), page(cursor="1")])
        assert await it.texts() == ["a"]
        assert it.log.build.build_outcome == "success"
        assert it.clock.naps == [1.0, 1.0, 1.5, 2.0]

    async def test_outcome_that_never_comes_ends_the_wait(self) -> None:
        """After about 30 s without an outcome the follower ends without it."""
        it = Followed([STOPPED], [page("a", cursor="1"), page(cursor="1")])
        assert await it.texts() == ["a"]
        assert it.log.build.build_outcome is None
        assert it.log.complete
        assert 30 <= it.clock.now() < 40
        assert len(it.script.asked) < 30

    async def test_ended_log_is_never_asked_again(self) -> None:
        """At the end `read` gives `()` and iteration stops, every time, without a request."""
        it = Followed([FINISHED], [page("a", cursor="1"), page(cursor="1")])
        assert await it.texts() == ["a"]
        asked = list(it.script.asked)
        assert await it.log.read() == ()
        assert await it.log.read() == ()
        assert await it.texts() == []
        assert it.script.asked == asked

    @pytest.mark.parametrize("status", ["initializing", "running", "paused"])
    async def test_unfinished_build_does_not_end_the_log(self, status: str) -> None:
        """Whatever the status is called, only `stopped` ends a log."""
        it = Followed(
            [build(status), build(status), FINISHED],
            [NOTHING, NOTHING, page("a", cursor="1"), page(cursor="1")],
        )
        assert await it.texts() == ["a"]

    async def test_log_without_lines_ends(self) -> None:
        """A finished build whose log is empty, or was never made, gives no line and ends complete."""
        it = Followed([FINISHED], [NotFoundError("no log")])
        assert await it.texts() == []
        assert it.log.complete
        assert it.script.asked == ["build", None]


class TestTruncated:
    @pytest.mark.parametrize(
        ("hollow", "asked"),
        [
            pytest.param([page(cursor="1", truncated=True)], 3, id="cursor stands still"),
            pytest.param([page(truncated=True)], 3, id="no cursor"),
            pytest.param(
                [page(cursor=str(i), truncated=True) for i in range(2, 99)],
                2 + 1 + MAX_EMPTY_TRUNCATED,
                id="cursor moves",
            ),
        ],
    )
    async def test_hollow_pages_end_a_finished_log(self, hollow: list[LogPage], asked: int) -> None:
        """Truncated pages without lines are followed while the cursor moves, ten in a row, and no further."""
        it = Followed([FINISHED], [page("a", cursor="1", truncated=True), *hollow])
        assert await it.texts() == ["a"]
        assert not it.log.complete
        assert len(it.script.asked) == asked
        assert it.clock.naps == []

    async def test_lines_behind_hollow_pages_are_found(self) -> None:
        """A few truncated pages without lines hide nothing that lies behind them."""
        hollow = [page(cursor=str(i), truncated=True) for i in range(MAX_EMPTY_TRUNCATED)]
        it = Followed(
            [FINISHED], [*hollow, page("a", cursor="x"), *hollow, page("b", cursor="y"), page(cursor="y")]
        )
        assert await it.texts() == ["a", "b"]
        assert it.log.complete

    @pytest.mark.parametrize("cursor", ["1", "2", None])
    async def test_hollow_pages_of_a_running_build_are_paced(self, cursor: str | None) -> None:
        """A truncated page without lines of a running build neither ends the log nor spins."""
        it = Followed(
            [RUNNING] * 30 + [FINISHED],
            [page(cursor=cursor, truncated=True)] * 30 + [page("a", cursor="3"), page(cursor="3")],
        )
        assert await it.texts() == ["a"]
        assert it.clock.now() > 100

    async def test_truncated_page_with_lines_is_followed_at_once(self) -> None:
        """More lines behind a page are fetched without a pause, also while the build runs."""
        it = Followed(
            [RUNNING, FINISHED],
            [page("a", cursor="1", truncated=True), page("b", cursor="2", truncated=True), page(cursor="2")],
        )
        assert await it.log.read() == lines("a")
        assert await it.log.read() == lines("b")
        assert it.clock.naps == []

    async def test_same_page_claiming_more_does_not_spin(self) -> None:
        """A page that says truncated but gives no other cursor is read again at the usual pace."""
        it = Followed([RUNNING, RUNNING, FINISHED], [page("a", truncated=True), page("a", truncated=True)])
        assert await it.texts() == ["a"]
        assert it.clock.naps[0] == 1.0
        assert not it.log.complete


class TestWhere:
    async def test_page_without_cursor_is_read_again_and_skipped(self) -> None:
        """Where the last page has no cursor it is asked for again, and its lines are not given twice."""
        it = Followed(
            [RUNNING, RUNNING, FINISHED],
            [
                page("a", cursor="1", truncated=True),
                page("b"),
                page("b", "c"),
                page("b", "c"),
                page("b", "c", "d", cursor="2"),
                page(cursor="2"),
            ],
        )
        assert await it.texts() == ["a", "b", "c", "d"]
        assert it.script.asked[:6] == ["build", None, "1", "1", "1", "build"]

    async def test_repeated_cursor_is_the_same_page(self) -> None:
        """A page that names itself as the next one is read again and skipped by offset."""
        it = Followed(
            [FINISHED],
            [
                page("a", cursor="1"),
                page("b", cursor="1"),
                page("b", "c", cursor="1"),
                page("b", "c", cursor="1"),
            ],
        )
        assert await it.texts() == ["a", "b", "c"]

    async def test_offset_beyond_a_page_carries_over(self) -> None:
        """If a page comes back smaller than it was, the rest is skipped behind it."""
        it = Followed(
            [FINISHED],
            [
                page("a", "b", "c"),
                page("a", cursor="1"),
                page("b", cursor="2"),
                page("c", "d", cursor="3"),
                page(cursor="3"),
            ],
        )
        assert await it.texts() == ["a", "b", "c", "d"]

    async def test_equal_lines_are_all_given(self) -> None:
        """Neighbors with the same time and text are real lines, within a page and across pages."""
        it = Followed([FINISHED], [page("", "", cursor="1"), page("", cursor="2"), page(cursor="2")])
        assert await it.texts() == ["", "", ""]

    @pytest.mark.parametrize("given", range(6))
    async def test_position_hands_over_after_any_line(self, given: int) -> None:
        """A new follower that starts at a stored position gives exactly the lines that are left."""
        pages = [page("a", "b", "c", cursor="1"), page("d", "e", cursor="2"), page(cursor="2")]
        first = Followed([FINISHED], pages)
        got = [(await anext(first.log)).message for _ in range(given)]
        stored = msgspec.json.encode(first.log.position)
        start = msgspec.json.decode(stored, type=LogPosition)
        rest = {None: pages, "1": pages[1:], "2": pages[2:]}[start.cursor]
        second = Followed([FINISHED], rest, start=start)
        assert got + await second.texts() == ["a", "b", "c", "d", "e"]
        assert second.script.asked[1] == start.cursor

    async def test_read_and_iteration_take_from_the_same_place(self) -> None:
        """`read` after some lines gives the rest of the batch, and the loop goes on behind it."""
        it = Followed(
            [FINISHED], [page("a", "b", "c", cursor="1"), page("d", "e", cursor="2"), page(cursor="2")]
        )
        assert (await anext(it.log)).message == "a"
        assert await it.log.read() == lines("b", "c")
        assert (await anext(it.log)).message == "d"
        assert await it.log.read() == lines("e")
        assert await it.log.read() == ()

    async def test_second_loop_goes_on_after_break(self) -> None:
        """A loop left with `break` is taken up by the next one."""
        it = Followed([FINISHED], [page("a", "b", cursor="1"), page("c", cursor="2"), page(cursor="2")])
        async for line in it.log:
            assert line.message == "a"
            break
        assert await it.texts() == ["b", "c"]

    @pytest.mark.parametrize("start", [LogPosition("x", -1)])
    def test_negative_offset_is_refused(self, start: LogPosition) -> None:
        """A position that can't be is a ValueError at once."""
        with pytest.raises(ValueError, match="offset"):
            Followed([FINISHED], [NOTHING], start=start)

    async def test_page_given_twice_by_a_slip_is_passed_over(self) -> None:
        """A page that comes once more in place of the page behind it gives no line twice."""
        first = page("a", "b", cursor="1")
        it = Followed([FINISHED], [first, first, page("c", cursor="2"), page(cursor="2")])
        assert await it.texts() == ["a", "b", "c"]

    async def test_page_equal_to_the_one_before_is_real(self) -> None:
        """A page that stays equal to the one before it when it is asked for again is given."""
        it = Followed([FINISHED], [page("", cursor="1"), page("", cursor="1")])
        assert await it.texts() == ["", ""]
        assert it.script.asked == ["build", None, "1", "1", "1"]

    async def test_page_that_repeats_itself_at_the_end_is_given_once(self) -> None:
        """The last page in response to its own cursor, repeated and grown, gives no line twice."""
        one, two, three = (LogLine(number, str(number)) for number in (1, 2, 3))
        last, grown = LogPage(lines=(one, two), cursor="1"), LogPage(lines=(one, two, three), cursor="1")
        it = Followed(
            [RUNNING] * 4 + [FINISHED], [last, last, last, grown, grown, page("4", cursor="2"), page()]
        )
        assert await it.texts() == ["1", "2", "3", "4"]
        assert it.log.complete

    async def test_position_before_a_repeated_page_is_the_page_itself(self) -> None:
        """Until something comes behind a page, a new follower starts in it, so that it can know it again."""
        it = Followed([RUNNING], [page("a", "b", cursor="1", truncated=True), page("c", cursor="2"), NOTHING])
        await it.log.read()
        assert it.log.position == LogPosition(None, 2, 2)
        await it.log.read()
        assert it.log.position == LogPosition("1", 1, 3)


class TestGone:
    @pytest.mark.parametrize(
        ("start", "pages", "texts"),
        [
            pytest.param(None, [page("a", cursor="1")], ["a"], id="behind a cursor"),
            pytest.param(None, [page("a")], ["a"], id="behind a line"),
            pytest.param(None, [page(cursor="1", truncated=True)], [], id="behind an empty page"),
            pytest.param(LogPosition("x", 3), [], [], id="at a position that was kept for too long"),
            pytest.param(LogPosition(None, 3), [], [], id="at a position in the first page"),
        ],
    )
    async def test_log_that_is_gone_is_incomplete(
        self, start: LogPosition | None, pages: list[LogPage | BuildsError], texts: list[str]
    ) -> None:
        """A 404 where the log had begun ends it incomplete, after one more look 2 s later."""
        it = Followed([FINISHED], [*pages, NotFoundError("gone")], start=start)
        assert await it.texts() == texts
        assert not it.log.complete
        assert it.clock.naps == [2.0]

    async def test_log_that_a_build_must_have_had_is_incomplete(self) -> None:
        """A build that ran had a log: if there is none, it is gone."""
        it = Followed([msgspec.structs.replace(FINISHED, running_on=NOW)], [NotFoundError("gone")])
        assert await it.texts() == []
        assert not it.log.complete

    async def test_one_404_of_many_responses_ends_nothing(self) -> None:
        """A 404 that the next response contradicts costs no line, while the build runs and after it."""
        gone = NotFoundError("a replica that lags")
        it = Followed(
            [RUNNING, RUNNING, FINISHED],
            [page("a", cursor="1"), gone, page("b", cursor="2"), gone, page("c", cursor="3"), gone, page()],
        )
        assert await it.texts() == ["a", "b", "c"]
        assert it.log.complete

    async def test_log_of_a_running_build_is_waited_for(self) -> None:
        """A log that is gone is polled at the usual pace until the build ends."""
        it = Followed([RUNNING] * 5 + [FINISHED], [page("a", cursor="1"), NotFoundError("gone")])
        assert await it.texts() == ["a"]
        assert it.log.build is FINISHED
        assert it.clock.naps[:4] == [1.0, 1.0, 1.5, 2.25]


class TestPace:
    async def test_pauses_grow_while_nothing_comes_and_shrink_with_lines(self) -> None:
        """Pauses go from the poll interval up to its maximum, and back when lines come."""
        it = Followed(
            [RUNNING], [NOTHING] * 6 + [page("a", cursor="1"), page(cursor="1"), page("b", cursor="2")]
        )
        assert await it.log.read() == lines("a")
        assert it.clock.naps == [1.0, 1.5, 2.25, 3.375, 5.0, 5.0]
        assert await it.log.read() == lines("b")
        assert it.clock.naps[6:] == [1.0, 1.0]

    async def test_pause_counts_from_the_poll(self) -> None:
        """The time that the consumer takes counts as part of the pause."""
        it = Followed([RUNNING], [page("a", cursor="1"), page("b", cursor="2"), page("c", cursor="3")])
        assert await it.log.read() == lines("a")
        await it.clock.sleep(0.25)
        assert await it.log.read() == lines("b")
        await it.clock.sleep(5)
        assert await it.log.read() == lines("c")
        assert it.clock.naps == [0.25, 0.75, 5]

    async def test_build_is_asked_only_when_nothing_is_new(self) -> None:
        """As long as lines come, a poll is one request."""
        it = Followed([RUNNING], [page(str(i), cursor=str(i)) for i in range(9)])
        for _ in range(9):
            await it.log.read()
        assert it.script.asked.count("build") == 1

    async def test_log_that_is_not_there_yet_is_waited_for(self) -> None:
        """A 404 for the log of a build that exists is silence, not an error."""
        it = Followed(
            [build("initializing")] * 3 + [FINISHED],
            [NotFoundError("no log")] * 3 + [page("a", cursor="1"), page(cursor="1")],
        )
        assert await it.texts() == ["a"]

    @pytest.mark.parametrize(("low", "high"), [(0, 5), (-1, 5), (1, 0)])
    def test_pauses_are_above_zero(self, low: float, high: float) -> None:
        """An interval that would spin is a ValueError."""
        with pytest.raises(ValueError, match="above 0"):
            LogFollower(
                Script([FINISHED], [NOTHING]),
                UUID,
                clock=FakeClock(),
                poll_interval=low,
                max_poll_interval=high,
            )

    async def test_interval_above_the_maximum_wins(self) -> None:
        """A poll interval above the default maximum is used as it is."""
        clock = FakeClock()
        log = LogFollower(
            Script([RUNNING], [NOTHING, NOTHING, page("a")]), UUID, clock=clock, poll_interval=30
        )
        await log.read()
        assert clock.naps == [30, 30]


class TestQueued:
    async def test_only_the_state_is_asked_for(self) -> None:
        """A build is asked for every 2.5 s while it is queued, and its log at once when it has begun."""
        it = Followed(
            [build("queued")] * 3 + [build("initializing"), FINISHED],
            [page("a", cursor="1"), page(cursor="1")],
        )
        assert await it.texts() == ["a"]
        assert it.clock.naps[:3] == [2.5, 2.5, 2.5]
        assert it.script.asked[:5] == ["build", "build", "build", "build", None]

    async def test_longer_interval(self) -> None:
        """A poll interval above 2.5 s holds for a queued build, too."""
        it = Followed([build("queued"), build("queued"), FINISHED], [NOTHING], poll_interval=7.0)
        assert await it.texts() == []
        assert it.clock.naps[:2] == [7.0, 7.0]

    @pytest.mark.parametrize("log", [NOTHING, NotFoundError("no log")], ids=["empty", "not found"])
    async def test_build_that_never_runs(self, log: LogPage | BuildsError) -> None:
        """A build that is skipped, or canceled while it is queued, ends complete after a look at its log."""
        skipped = build("stopped", "skipped", NOW)
        it = Followed([build("queued"), build("queued"), skipped], [log])
        assert await it.texts() == []
        assert it.log.complete
        assert it.log.build is skipped
        assert it.script.asked.count(None) <= 2

    async def test_copy_that_lags(self) -> None:
        """A build that has begun is not queued again, whatever a copy says, and so is one that had lines."""
        it = Followed(
            [RUNNING, build("queued"), build("queued"), FINISHED], [NOTHING] * 3 + [page("a"), NOTHING]
        )
        assert await it.texts() == ["a"]
        assert it.script.asked[:6] == ["build", None, "build", None, "build", None]
        it = Followed([build("queued"), FINISHED], [page("b"), NOTHING], start=LogPosition("1", 0))
        assert await it.texts() == ["b"]
        assert it.script.asked[:2] == ["build", "1"]


class TestErrors:
    async def test_unknown_build_is_not_found(self) -> None:
        """A follower of a build that does not exist says so at the first read, and asks no log."""
        it = Followed([NotFoundError("404")], [NOTHING])
        with pytest.raises(NotFoundError):
            await it.log.read()
        assert it.script.asked == ["build"]

    @pytest.mark.parametrize(
        "failure", [error(), RateLimitError("no", retry_after=300)], ids=["connection", "429"]
    )
    async def test_loop_goes_on_after_an_error(self, failure: BuildsError) -> None:
        """An error is raised as it is; the next loop over the same follower loses and repeats nothing."""
        it = Followed(
            [failure, RUNNING, failure, FINISHED],
            [page("a", cursor="1"), failure, page("b", cursor="2"), page(cursor="2")],
        )
        got, errors = [], 0
        while not it.log.complete:
            try:
                async for line in it.log:
                    got.append(line.message)
            except type(failure):
                errors += 1
        assert got == ["a", "b"]
        assert errors == 3

    @pytest.mark.parametrize(
        "builds", [[FINISHED], [RUNNING], [error()]], ids=["finished", "running", "first"]
    )
    async def test_loop_round_errors_is_paced(self, builds: list[Build | BuildsError]) -> None:
        """A caller that retries in a loop does not spin, not even if no request is sent."""
        it = Followed(builds, [RateLimitError("not sent", retry_after=300)])
        for _ in range(3):
            with pytest.raises(BuildsError):
                await it.log.read()
        assert it.clock.naps == [1.0, 1.0]

    async def test_build_before_the_first_read_is_misuse(self) -> None:
        """`build` is a RuntimeError that says that nothing is known yet."""
        it = Followed([FINISHED], [NOTHING])
        with pytest.raises(RuntimeError, match="before the first read"):
            _ = it.log.build

    async def test_two_readers_are_refused(self) -> None:
        """A second task that reads while the first one waits gets a RuntimeError; the first goes on."""
        it = Followed([RUNNING], [NOTHING, page("a", cursor="1")])
        first = asyncio.create_task(it.log.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is already reading this log"):
            await it.log.read()
        with pytest.raises(RuntimeError, match="another task is already reading this log"):
            await anext(it.log)
        assert await first == lines("a")

    async def test_repr_shows_where_it_is(self) -> None:
        """The repr names the build, whether it has ended, and the position."""
        it = Followed([FINISHED], [page("a", cursor="1"), page(cursor="1")])
        await it.texts()
        assert repr(it.log) == f"<LogFollower {UUID} ended at LogPosition(cursor='1', offset=0, number=1)>"


class TestCancel:
    async def test_timeout_shorter_than_a_pause_starves_nothing(self) -> None:
        """Timeouts around one line, each shorter than the pause, add up to the pause."""
        it = Followed([RUNNING], [NOTHING, page("a", cursor="1")])
        naps: list[float] = []

        async def nap(seconds: float) -> None:
            naps.append(seconds)
            await asyncio.sleep(0)
            it.clock.advance(0.3)
            if seconds > 0.3:
                raise asyncio.CancelledError  # as a timeout does to the sleeper

        it.clock.sleep = nap  # type: ignore[method-assign]  # a clock that is interrupted
        got: tuple[LogLine, ...] = ()
        for _ in range(4):
            try:
                got = await it.log.read()
            except asyncio.CancelledError:
                continue
        assert got == lines("a")
        assert naps == pytest.approx([1.0, 0.7, 0.4, 0.1])
        assert it.script.asked == ["build", None, "build", None]

    async def test_lines_in_hand_survive_the_end_of_a_task(self) -> None:
        """Lines that came while a reader was cancelled are given to the next one."""
        it = Followed([FINISHED], [page("a", "b", cursor="1"), page(cursor="1")])
        task = asyncio.create_task(it.log.read())
        await asyncio.sleep(0)
        task.cancel()
        if (await asyncio.gather(task, return_exceptions=True))[0] == lines("a", "b"):
            return
        assert await it.texts() == ["a", "b"]

    async def test_memory_is_one_page(self) -> None:
        """Lines that were given out are let go when the next are asked for."""
        it = Followed([FINISHED], [page("a", "b", cursor="1"), page("c", cursor="2"), page(cursor="2")])
        first = await anext(it.log)
        held = sys.getrefcount(first)
        await anext(it.log)
        await anext(it.log)
        assert sys.getrefcount(first) < held
