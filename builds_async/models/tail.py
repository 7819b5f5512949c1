"""The items that a tail of many Workers yields, and its position."""

from collections.abc import Iterable
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
    """The build that wrote the line, as it was last seen."""

    line: LogLine
    """The line itself."""

    number: int = 0
    """The number of the line in its log, from 1: `(build.build_uuid, number)` identifies the line.

    It is exact unless the tail started at a position that was stored without numbers: see
    `LogPosition.number`.
    """

    def __repr__(self) -> str:
        return brief(self)


class TailEnd(msgspec.Struct, frozen=True):
    """A build has ended, and the tail has delivered all lines of its log."""

    external_script_id: str
    """The tag of the Worker, as the caller passed it."""

    build: Build
    """The finished build. If it was deleted while it ran, the build as it was last seen."""

    complete: bool
    """Whether the API returned the whole log. False if the log, or the build itself, is gone."""

    def __repr__(self) -> str:
        return brief(self)


class TailLog(msgspec.Struct, frozen=True):
    """The position in the log of one build, as part of the position of a tail."""

    external_script_id: str
    """The tag of the Worker."""

    position: LogPosition
    """The place after the last line that was delivered."""

    ended: bool = False
    """Whether the `TailEnd` was delivered too. The entry stays until the Worker's mark covers the build."""


TailItem: TypeAlias = TailLine | TailEnd
"""An item of a tail."""


class TailPosition(msgspec.Struct, frozen=True):
    """The position of a tail.

    `msgspec.json.encode(position)` and `msgspec.json.decode(data, type=TailPosition)` store and load it.
    """

    workers: dict[str, WorkerMark | None] = {}
    """The newest build seen of each Worker, by tag in lower case; None for a Worker that had no build."""

    logs: dict[str, TailLog] = {}
    """The place in each log whose end was not delivered, by build UUID."""

    def __repr__(self) -> str:
        return brief(self)

    def after(self, items: Iterable[TailItem]) -> "TailPosition":
        """The position after these items, which must be the next ones: for a batch that is processed in part.

        Call it on the `tail.position` read between `await tail.ready()` and `tail.read()`. Only that position
        includes every log of the batch.
        """
        logs = dict(self.logs)
        for item in items:
            uuid = item.build.build_uuid
            here = logs[uuid].position if uuid in logs else LogPosition()
            is_line = isinstance(item, TailLine)
            logs[uuid] = TailLog(item.external_script_id, here.after(int(is_line)), ended=not is_line)
        return TailPosition(self.workers, logs)
