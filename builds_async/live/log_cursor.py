"""The log protocol without I/O: a page goes in; its new lines, and the next cursor to ask with, come out.

All code that reads a log goes through `LogCursor`, which gives each line once and in order, however the API
hands out cursors.
"""

from typing import NamedTuple

from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPage, LogPosition

MAX_EMPTY_TRUNCATED = 10
"""The most truncated pages without lines that are followed in a row at the end of a log."""


class Step(NamedTuple):
    """What one page brought."""

    lines: tuple[LogLine, ...]
    """The new lines."""

    more: bool
    """Whether to ask again at once; if not, the reader has caught up with the log as it is now."""

    complete: bool
    """False if the API says that it has more than it gives, has lost the log, or has fewer lines than were
    delivered before."""


class _Fingerprint(NamedTuple):
    """What identifies a page, and the cursor with which it was requested. It holds two lines, not all."""

    asked: str | None
    cursor: str | None
    length: int
    first: LogLine
    last: LogLine
    truncated: bool

    def begins(self, page: LogPage) -> bool:
        """Whether `page` is this page again, perhaps with more lines."""
        lines = page.lines
        return (
            page.cursor == self.cursor
            and len(lines) >= self.length
            and lines[0] == self.first
            and lines[self.length - 1] == self.last
        )


class LogCursor:
    """One reader's place in one log.

    Ask for the page behind `asked`, pass it to `take` (or call `not_found` for a 404), use the lines, repeat.
    State changes only there, so a request that fails or is canceled changes nothing.

    It assumes that the lines of a page do not change when the page is requested again. A page that begins
    with all the lines of the page before it, timestamps included, and names the same cursor, is that page
    again: at the end of a log a server may repeat its last page with every response. If all timestamps so
    far were equal, they can't prove that: such a page is skipped while the build runs, and counts as new
    lines when the build has finished and the page stays the same. Nothing else ever counts as a repetition:
    equal neighbors, and blocks of lines that come again with their old timestamps, are given as the API gave
    them.
    """

    def __init__(self, start: LogPosition) -> None:
        self._asked = start.cursor
        self._skip = start.offset  # lines of the page behind `_asked` that were delivered before
        # An old position has no number. On the first page the offset is one; elsewhere it is unknown.
        self._number = start.offset if start.cursor is None else start.number  # of the last line that came
        self._place = LogPosition(start.cursor, start.offset, self._number)
        self._begun = start != LogPosition()
        self._last: _Fingerprint | None = None  # the page that led to `_asked`
        self._suspected = False
        self._stamp: float | None = None
        self._varied = False  # two lines had different timestamps
        self._empty_truncated = 0

    @property
    def asked(self) -> str | None:
        """The cursor to ask with; None for the first page."""
        return self._asked

    def position(self, left: int = 0) -> LogPosition:
        """The place behind the lines of the last step, or before the `left` last ones, still buffered.

        It stays in a page until the page behind it has come: a new reader that starts behind a page could not
        recognize a repetition of it.
        """
        place = self._place
        return LogPosition(place.cursor, place.offset - left, place.number - left) if left else place

    def back_to(self, place: LogPosition) -> None:
        """Go back to `place`: the lines from there on are given again."""
        self._asked, self._skip, self._number, self._place = place.cursor, place.offset, place.number, place
        self._last = None

    def take(self, page: LogPage, *, final: bool) -> Step:
        """Take the page behind `asked`. `final`: nothing more will be written, so read to the last line."""
        moved = page.cursor is not None and page.cursor != self._asked
        last = self._last
        if last is not None and last.asked != self._asked and not moved and last.begins(page):
            step = self._take_again(last, page, final=final)
            if step is not None:
                return step
        self._suspected = False
        fresh = page.lines[self._skip :]
        self._number += len(fresh)
        self._advance(page, moved=moved)
        # A position beyond the end of the log counts lines that were never written, or are gone.
        beyond = not moved and self._skip > len(page.lines)
        more = self._has_more(page, fresh, moved=moved, final=final)
        return Step(fresh, more, not page.truncated and not beyond)

    def not_found(self, build: Build) -> Step:
        """Take a 404 for the log of a build that exists.

        Before the first line there is no log yet. After it, or if the build has run, the log is gone.
        """
        has_run = build.initializing_on is not None or build.running_on is not None
        return Step((), more=False, complete=not self._begun and not has_run)

    def _take_again(self, last: _Fingerprint, page: LogPage, *, final: bool) -> Step | None:
        """Take a page that looks like the page before it, perhaps grown; None to read it as a new page."""
        done, grown = last.length + self._skip, len(page.lines) > last.length
        suspected, self._suspected = self._suspected, True
        if self._is_surely(last, page):
            self._last = _fingerprint(page, last.asked)
            self._number += max(0, len(page.lines) - done)
            self._place = LogPosition(last.asked, max(done, len(page.lines)), self._number)
            self._skip = max(0, done - len(page.lines))
            self._note_stamps(page)
        elif grown or (suspected and (final or last.truncated)):
            return None
        fresh = page.lines[done:]
        if fresh:
            self._suspected = False
        # One repetition may be a slip of the server. Ask once more, at once, where the log can't be over
        # (the page said that more was to come) or no more will be written.
        more = not suspected and (final or last.truncated)
        return Step(fresh, more, not page.truncated)

    def _is_surely(self, last: _Fingerprint, page: LogPage) -> bool:
        """Whether timestamps prove that `page` repeats the `last` one. They can't if all are equal so far."""
        varied = self._varied or page.lines[-1].timestamp != last.first.timestamp
        return varied and not last.truncated  # behind a truncated page is another, which may begin alike

    def _advance(self, page: LogPage, *, moved: bool) -> None:
        asked, count = self._asked, len(page.lines)
        self._place = LogPosition(asked, max(self._skip, count), self._number)
        if not page.lines:
            self._last = None  # this server has nothing to repeat at the end of a log
        else:
            self._last = _fingerprint(page, asked)
            self._begun = True
            self._note_stamps(page)
        if moved:
            # If the page has fewer lines than were to be skipped, the rest is skipped behind it.
            self._asked, self._skip = page.cursor, max(0, self._skip - count)
            if self._skip or not count:
                self._place = LogPosition(self._asked, self._skip, self._number)
            self._begun = True
        else:
            # The same page will be requested again, and may have grown by then.
            self._skip = self._place.offset

    def _has_more(self, page: LogPage, fresh: tuple[LogLine, ...], *, moved: bool, final: bool) -> bool:
        if page.lines:
            self._empty_truncated = 0
            skipped = not fresh  # the reader was further already, so the log goes on
            unknown = final and page.truncated is None  # the API does not say, so one more request decides
            return moved and (skipped or unknown or bool(page.truncated))
        self._empty_truncated += 1
        return final and moved and bool(page.truncated) and self._empty_truncated <= MAX_EMPTY_TRUNCATED

    def _note_stamps(self, page: LogPage) -> None:
        first, last = page.lines[0].timestamp, page.lines[-1].timestamp
        self._varied = self._varied or first != last or self._stamp not in {None, first}
        self._stamp = last


def _fingerprint(page: LogPage, asked: str | None) -> _Fingerprint:
    lines = page.lines
    return _Fingerprint(asked, page.cursor, len(lines), lines[0], lines[-1], bool(page.truncated))
