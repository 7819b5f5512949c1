"""The lines that a tail of many Workers yields, and the position of a tail."""

from typing import TypeAlias

import msgspec

from builds_async.models.brief import brief
from builds_async.models.builds import Build
from builds_async.models.changes import WorkerMark
from builds_async.models.logs import LogLine, LogPosition


class TailLine(msgspec.Struct, frozen=True):
    """One line of one build's log."""

    external_script_id: str
    """The tag of the Worker, as the caller passed it."""

    build: Build
    """The build that wrote the line, as last seen."""

    line: LogLine
    """The line itself."""

    number: int = 0
    """The place of the line in its log, counted from 1: `(build.build_uuid, number)` identifies the line.

    It is exact unless the tail began with a position that was stored without numbers; see
    `LogPosition.number`.
    """

    def __repr__(self) -> str:
        return brief(self)


class TailEnd(msgspec.Struct, frozen=True):
    """A build is over, and all lines of its log were given."""

    external_script_id: str
    """The tag of the Worker, as the caller wrote it."""

    build: Build
    """The build, final. Only of a build that was deleted while it ran it is the last state that was seen."""

    complete: bool
    """Whether the API gave the whole log. False if the log, or the build itself, is gone."""

    def __repr__(self) -> str:
        return brief(self)


class TailLog(msgspec.Struct, frozen=True):
    """The position of a tail in the log of one build."""

    external_script_id: str
    """The tag of the Worker."""

    position: LogPosition
    """The place after the last line that was returned."""

    ended: bool = False
    """True if the end was given too: the log is kept here until the Worker's mark covers the build."""


TailItem: TypeAlias = TailLine | TailEnd
"""What a tail gives."""


class TailPosition(msgspec.Struct, frozen=True):
    """The position of a tail.

    Store it with `msgspec.json.encode(position)`, load it with
    `msgspec.json.decode(data, type=TailPosition)`.
    """

    workers: dict[str, WorkerMark | None] = {}
    """The newest build seen of each Worker, by tag in lower case; None for a Worker that had no build."""

    logs: dict[str, TailLog] = {}
    """The place in each log whose end was not given, by build UUID."""

    def __repr__(self) -> str:
        return brief(self)
