"""Pages of a build's log and the cursors between them."""

from base64 import b64decode, b64encode

import msgspec

from builds_async.models.builds import BuildStatus
from builds_async.simulator.behaviour import Behaviour
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.calendar import Calendar
from builds_async.simulator.records import Json

_SALT = ">>>>>?????"  # puts "+" and "/" into the base64 text, whatever numbers precede it


class BadCursorError(ValueError):
    """The cursor does not belong to this log."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """A place in a log: the number of lines before it, and of the empty truncated pages served there."""

    hollow: int
    line: int
    salt: str = _SALT
    first: int | None = None
    """The first line of the page that returned this cursor, if that page may be served again."""

    def encode(self) -> str:
        """Standard base64 of JSON, with characters that a query must quote: `+`, `/` and `=`."""
        fields = msgspec.structs.astuple(self)
        return b64encode(msgspec.json.encode(fields[:3] if self.first is None else fields)).decode()


def read_cursor(text: str, lines: int) -> Cursor:
    """Decode a cursor of a log of `lines` lines.

    BadCursorError if it was not made by `Cursor.encode`, or lies beyond the log.
    """
    try:
        cursor = msgspec.json.decode(b64decode(text, validate=True), type=Cursor)
    except (ValueError, msgspec.DecodeError) as error:
        raise BadCursorError(text) from error
    # The round trip also catches a foreign salt and non-canonical base64.
    if cursor.encode() != text or cursor.hollow < 0 or not 0 <= cursor.line <= lines:
        raise BadCursorError(text)
    return cursor


def log_page(
    build: SimulatedBuild, cursor: str | None, *, size: int, behaviour: Behaviour, calendar: Calendar
) -> Json | None:
    """The `result` of the logs endpoint for a cursor. BadCursorError as in `read_cursor`."""
    readable = build.readable
    place = Cursor(0, 0) if cursor is None else read_cursor(cursor, readable)
    end = min(place.line + size, readable)
    lines = build.page(place.line, end)
    # Serve the previous page once more, with the cursor of this request.
    if place.first is not None and not lines:
        return {"truncated": False, "lines": build.page(place.first, end), "cursor": cursor}
    if not lines and behaviour.null_logs_result:
        return None
    # Empty truncated pages come only after the last line, and each new line resets their count.
    passed = 0 if lines else place.hollow
    hollow = end == readable and (
        behaviour.truncated_hollow == "endless" or passed < behaviour.truncated_hollow
    )
    truncated = end < readable or hollow
    following = Cursor(
        passed + 1 if hollow and behaviour.hollow_cursor == "moving" else passed,
        end,
        first=place.line if behaviour.behind_the_end == "last_page" else None,
    )
    page: Json = {"truncated": truncated, "lines": lines, "events": _events(build, calendar)}
    if truncated or behaviour.last_page_cursor == "tail":
        page["cursor"] = following.encode()
    elif behaviour.last_page_cursor != "absent":
        page["cursor"] = cursor if behaviour.last_page_cursor == "same" else None
    return page


def _events(build: SimulatedBuild, calendar: Calendar) -> list[Json]:
    started = build.entered(BuildStatus.INITIALIZING)
    if started is None:
        return []
    running = build.entered(BuildStatus.RUNNING)
    ended = build.entered(BuildStatus.STOPPED) if running is None else running
    return [
        {
            "type": "initializing",
            "started_on": calendar.api_date(started),
            "ended_on": calendar.api_date(ended),
        }
    ]
