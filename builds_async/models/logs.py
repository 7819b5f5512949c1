"""The log of a build: https://developers.cloudflare.com/api/resources/workers_builds/."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from builds_async.models.base import Model, Moment
from builds_async.models.brief import brief
from builds_async.models.scalars import date_in, moment, number_of
from builds_async.models.text import plain


class LogLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of a log.

    An unreadable line keeps its place, because positions count lines. A message that is null becomes empty,
    and a number, list or object becomes JSON. A timestamp that is a date or a numeric string is converted.
    Any other timestamp is replaced by that of the previous line on the page, or by 0 (1970) in the first.
    """

    timestamp: int | float
    """The API's number, unchanged: epoch milliseconds, though the schema shows seconds. Use `time`."""
    message: str
    """The output of the build, unchanged. Untrusted data: print `text` instead."""

    def __repr__(self) -> str:
        return brief(self)

    @property
    def time(self) -> datetime:
        """The timestamp as an aware datetime in UTC.

        The size of the number decides whether it counts seconds, milliseconds or a smaller unit. Every number
        results in a time that can be converted to any time zone.
        """
        return moment(self.timestamp)

    @property
    def text(self) -> str:
        """The message as one line that is safe to print, to a terminal and in a CI job.

        Colors and other escape sequences are removed, control characters are made visible, and commands that
        GitHub Actions or Azure Pipelines would execute are broken up by a space. Otherwise, anyone who can
        write to a log could control the job that prints it.
        """
        return plain(self.message)


class LogEvent(Model, frozen=True, kw_only=True):
    """A phase of the build, as reported in the log. Seen live, but missing from the schema."""

    type: str | None = None
    """The name of the phase. Only `initializing` was seen; names are undocumented."""
    started_on: Moment | None = None
    """When the phase began."""
    ended_on: Moment | None = None
    """When the phase ended; None before that."""


if TYPE_CHECKING:
    _Lines = tuple[LogLine, ...]
else:
    _Lines = tuple[LogLine, ...] | None  # null decodes too, and becomes an empty list


class LogPage(Model, frozen=True, kw_only=True):
    """One page of a build's log."""

    _shown: ClassVar[tuple[str, ...]] = ("lines", "cursor", "truncated")

    _essential: ClassVar[frozenset[str]] = frozenset({"lines"})

    lines: _Lines = ()
    """The lines of the page in the API's order, mostly oldest first. Timestamps may go backward."""
    cursor: str | None = None
    """The opaque cursor of the next page; None if the API returns none."""
    truncated: bool | None = None
    """True if more lines follow this page. False does not mean that the log is complete."""
    events: tuple[LogEvent, ...] | None = None
    """The phases of the build; None if the API returns none."""

    def __post_init__(self) -> None:
        if self.lines is None:
            msgspec.structs.force_setattr(self, "lines", ())
        if self.cursor == "":
            msgspec.structs.force_setattr(self, "cursor", None)

    @classmethod
    def _normalized(cls, value: object, note: Callable[[str], None]) -> object:
        if not isinstance(value, dict) or not isinstance(value.get("lines"), list):
            return value
        return {**value, "lines": _pairs(value["lines"], note)}


def _pairs(lines: list[Any], note: Callable[[str], None]) -> list[list[Any]]:
    """The lines as pairs of timestamp and text: one pair for each line, because positions count lines."""
    pairs = list[list[Any]]()
    before: float = 0
    for line in lines:
        if _is_pair(line):  # most lines of such a page are valid
            before = line[0]
            pairs.append(line)
            continue
        if not isinstance(line, list | str) or not line:
            note("lines[]")
        timestamp, text = _halves(line)
        before = _timestamp(timestamp, before)
        pairs.append([before, _text(text)])
    return pairs


def _is_pair(line: object) -> bool:
    return type(line) is list and len(line) == 2 and type(line[0]) is int and type(line[1]) is str


def _halves(line: object) -> tuple[object, object]:
    if isinstance(line, list):
        if len(line) == 1 and isinstance(line[0], str):
            return None, line[0]
        first, second, *_ = [*line, None, None]  # the list may be too short
        return first, second
    if isinstance(line, dict):
        return line.get("timestamp"), line.get("message")
    return None, line


def _timestamp(value: object, before: float) -> float:
    number = number_of(value)
    if number is None and isinstance(value, str) and (date := date_in(value)):
        number = round(date.timestamp() * 1000)  # the API's unit
    return before if number is None else number


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


class LogPosition(msgspec.Struct, frozen=True):
    """A place in a build's log.

    `msgspec.json.encode(position)` and `msgspec.json.decode(data, type=LogPosition)` store and load it.
    """

    cursor: str | None = None
    """The cursor of the page to request; None for the first page."""
    offset: int = 0
    """How many lines of that page were delivered."""
    number: int = 0
    """How many lines of the log were delivered: the number of the last line, counted from 1.

    Positions that were stored before this field existed lack it. Without a cursor, `offset` is used instead.
    With one, the number is unknown, and the next line gets number 1.
    """

    def after(self, lines: int) -> "LogPosition":
        """The place `lines` lines further on, for a reader that has processed a part of its lines."""
        # An offset may reach beyond its page, into the next ones.
        return LogPosition(self.cursor, self.offset + lines, self.number + lines)
