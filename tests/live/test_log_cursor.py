"""The log protocol as a pure value: a page in; new lines, the next cursor and a position out."""

from datetime import UTC, datetime

import pytest

from builds_async.live.log_cursor import MAX_EMPTY_TRUNCATED, LogCursor, Step
from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPage, LogPosition
from tests.support.case import cases

START = LogPosition()
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def line(number: int) -> LogLine:
    return LogLine(1784052295481 + number, f"line {number}")


def page(*numbers: int, cursor: str | None = None, truncated: bool | None = False) -> LogPage:
    return LogPage(lines=tuple(map(line, numbers)), cursor=cursor, truncated=truncated)


def taken(cursor: LogCursor, *pages: LogPage, final: bool = False) -> list[Step]:
    return [cursor.take(each, final=final) for each in pages]


def numbers(step: Step) -> list[int]:
    return [int(each.message.removeprefix("line ")) for each in step.lines]


class TestRepeatedPage:
    """A server that repeats its last page in response to that page's cursor."""

    def test_is_delivered_once(self) -> None:
        """A repeated page delivers no line, and causes no immediate request while the build runs."""
        cursor = LogCursor(START)
        steps = taken(cursor, *[page(1, 2, cursor="a")] * 4)
        assert [numbers(step) for step in steps] == [[1, 2], [], [], []]
        assert not any(step.more for step in steps[2:])
        assert cursor.asked == "a"

    def test_delivers_only_its_new_lines(self) -> None:
        """New lines of a repeated page are delivered once each, and the next page loses no line."""
        cursor = LogCursor(START)
        pages = [page(1, 2, cursor="a"), page(1, 2, 3, cursor="a"), page(1, 2, 3, cursor="a")]
        pages += [page(1, 2, 3, 4, cursor="a"), page(5, 6, cursor="b")]
        assert [numbers(step) for step in taken(cursor, *pages)] == [[1, 2], [3], [], [4], [5, 6]]

    def test_position_lies_in_it(self) -> None:
        """A new cursor at the position delivers the remaining lines, including lines that the page gained."""
        cursor, grown = LogCursor(START), page(1, 2, 3, 4, cursor="a")
        taken(cursor, page(1, 2, cursor="a"), grown)
        for left, rest in enumerate([[], [4], [3, 4]]):
            position = cursor.position(left)
            assert position == LogPosition(None, 4 - left, 4 - left)
            assert numbers(LogCursor(position).take(grown, final=False)) == rest

    def test_is_requested_again_when_the_log_is_final(self) -> None:
        """Only the second repetition in a row ends a final log, because the first may be a server error."""
        cursor = LogCursor(START)
        pages = [page(1, 2, cursor="a"), page(1, 2, cursor="a"), page(1, 2, cursor="a")]
        assert [step.more for step in taken(cursor, *pages, final=True)[1:]] == [True, False]

    def test_that_has_grown_is_requested_again(self) -> None:
        """After new lines, one repetition is again not enough to end a final log."""
        cursor = LogCursor(START)
        taken(cursor, page(1, 2, cursor="a"), page(1, 2, cursor="a"))
        grown = page(1, 2, 3, cursor="a")
        assert [step.more for step in taken(cursor, grown, grown, final=True)][1]

    def test_of_one_line_is_recognized_by_the_line_before_it(self) -> None:
        """A repeated page of one line is recognized if the line before it has another timestamp."""
        cursor = LogCursor(START)
        pages = [page(1, cursor="a"), page(2, cursor="b"), page(2, cursor="b"), page(2, cursor="b")]
        assert [numbers(step) for step in taken(cursor, *pages, final=True)] == [[1], [2], [], []]

    def test_with_equal_timestamps_is_new_at_the_end(self) -> None:
        """A repeated page with equal timestamps is skipped while the build runs, and delivered at the end."""
        cursor, equal = LogCursor(START), page(1, 1, cursor="a")
        assert [numbers(step) for step in taken(cursor, equal, equal, equal)] == [[1, 1], [], []]
        assert [numbers(step) for step in taken(cursor, equal, equal, final=True)] == [[1, 1], []]

    def test_with_missing_lines_is_new(self) -> None:
        """A page that starts like the previous one but lacks some of its lines is a new page."""
        cursor = LogCursor(START)
        steps = taken(cursor, page(1, 2, 3, cursor="a"), page(1, 2, cursor="a"), page(1, 2, 4, cursor="a"))
        assert [numbers(step) for step in steps] == [[1, 2, 3], [1, 2], [4]]

    def test_under_another_cursor_is_new(self) -> None:
        """Equal pages under different cursors are all delivered."""
        cursor = LogCursor(START)
        steps = taken(cursor, page(1, 2, cursor="a"), page(1, 2, cursor="b"), page(1, 2, cursor="c"))
        assert [numbers(step) for step in steps] == [[1, 2]] * 3

    def test_after_an_empty_one_is_new(self) -> None:
        """After an empty response to the same cursor, an equal page is new."""
        cursor = LogCursor(START)
        steps = taken(cursor, page(1, 2, cursor="a"), page(cursor="a"), page(1, 2, cursor="a"))
        assert [numbers(step) for step in steps] == [[1, 2], [], [1, 2]]

    def test_after_a_truncated_page_is_new_the_second_time(self) -> None:
        """After a truncated page, an equal page is skipped once and then delivered as the next page."""
        cursor = LogCursor(START)
        pages = [page(1, 2, cursor="a", truncated=True), page(1, 2, cursor="a"), page(1, 2, cursor="a")]
        steps = taken(cursor, *pages)
        assert [numbers(step) for step in steps] == [[1, 2], [], [1, 2]]
        assert steps[1].more


