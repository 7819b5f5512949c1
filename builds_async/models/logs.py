"""A build's log: https://developers.cloudflare.com/api/resources/workers_builds/."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from builds_async.models import lenient
from builds_async.models.base import Model, Moment
from builds_async.models.text import plain


class LogLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of a log. `timestamp` is the API's number as it came; `time` reads it.

    `message` is whatever the build printed: treat it as untrusted data, and print `text`.

    An odd line keeps its place, because positions count lines. A null text is an empty one; a number, list
    or object in place of the text is shown as JSON. A timestamp that is a date, or a number as text, is
    read; any other takes that of the line before it in the page, or 0 (1970) for the first line.
    """

    timestamp: int | float
    message: str

    @property
    def time(self) -> datetime:
        """The timestamp as an aware UTC datetime.

        The API counts milliseconds; its schema shows seconds. The size of the number tells which it is.
        Every number gives a date that can be shown in every time zone.
        """
        return lenient.moment(self.timestamp)

    @property
    def text(self) -> str:
        """The message as one line that is safe to print, at a terminal and in a CI job.

        Colors and other escape sequences are left out, control characters are visible, and a space breaks
        what GitHub Actions or Azure Pipelines would obey as a command: anybody who can put a line into a log
        could otherwise act in the job that prints it.
        """
        return plain(self.message)


class LogEvent(Model, frozen=True, kw_only=True):
    """A phase of the build as the log answer reports it, for example `initializing`."""

    type: str | None = None
    started_on: Moment | None = None
    ended_on: Moment | None = None


if TYPE_CHECKING:
    _Lines = tuple[LogLine, ...]
else:
    _Lines = tuple[LogLine, ...] | None  # a null list decodes too, and reads as an empty one


class LogPage(Model, frozen=True, kw_only=True):
    """One answer of the logs endpoint.

    `cursor` is opaque: pass it to the next call. `truncated` says that more lines are behind this page.
    """

    _essential: ClassVar[frozenset[str]] = frozenset({"lines"})

    lines: _Lines = ()
    cursor: str | None = None
    truncated: bool | None = None
    events: tuple[LogEvent, ...] | None = None

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
    """Odd lines as pairs of a timestamp and a text, as many as there are lines."""
    pairs = list[list[Any]]()
    before: float = 0
    for line in lines:
        if _is_pair(line):
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
        first, second, *_ = [*line, None, None]
        return first, second
    if isinstance(line, dict):
        return line.get("timestamp"), line.get("message")
    return None, line


def _timestamp(value: object, before: float) -> float:
    number = lenient.number_of(value)
    if number is None and isinstance(value, str) and (date := lenient.date_in(value)):
        number = round(date.timestamp() * 1000)
    return before if number is None else number


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


class LogPosition(msgspec.Struct, frozen=True):
    """A place in a build's log: the cursor to ask with, and how many lines of that page are done.

    Small and made of plain values: `msgspec.json.encode(position)` and
    `msgspec.json.decode(data, type=LogPosition)` store it and read it back.
    """

    cursor: str | None = None
    offset: int = 0
