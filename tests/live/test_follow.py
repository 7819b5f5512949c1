"""A follower of a scripted source: its requests, their times, its lines and its errors."""

import asyncio
import sys

import msgspec
import pytest

from builds_async.errors import BuildsError, NotFoundError, RateLimitError
from builds_async.live.follow import LogFollower
from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPage, LogPosition
from tests.live.follow_support import (
    FINISHED,
    NOTHING,
    NOW,
    RUNNING,
    UUID,
    Followed,
    Script,
    build,
    error,
    lines,
    page,
)
from tests.support import FakeClock
from tests.support.case import cases


class TestReady:
    async def test_ready_consumes_nothing(self) -> None:
        """`ready` consumes no line, however often it is called, and returns False at the end."""
        it = Followed(
            [FINISHED], [page("a", "b", cursor="1", truncated=True), page("c", cursor="2"), NOTHING]
        )
        assert [await it.log.ready() for _ in range(3)] == [True] * 3
        assert it.log.position == LogPosition()
        assert [line.message for line in await it.log.read()] == ["a", "b"]
        assert it.log.position == LogPosition().after(2)
        assert await it.log.ready()
        assert [line.message async for line in it.log] == ["c"]
        assert not await it.log.ready()


class TestWhere:
    async def test_page_without_cursor_is_read_again_and_skipped(self) -> None:
        """A last page without a cursor is requested again, and its lines are delivered once."""
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
        """When a page shrinks, the rest of the offset is skipped in the pages after it."""
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

    async def test_equal_lines_are_all_delivered(self) -> None:
        """Adjacent lines with equal times and texts are all delivered, within a page and across pages."""
        it = Followed([FINISHED], [page("", "", cursor="1"), page("", cursor="2"), page(cursor="2")])
        assert await it.texts() == ["", "", ""]

    @cases("given", range(6))
    async def test_position_hands_over_after_any_line(self, given: int) -> None:
        """A new follower that starts at a stored position delivers exactly the remaining lines."""
        pages = [page("a", "b", "c", cursor="1"), page("d", "e", cursor="2"), page(cursor="2")]
        first = Followed([FINISHED], pages)
        got = [(await anext(first.log)).message for _ in range(given)]
        stored = msgspec.json.encode(first.log.position)
        start = msgspec.json.decode(stored, type=LogPosition)
        rest = {None: pages, "1": pages[1:], "2": pages[2:]}[start.cursor]
        second = Followed([FINISHED], rest, start=start)
        assert got + await second.texts() == ["a", "b", "c", "d", "e"]
        assert second.script.asked[1] == start.cursor

    async def test_read_and_iteration_share_a_position(self) -> None:
        """`read` after some lines returns the rest of the batch, and the loop resumes after it."""
        it = Followed(
            [FINISHED], [page("a", "b", "c", cursor="1"), page("d", "e", cursor="2"), page(cursor="2")]
        )
        assert (await anext(it.log)).message == "a"
        assert await it.log.read() == lines("b", "c")
        assert (await anext(it.log)).message == "d"
        assert await it.log.read() == lines("e")
        assert await it.log.read() == ()

    async def test_second_loop_resumes_after_break(self) -> None:
        """The next loop resumes after a loop that ended with `break`."""
        it = Followed([FINISHED], [page("a", "b", cursor="1"), page("c", cursor="2"), page(cursor="2")])
        async for line in it.log:
            assert line.message == "a"
            break
        assert await it.texts() == ["b", "c"]

    @pytest.mark.parametrize("start", [LogPosition("x", -1)])
    def test_negative_offset_is_refused(self, start: LogPosition) -> None:
        """An impossible position raises ValueError at once."""
        with pytest.raises(ValueError, match="offset"):
            Followed([FINISHED], [NOTHING], start=start)

    async def test_page_repeated_by_mistake_is_skipped(self) -> None:
        """A page that is repeated instead of the next one delivers no line twice."""
        first = page("a", "b", cursor="1")
        it = Followed([FINISHED], [first, first, page("c", cursor="2"), page(cursor="2")])
        assert await it.texts() == ["a", "b", "c"]

    async def test_page_equal_to_the_one_before_is_real(self) -> None:
        """A page that still equals the previous one when requested again is delivered."""
        it = Followed([FINISHED], [page("", cursor="1"), page("", cursor="1")])
        assert await it.texts() == ["", ""]
        assert it.script.asked == ["build", None, "1", "1", "1"]

    async def test_page_that_repeats_itself_at_the_end_is_given_once(self) -> None:
        """A last page that repeats and grows in response to its own cursor delivers no line twice."""
        one, two, three = (LogLine(number, str(number)) for number in (1, 2, 3))
        last, grown = LogPage(lines=(one, two), cursor="1"), LogPage(lines=(one, two, three), cursor="1")
        it = Followed(
            [RUNNING] * 4 + [FINISHED], [last, last, last, grown, grown, page("4", cursor="2"), page()]
        )
        assert await it.texts() == ["1", "2", "3", "4"]
        assert it.log.complete

    async def test_position_before_a_repeated_page_is_the_page_itself(self) -> None:
        """Until something follows a page, a new follower starts inside it and can recognize it."""
        it = Followed([RUNNING], [page("a", "b", cursor="1", truncated=True), page("c", cursor="2"), NOTHING])
        await it.log.read()
        assert it.log.position == LogPosition(None, 2, 2)
        await it.log.read()
        assert it.log.position == LogPosition("1", 1, 3)


