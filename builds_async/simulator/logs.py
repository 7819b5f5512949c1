"""Pages of a build's log and the cursors between them."""

from base64 import b64decode, b64encode
from typing import Any

import msgspec

from builds_async.models.builds import BuildStatus
from builds_async.simulator.behavior import Behavior, CursorStyle
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.calendar import Calendar
from builds_async.simulator.records import Json

_SALTS = {
    "quoted": ">>>>>?????",  # puts "+" and "/" into the base64 text, whatever numbers precede it
    "raw": "&cursor=%2F#? +;\u00e9\U0001f6e0",
    "long": "." * 1500,
}
_EXAMPLE_TIMESTAMP = 1636472400  # of the schema's example


class BadCursorError(ValueError):
    """A cursor that does not belong to this log."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """A place in a log: the number of lines before it, and of the hollow pages that were served there.

    A *hollow* page has no lines but still says `truncated`; see `Behavior.truncated_hollow`.
    """

    hollow: int
    line: int
    first: int | None = None
    """The first line of the page that returned this cursor, if that page may be served again; else None."""
    turn: int | None = None
    """How many pages were read before, if each of them has another cursor; else None."""

    def encode(self, style: CursorStyle) -> str:
        """The cursor as the API would return it."""
        fields: list[Any] = list(msgspec.structs.astuple(self))
        if style == "object":
            names = self.__struct_fields__
            value: object = {**dict(zip(names, fields, strict=True)), "timestamp": _EXAMPLE_TIMESTAMP}
        elif style in _SALTS:
            value = [*fields, _SALTS[style]]
        else:
            while fields[-1] is None:
                fields.pop()
            value = fields
        encoded = msgspec.json.encode(value)
        return encoded.decode() if style == "raw" else b64encode(encoded).decode()


def read_cursor(text: str, style: CursorStyle, lines: int) -> Cursor:
    """Decode a cursor of a log of `lines` lines.

    BadCursorError if it was not made by `Cursor.encode`, or lies beyond the log.
    """
    try:
        value = msgspec.json.decode(text if style == "raw" else b64decode(text, validate=True))
        fields = [value[name] for name in Cursor.__struct_fields__] if style == "object" else value[:4]
        cursor = msgspec.convert(fields, Cursor)
    except (ValueError, LookupError, TypeError, msgspec.MsgspecError) as error:
        raise BadCursorError(text) from error
    # The round trip also catches a foreign salt and non-canonical base64.
    if cursor.encode(style) != text or cursor.hollow < 0 or not 0 <= cursor.line <= lines:
        raise BadCursorError(text)
    return cursor


def log_page(
    build: SimulatedBuild, cursor: str | None, *, size: int, behavior: Behavior, calendar: Calendar
) -> Json | None:
    """The `result` of the logs endpoint for a cursor. BadCursorError as in `read_cursor`."""
    readable = build.readable
    place = Cursor(0, 0) if cursor is None else read_cursor(cursor, behavior.cursors, readable)
    end = min(place.line + size, readable)
    lines = build.page(place.line, end)
    # Only with `behind_the_end="last_page"`: serve the previous page again, with the cursor of this request.
    if place.first is not None and not lines:
        return {"truncated": False, "lines": build.page(place.first, end), "cursor": cursor}
    if not lines and behavior.null_logs_result:
        return None
    # Hollow pages come only after the last line, and each new line resets their count.
    passed = 0 if lines else place.hollow
    hollow = end == readable and (
        behavior.truncated_hollow == "endless" or passed < behavior.truncated_hollow
    )
    truncated = end < readable or hollow
    following = Cursor(
        passed + 1 if hollow and behavior.hollow_cursor == "moving" else passed,
        end,
        first=place.line if behavior.behind_the_end == "last_page" else None,
        turn=(place.turn or 0) + 1 if behavior.cursors == "new" else None,
    )
    page: Json = {"truncated": truncated, "lines": lines, "events": _events(build, calendar)}
    if truncated or behavior.last_page_cursor == "tail":
        page["cursor"] = following.encode(behavior.cursors)
    elif behavior.last_page_cursor != "absent":
        page["cursor"] = cursor if behavior.last_page_cursor == "same" else None
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
