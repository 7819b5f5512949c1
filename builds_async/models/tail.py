"""What a tail of many Workers gives, and how far it has come."""

import msgspec

from builds_async.models.brief import brief
from builds_async.models.builds import Build
from builds_async.models.changes import WorkerMark
from builds_async.models.logs import LogLine, LogPosition


class TailLine(msgspec.Struct, frozen=True):
    """One line of one build's log."""

    external_script_id: str
    """The tag of the Worker, as the caller wrote it."""

    build: Build
    """The build that wrote the line, as last seen."""

    line: LogLine
    """The line itself."""

    def __repr__(self) -> str:
        return brief(self)


class TailLog(msgspec.Struct, frozen=True):
    """How far a tail has read the log of one build."""

    external_script_id: str
    """The tag of the Worker."""

    position: LogPosition
    """The place behind the last line that was given."""


class TailPosition(msgspec.Struct, frozen=True):
    """How far a tail has come.

    `msgspec.json.encode(position)` and `msgspec.json.decode(data, type=TailPosition)` store and load it.
    """

    workers: dict[str, WorkerMark | None] = {}
    """The newest build seen of each Worker, by tag in lower case; None for a Worker that had no build."""

    logs: dict[str, TailLog] = {}
    """The place in each log that is not finished, by build UUID."""

    def __repr__(self) -> str:
        return brief(self)
