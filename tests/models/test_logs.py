"""Lines, pages and positions of a log."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from builds_async import (
    LogLine,
    LogPage,
    LogPosition,
)
from tests.support import log_page
from tests.support.case import cases
from tests.support.decoding import decoded


class TestLogLine:
    @cases(
        ("timestamp", "time"),
        [
            (1784052295481, datetime(2026, 7, 14, 18, 4, 55, 481_000, tzinfo=UTC)),
            (1636472400, datetime(2021, 11, 9, 15, 40, tzinfo=UTC)),
            (1636472400.25, datetime(2021, 11, 9, 15, 40, 0, 250_000, tzinfo=UTC)),
            (1784052295481.5, datetime(2026, 7, 14, 18, 4, 55, 481_500, tzinfo=UTC)),
            (1784052295481000, datetime(2026, 7, 14, 18, 4, 55, 481_000, tzinfo=UTC)),
            (1784052295481000000, datetime(2026, 7, 14, 18, 4, 55, 481_000, tzinfo=UTC)),
            (99_999_999_999, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
            (100_000_000_000, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
            (3, datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC)),
            (0, datetime(1970, 1, 1, tzinfo=UTC)),
            (-1e200, datetime(1, 1, 2, tzinfo=UTC)),
        ],
        ids=[
            "milliseconds",
            "seconds",
            "fraction of seconds",
            "fraction of milliseconds",
            "microseconds",
            "nanoseconds",
            "last as seconds",
            "first as milliseconds",
            "tiny",
            "zero",
            "before all dates",
        ],
    )
    def test_time(self, timestamp: float, time: datetime) -> None:
        """`time` is the same moment in UTC whatever the number's unit, and the number is unchanged."""
        line: LogLine = decoded([timestamp, "x"], LogLine)
        assert line.time == time
        assert line.time.utcoffset() == timedelta(0)
        assert line.timestamp == timestamp

    @cases("message", ["", "\t", "✘ [ERROR] é 🎉", "\x1b[31mred\x1b[0m", "two\nlines", "\x00"])
    def test_message(self, message: str) -> None:
        """The message is what the build printed, unchanged."""
        assert decoded([1, message], LogLine).message == message

    def test_third_element(self) -> None:
        """An unknown third element is ignored."""
        assert decoded([1, "a", {"stream": "stderr"}], LogLine) == LogLine(1, "a")

    def test_equal(self) -> None:
        """Lines compare and hash by value."""
        assert LogLine(1, "a") == LogLine(1, "a") != LogLine(2, "a")
        assert len({LogLine(1, "a"), LogLine(1, "a")}) == 1


class TestLogPage:
    def test_current_page(self) -> None:
        """A page decodes as the API sends it today, including its undocumented events."""
        event = {"type": "initializing", "started_on": "2026-08-13T02:33:54Z", "ended_on": None}
        page: LogPage = decoded(
            log_page("a", "b", cursor="WzAsMzRd", truncated=True, events=[event]), LogPage
        )
        assert [line.message for line in page.lines] == ["a", "b"]
        assert (page.cursor, page.truncated) == ("WzAsMzRd", True)
        assert page.events
        assert page.events[0].type == "initializing"
        assert page.events[0].started_on == datetime(2026, 8, 13, 2, 33, 54, tzinfo=UTC)

    @cases("wire", [{}, {"lines": None}, {"lines": []}, {"lines": None, "cursor": None}])
    def test_empty(self, wire: dict[str, Any]) -> None:
        """A page has no lines if they are empty, null or absent."""
        assert decoded(wire, LogPage).lines == ()


class TestLogPosition:
    @given(st.builds(LogPosition, st.none() | st.text(), st.integers(0, 2**53)))
    def test_stored(self, position: LogPosition) -> None:
        """A position survives a round trip through JSON."""
        assert msgspec.json.decode(msgspec.json.encode(position), type=LogPosition) == position

    def test_start(self) -> None:
        """The default position is the start of the log."""
        assert LogPosition() == LogPosition(None, 0)