class TestPace:
    async def test_pauses_grow_while_nothing_comes_and_shrink_with_lines(self) -> None:
        """Pauses grow from the poll interval to its maximum and shrink when lines arrive."""
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

    async def test_build_is_requested_only_without_new_lines(self) -> None:
        """While lines arrive, a poll is one request."""
        it = Followed([RUNNING], [page(str(i), cursor=str(i)) for i in range(9)])
        for _ in range(9):
            await it.log.read()
        assert it.script.asked.count("build") == 1

    async def test_log_that_is_not_there_yet_is_waited_for(self) -> None:
        """A 404 for the log of an existing build means that no line exists yet."""
        it = Followed(
            [build("initializing")] * 3 + [FINISHED],
            [NotFoundError("no log")] * 3 + [page("a", cursor="1"), page(cursor="1")],
        )
        assert await it.texts() == ["a"]

    @pytest.mark.parametrize(("low", "high"), [(0, 5), (-1, 5), (1, 0)])
    def test_pauses_are_above_zero(self, low: float, high: float) -> None:
        """An interval of 0 or less raises ValueError."""
        with pytest.raises(ValueError, match="above 0"):
            LogFollower(
                Script([FINISHED], [NOTHING]),
                UUID,
                clock=FakeClock(),
                poll_interval=low,
                max_poll_interval=high,
            )

    async def test_interval_above_the_maximum_wins(self) -> None:
        """A poll interval above the default maximum is used unchanged."""
        clock = FakeClock()
        log = LogFollower(
            Script([RUNNING], [NOTHING, NOTHING, page("a")]), UUID, clock=clock, poll_interval=30
        )
        await log.read()
        assert clock.naps == [30, 30]


class TestQueued:
    async def test_only_the_state_is_requested(self) -> None:
        """A queued build is requested every 2.5 s, and its log at once when the build has started."""
        it = Followed(
            [build("queued")] * 3 + [build("initializing"), FINISHED],
            [page("a", cursor="1"), page(cursor="1")],
        )
        assert await it.texts() == ["a"]
        assert it.clock.naps[:3] == [2.5, 2.5, 2.5]
        assert it.script.asked[:5] == ["build", "build", "build", "build", None]

    async def test_longer_interval(self) -> None:
        """A poll interval above 2.5 s applies to a queued build, too."""
        it = Followed([build("queued"), build("queued"), FINISHED], [NOTHING], poll_interval=7.0)
        assert await it.texts() == []
        assert it.clock.naps[:2] == [7.0, 7.0]

    @pytest.mark.parametrize("log", [NOTHING, NotFoundError("no log")], ids=["empty", "not found"])
    async def test_build_that_never_runs(self, log: LogPage | BuildsError) -> None:
        """A build that is skipped or canceled while queued ends complete after a look at its log."""
        skipped = build("stopped", "skipped", NOW)
        it = Followed([build("queued"), build("queued"), skipped], [log])
        assert await it.texts() == []
        assert it.log.complete
        assert it.log.build is skipped
        assert it.script.asked.count(None) <= 2

    async def test_stale_status(self) -> None:
        """A stale status does not move a started build, or one with lines, back to queued."""
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
        """A follower of an unknown build raises NotFoundError at the first read and requests no log."""
        it = Followed([NotFoundError("404")], [NOTHING])
        with pytest.raises(NotFoundError):
            await it.log.read()
        assert it.script.asked == ["build"]

    @pytest.mark.parametrize(
        "failure", [error(), RateLimitError("no", retry_after=300)], ids=["connection", "429"]
    )
    async def test_loop_resumes_after_an_error(self, failure: BuildsError) -> None:
        """An error is raised unchanged, and the next loop of the follower loses and repeats nothing."""
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
    async def test_loop_around_errors_is_paced(self, builds: list[Build | BuildsError]) -> None:
        """A caller that retries in a loop does not spin, even if no request is sent."""
        it = Followed(builds, [RateLimitError("not sent", retry_after=300)])
        for _ in range(3):
            with pytest.raises(BuildsError):
                await it.log.read()
        assert it.clock.naps == [1.0, 1.0]

    async def test_build_before_the_first_read_is_misuse(self) -> None:
        """`build` before the first read raises RuntimeError."""
        it = Followed([FINISHED], [NOTHING])
        with pytest.raises(RuntimeError, match="before the first read"):
            _ = it.log.build

    async def test_two_readers_are_refused(self) -> None:
        """A second concurrent reader gets a RuntimeError, and the first one continues."""
        it = Followed([RUNNING], [NOTHING, page("a", cursor="1")])
        first = asyncio.create_task(it.log.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is already reading this log"):
            await it.log.read()
        with pytest.raises(RuntimeError, match="another task is already reading this log"):
            await anext(it.log)
        assert await first == lines("a")

    async def test_repr_shows_the_position(self) -> None:
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

    async def test_buffered_lines_survive_a_cancelled_reader(self) -> None:
        """Lines that arrived while a reader was canceled go to the next reader."""
        it = Followed([FINISHED], [page("a", "b", cursor="1"), page(cursor="1")])
        task = asyncio.create_task(it.log.read())
        await asyncio.sleep(0)
        task.cancel()
        if (await asyncio.gather(task, return_exceptions=True))[0] == lines("a", "b"):
            return
        assert await it.texts() == ["a", "b"]

    async def test_memory_is_one_page(self) -> None:
        """Delivered lines are released when the next ones are requested."""
        it = Followed([FINISHED], [page("a", "b", cursor="1"), page("c", cursor="2"), page(cursor="2")])
        first = await anext(it.log)
        held = sys.getrefcount(first)
        await anext(it.log)
        await anext(it.log)
        assert sys.getrefcount(first) < held
