"""The log protocol without I/O: a page goes in; its new lines and the cursor for the next page come out.

All code that reads a log uses `LogCursor`, which yields each line once and in order, however the API assigns
cursors.
"""

import msgspec

from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPage, LogPosition

MAX_EMPTY_TRUNCATED = 10
"""How many truncated pages without lines are followed in a row at the end of a log."""


class Step(msgspec.Struct, frozen=True):
    """The result of one page."""

    lines: tuple[LogLine, ...]
    """The new lines."""

    more: bool
    """Whether to request another page at once; if not, the reader has read the log as it is now."""

    complete: bool
    """False if the page was truncated, if the log is gone, or if it has fewer lines than were delivered."""


class _Fingerprint(msgspec.Struct, frozen=True):
    """Enough of a page to recognize it, with the cursor of its request. It holds two lines, not all."""

    requested_with: str | None
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
    """The position of one reader in one log.

    Request the page after the cursor `asked`, pass it to `take` (or call `not_found` for a 404), use the
    lines, repeat. State changes only in these methods, so a failed or canceled request changes nothing.

    It assumes that the lines of a page do not change when the page is requested again. A page that begins
    with all the lines of the page before it, timestamps included, and has the same cursor, is a repetition of
    that page: at the end of a log a server may repeat its last page with every response. If all timestamps so
    far were equal, they prove nothing. Such a page is skipped while the build runs, and counts as new lines
    if the build has finished and the page stays the same. Nothing else counts as a repetition: two equal
    lines in a row, and blocks of lines that come again with their old timestamps, are delivered as they came.
    """

    def __init__(self, start: LogPosition) -> None:
        self._asked = start.cursor
        self._skip = start.offset  # lines of the page after `_asked` that were delivered before
        # A position of an early version has no number. On the first page the offset is the number.
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
        """The cursor of the next request; None for the first page."""
        return self._asked

    def position(self, left: int = 0) -> LogPosition:
        """The position after the lines of the last step, or before the last `left` lines, still buffered.

        It stays inside a page until the next page has come: a new reader that starts after a page could not
        recognize a repetition of it.
        """
        place = self._place
        return LogPosition(place.cursor, place.offset - left, place.number - left) if left else place

    def back_to(self, place: LogPosition) -> None:
        """Go back to `place`: the lines after it are delivered again."""
        self._asked, self._skip, self._number, self._place = place.cursor, place.offset, place.number, place
        self._last = None

    def take(self, page: LogPage, *, final: bool, last_read: bool = False) -> Step:
        """Take the page after `asked`. `final`: no more lines will be written, so read to the last one.

        `last_read`: lines may still be written, but this is the last read: read to the last line so far.
        """
        moved = page.cursor is not None and page.cursor != self._asked
        last = self._last
        if last is not None and last.requested_with != self._asked and not moved and last.begins(page):
            step = self._take_again(last, page, final=final)
            if step is not None:
                return step
        self._suspected = False
        fresh = page.lines[self._skip :]
        self._number += len(fresh)
        self._advance(page, moved=moved)
        # A position beyond the end of the log counts lines that were never written or are gone.
        beyond = not moved and self._skip > len(page.lines)
        more = self._has_more(page, fresh, moved=moved, final=final or last_read)
        return Step(fresh, more, not page.truncated and not beyond)

    def not_found(self, build: Build) -> Step:
        """Take a 404 for the log of a build that exists.

        Before the build runs there is no log yet. After its first line, or if the build ran, the log is gone.
        """
        has_run = build.initializing_on is not None or build.running_on is not None
        return Step((), more=False, complete=not self._begun and not has_run)

    def _take_again(self, last: _Fingerprint, page: LogPage, *, final: bool) -> Step | None:
        """Take a page that seems to be the last one again, perhaps grown; None to read it as a new page."""
        done, grown = last.length + self._skip, len(page.lines) > last.length
        suspected, self._suspected = self._suspected, True
        if self._is_surely(last, page):
            self._last = _fingerprint(page, last.requested_with)
            self._number += max(0, len(page.lines) - done)
            self._place = LogPosition(last.requested_with, max(done, len(page.lines)), self._number)
            self._skip = max(0, done - len(page.lines))
            self._note_stamps(page)
        elif grown or (suspected and (final or last.truncated)):
            return None
        fresh = page.lines[done:]
        if fresh:
            self._suspected = False
        # One repetition may be an error of the server. Request the page once more at once if more lines must
        # exist (the last page was truncated), or if none will be written, so that waiting is of no use.
        more = not suspected and (final or last.truncated)
        return Step(fresh, more, not page.truncated)

    def _is_surely(self, last: _Fingerprint, page: LogPage) -> bool:
        """Whether timestamps prove that `page` repeats the `last` one. They can't if all are equal so far."""
        varied = self._varied or page.lines[-1].timestamp != last.first.timestamp
        return varied and not last.truncated  # a truncated page has a successor, which may begin alike

    def _advance(self, page: LogPage, *, moved: bool) -> None:
        cursor, count = self._asked, len(page.lines)
        self._place = LogPosition(cursor, max(self._skip, count), self._number)
        if not page.lines:
            self._last = None  # a server that ends a log with an empty page does not repeat the last one
        else:
            self._last = _fingerprint(page, cursor)
            self._begun = True
            self._note_stamps(page)
        if moved:
            # If the page has fewer lines than are to be skipped, the rest is skipped on the next page.
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
            skipped = not fresh  # the position is further on, so there must be more
            unknown = final and page.truncated is None  # only another request can tell
            return moved and (skipped or unknown or bool(page.truncated))
        self._empty_truncated += 1
        return final and moved and bool(page.truncated) and self._empty_truncated <= MAX_EMPTY_TRUNCATED

    def _note_stamps(self, page: LogPage) -> None:
        first, last = page.lines[0].timestamp, page.lines[-1].timestamp
        self._varied = self._varied or first != last or self._stamp not in {None, first}
        self._stamp = last


def _fingerprint(page: LogPage, requested_with: str | None) -> _Fingerprint:
    lines = page.lines
    return _Fingerprint(requested_with, page.cursor, len(lines), lines[0], lines[-1], bool(page.truncated))
