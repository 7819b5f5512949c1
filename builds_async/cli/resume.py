"""Saves the position of a tail in a file, for `--resume`."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from builds_async import LogPosition, TailPosition
from builds_async.cli.running import shielded
from builds_async.live.position_file import PositionFile

Position = TypeVar("Position", LogPosition, TailPosition)

_DISK_SHARE = 0.1
_PAUSE = 1.0
_FIRST_PAUSE = 0.05


def resume_file(path: str, kind: type[Position], *, build_uuid: str | None = None) -> PositionFile[Position]:
    """The file of `--resume`."""
    return PositionFile(path, kind, writer="--resume", build_uuid=build_uuid)


class Checkpoint(Generic[Position]):
    """Keeps a resume file up to date with the output; without a file, only remembers the position.

    `note` saves a position at once, except that saving takes at most a tenth of the time: the next save is
    due only after ten times the duration of the last one. A position noted in between is saved by a later
    `note` or by `close`.
    """

    def __init__(
        self,
        file: PositionFile[Position] | None,
        start: Position | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file: PositionFile[Position] | None = file
        self._now = now
        self._saved: Position | None = start
        self._due = now()
        self.position: Position | None = start
        """The last position that was noted."""

    @property
    def pause(self) -> float | None:
        """The seconds without output after which to note the position again; None for never.

        A position also changes without output, as builds begin and end. The first one is saved quickly, so
        that a tail that is killed before its first line can resume at its start.
        """
        if self._file is None:
            return None
        if self.position != self._saved:
            return max(0.0, self._due - self._now())
        return _FIRST_PAUSE if self._saved is None else _PAUSE

    def note(self, position: Position) -> None:
        """Record that everything before this position was printed, and nothing after it."""
        self.position = position
        if self._now() >= self._due:
            self.close()

    def close(self) -> None:
        """Save the last position unless it is saved already."""
        if self._file is None or self.position is None or self.position == self._saved:
            return
        began = self._now()
        with shielded():
            self._file.save(self.position)
        self._saved = self.position
        ended = self._now()
        self._due = ended + (ended - began) / _DISK_SHARE