class TestPosition:
    def test_advances_with_the_next_page(self) -> None:
        """The position stays in a page until the next response arrives, with or without lines."""
        for after in (page(cursor="a"), page(cursor="b"), page(3, cursor="b")):
            cursor = LogCursor(START)
            taken(cursor, page(1, 2, cursor="a"))
            assert cursor.position() == LogPosition(None, 2, 2)
            taken(cursor, after)
            assert cursor.position() == LogPosition(
                "b" if after == page(cursor="b") else "a", len(after.lines), 2 + len(after.lines)
            )

    def test_carries_the_remaining_skip(self) -> None:
        """When pages have shrunk, the position counts the lines to skip after the page."""
        cursor = LogCursor(LogPosition(None, 5))
        assert numbers(*taken(cursor, page(1, 2, cursor="a"))) == []
        assert cursor.position() == LogPosition("a", 3, 5)
        assert numbers(*taken(cursor, page(3, 4, 5, 6, cursor="b"))) == [6]

    def test_goes_back(self) -> None:
        """A cursor that is sent back reads on from there and treats a known page as new."""
        cursor = LogCursor(START)
        taken(cursor, page(1, 2, cursor="a"), page(3, 4, cursor="b"))
        cursor.back_to(LogPosition(None, 1, 1))
        assert (cursor.asked, cursor.position()) == (None, LogPosition(None, 1, 1))
        assert [numbers(step) for step in taken(cursor, page(1, 2, cursor="a"), page(3, 4, cursor="b"))] == [
            [2],
            [3, 4],
        ]

    @pytest.mark.parametrize("offset", [2, 3, 9])
    def test_after_the_end_of_the_log_is_incomplete(self, offset: int) -> None:
        """A log with fewer lines than a position counts is incomplete, in one page or several."""
        for pages in ([page(1, 2)], [page(1, 2, cursor="a"), page(cursor="a")]):
            steps = taken(LogCursor(LogPosition(None, offset)), *pages, final=True)
            assert steps[-1].complete is (offset <= 2)


class TestMore:
    @cases(
        ("one", "final", "more"),
        [
            pytest.param(page(1, cursor="a", truncated=True), False, True, id="truncated"),
            pytest.param(page(1, cursor="a"), False, False, id="not truncated"),
            pytest.param(page(1, truncated=True), False, False, id="truncated without a cursor"),
            pytest.param(page(1, cursor="a", truncated=None), False, False, id="unknown, and it runs"),
            pytest.param(page(1, cursor="a", truncated=None), True, True, id="unknown, and it is final"),
            pytest.param(page(1, cursor="a"), True, False, id="not truncated, and it is final"),
            pytest.param(
                page(cursor="a", truncated=True), False, False, id="truncated and empty, and it runs"
            ),
            pytest.param(page(cursor="a", truncated=True), True, True, id="truncated and empty, and final"),
        ],
    )
    def test_follows_from_the_page(self, one: LogPage, final: bool, more: bool) -> None:
        """An immediate next request depends on `truncated`, the cursor, and whether the log is final."""
        assert LogCursor(START).take(one, final=final).more is more

    def test_ends_after_many_empty_pages(self) -> None:
        """At most ten truncated pages without lines in a row are followed, and lines reset the count."""
        cursor, names = LogCursor(START), map(str, range(99))
        for _ in range(2):
            empty = [page(cursor=next(names), truncated=True) for _ in range(MAX_EMPTY_TRUNCATED + 1)]
            steps = taken(cursor, *empty, final=True)
            assert [step.more for step in steps] == [True] * MAX_EMPTY_TRUNCATED + [False]
            taken(cursor, page(1, cursor=next(names)))


@cases(
    ("start", "pages", "build", "complete"),
    [
        pytest.param(START, [], Build(build_uuid="b"), True, id="no log yet"),
        pytest.param(START, [page()], Build(build_uuid="b"), True, id="an empty log"),
        pytest.param(START, [page(1)], Build(build_uuid="b"), False, id="lines were given"),
        pytest.param(START, [page(cursor="a")], Build(build_uuid="b"), False, id="a cursor was given"),
        pytest.param(LogPosition("a"), [], Build(build_uuid="b"), False, id="resumed"),
        pytest.param(START, [], Build(build_uuid="b", initializing_on=NOW), False, id="the build has begun"),
        pytest.param(START, [], Build(build_uuid="b", running_on=NOW), False, id="the build has run"),
    ],
)
def test_404_means_no_log_yet_or_a_deleted_log(
    start: LogPosition, pages: list[LogPage], build: Build, complete: bool
) -> None:
    """The meaning of a 404 depends on whether the log has delivered anything before."""
    cursor = LogCursor(start)
    taken(cursor, *pages)
    assert cursor.not_found(build) == Step((), more=False, complete=complete)
