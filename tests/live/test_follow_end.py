"""The end of a followed log: truncated pages, late lines, and logs that no longer exist."""

from datetime import timedelta

import msgspec
import pytest

from builds_async.errors import BuildsError, NotFoundError
from builds_async.live.log_cursor import MAX_EMPTY_TRUNCATED
from builds_async.models.logs import LogPage, LogPosition
from tests.live.follow_support import FINISHED, NOTHING, NOW, RUNNING, STOPPED, Followed, build, lines, page
from tests.support.case import cases


class TestTheEnd:
    async def test_finished_log_is_read_without_a_pause(self) -> None:
        """The log of a finished build is read page by page to an empty page, without a pause."""
        it = Followed(
            [FINISHED], [page("a", "b", cursor="1", truncated=True), page("c", cursor="2"), page(cursor="2")]
        )
        assert await it.texts() == ["a", "b", "c"]
        assert it.script.asked == ["build", None, "1", "2"]
        assert it.clock.naps == []
        assert it.log.build is FINISHED
        assert it.log.complete

    async def test_stop_seen_while_following_settles(self) -> None:
        """When a followed build stops, its log is read to the end, and once more 2 s later."""
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
        """A stopped build without an outcome is polled until its outcome is known."""
        it = Followed([STOPPED, STOPPED, STOPPED, FINISHED], [page("a", cursor="1"), page(cursor="1")])
        assert await it.texts() == ["a"]
        assert it.log.build.build_outcome == "success"
        assert it.clock.naps == [1.0, 1.0, 1.5, 2.0]

    async def test_outcome_that_never_comes_ends_the_wait(self) -> None:
        """After about 30 s without an outcome, the follower ends without it."""
        it = Followed([STOPPED], [page("a", cursor="1"), page(cursor="1")])
        assert await it.texts() == ["a"]
        assert it.log.build.build_outcome is None
        assert it.log.complete
        assert 30 <= it.clock.now() < 40
        assert len(it.script.asked) < 30

    async def test_ended_log_is_never_requested_again(self) -> None:
        """After the end, `read` returns `()` and iteration stops, without a request."""
        it = Followed([FINISHED], [page("a", cursor="1"), page(cursor="1")])
        assert await it.texts() == ["a"]
        asked = list(it.script.asked)
        assert await it.log.read() == ()
        assert await it.log.read() == ()
        assert await it.texts() == []
        assert it.script.asked == asked

    @pytest.mark.parametrize("status", ["initializing", "running", "paused"])
    async def test_unfinished_build_does_not_end_the_log(self, status: str) -> None:
        """Only the status `stopped` ends a log."""
        it = Followed(
            [build(status), build(status), FINISHED],
            [NOTHING, NOTHING, page("a", cursor="1"), page(cursor="1")],
        )
        assert await it.texts() == ["a"]

    async def test_log_without_lines_ends(self) -> None:
        """A finished build whose log is empty or missing delivers no line and ends complete."""
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
        """At most ten truncated pages without lines in a row are followed, while the cursor moves."""
        it = Followed([FINISHED], [page("a", cursor="1", truncated=True), *hollow])
        assert await it.texts() == ["a"]
        assert not it.log.complete
        assert len(it.script.asked) == asked
        assert it.clock.naps == []

    async def test_lines_after_hollow_pages_are_found(self) -> None:
        """Lines after a few truncated pages without lines are found."""
        hollow = [page(cursor=str(i), truncated=True) for i in range(MAX_EMPTY_TRUNCATED)]
        it = Followed(
            [FINISHED], [*hollow, page("a", cursor="x"), *hollow, page("b", cursor="y"), page(cursor="y")]
        )
        assert await it.texts() == ["a", "b"]
        assert it.log.complete

    @pytest.mark.parametrize("cursor", ["1", "2", None])
    async def test_hollow_pages_of_a_running_build_are_paced(self, cursor: str | None) -> None:
        """A truncated page without lines of a running build neither ends the log nor causes a busy loop."""
        it = Followed(
            [RUNNING] * 30 + [FINISHED],
            [page(cursor=cursor, truncated=True)] * 30 + [page("a", cursor="3"), page(cursor="3")],
        )
        assert await it.texts() == ["a"]
        assert it.clock.now() > 100

    async def test_truncated_page_with_lines_is_followed_at_once(self) -> None:
        """The page after a truncated one is fetched without a pause, even while the build runs."""
        it = Followed(
            [RUNNING, FINISHED],
            [page("a", cursor="1", truncated=True), page("b", cursor="2", truncated=True), page(cursor="2")],
        )
        assert await it.log.read() == lines("a")
        assert await it.log.read() == lines("b")
        assert it.clock.naps == []

    async def test_same_page_claiming_more_does_not_spin(self) -> None:
        """A truncated page without another cursor is read again at the usual pace."""
        it = Followed([RUNNING, RUNNING, FINISHED], [page("a", truncated=True), page("a", truncated=True)])
        assert await it.texts() == ["a"]
        assert it.clock.naps[0] == 1.0
        assert not it.log.complete


class TestGone:
    @cases(
        ("start", "pages", "texts"),
        [
            pytest.param(None, [page("a", cursor="1")], ["a"], id="behind a cursor"),
            pytest.param(None, [page("a")], ["a"], id="behind a line"),
            pytest.param(None, [page(cursor="1", truncated=True)], [], id="behind an empty page"),
            pytest.param(LogPosition("x", 3), [], [], id="at a position that was kept for too long"),
            pytest.param(LogPosition(None, 3), [], [], id="at a position in the first page"),
        ],
    )
    async def test_deleted_log_is_incomplete(
        self, start: LogPosition | None, pages: list[LogPage | BuildsError], texts: list[str]
    ) -> None:
        """A 404 for a log that had started ends it incomplete, after one more look 2 s later."""
        it = Followed([FINISHED], [*pages, NotFoundError("gone")], start=start)
        assert await it.texts() == texts
        assert not it.log.complete
        assert it.clock.naps == [2.0]

    async def test_missing_log_of_a_build_that_ran_is_incomplete(self) -> None:
        """A missing log of a build that ran is incomplete, because the build had a log."""
        it = Followed([msgspec.structs.replace(FINISHED, running_on=NOW)], [NotFoundError("gone")])
        assert await it.texts() == []
        assert not it.log.complete

    async def test_a_single_404_ends_nothing(self) -> None:
        """A 404 that the next response contradicts loses no line, during the build and after it."""
        gone = NotFoundError("a replica that lags")
        it = Followed(
            [RUNNING, RUNNING, FINISHED],
            [page("a", cursor="1"), gone, page("b", cursor="2"), gone, page("c", cursor="3"), gone, page()],
        )
        assert await it.texts() == ["a", "b", "c"]
        assert it.log.complete

    async def test_log_of_a_running_build_is_waited_for(self) -> None:
        """A log that no longer exists is polled at the usual pace until the build ends."""
        it = Followed([RUNNING] * 5 + [FINISHED], [page("a", cursor="1"), NotFoundError("gone")])
        assert await it.texts() == ["a"]
        assert it.log.build is FINISHED
        assert it.clock.naps[:4] == [1.0, 1.0, 1.5, 2.25]
