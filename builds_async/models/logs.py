"""A build's log: https://developers.cloudflare.com/api/resources/workers_builds/."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from builds_async.models.base import Model

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND = -62_135_596_800  # of the year 1, with which dates begin
_SECONDS_END = 100_000_000_000  # as seconds this is the year 5138; as milliseconds, 1973


class LogLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of a log. `timestamp` is the API's number as it came; `time` reads it.

    Log text is whatever the build printed: treat it as untrusted data.
    """

    timestamp: int | float
    message: str

    @property
    def time(self) -> datetime:
        """The timestamp as an aware UTC datetime.

        The API counts milliseconds; its schema shows seconds. The size of the number tells which it is.
        """
        seconds = max(self.timestamp, _FIRST_SECOND)
        while seconds >= _SECONDS_END:
            seconds /= 1000
        return _EPOCH + timedelta(seconds=seconds)


class LogEvent(Model, frozen=True, kw_only=True):
    """A phase of the build as the log answer reports it, for example `initializing`."""

    type: str | None = None
    started_on: datetime | None = None
    ended_on: datetime | None = None


if TYPE_CHECKING:
    _Lines = tuple[LogLine, ...]
else:
    _Lines = tuple[LogLine, ...] | None  # a null list decodes too, and reads as an empty one


class LogPage(Model, frozen=True, kw_only=True):
    """One answer of the logs endpoint.

    `cursor` is opaque: pass it to the next call. `truncated` says that more lines are behind this page.
    """

    lines: _Lines = ()
    cursor: str | None = None
    truncated: bool | None = None
    events: tuple[LogEvent, ...] | None = None

    def __post_init__(self) -> None:
        if self.lines is None:
            msgspec.structs.force_setattr(self, "lines", ())


class LogPosition(msgspec.Struct, frozen=True):
    """A place in a build's log: the cursor to ask with, and how many lines of that page are done.

    Small and made of plain values: `msgspec.json.encode(position)` and
    `msgspec.json.decode(data, type=LogPosition)` store it and read it back.
    """

    cursor: str | None = None
    offset: int = 0
