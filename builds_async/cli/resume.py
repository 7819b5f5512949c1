"""How far a tail has come, kept in a file: `--resume`."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from builds_async import LogPosition, TailPosition
from builds_async.cli.exits import CommandError
from builds_async.cli.files import UnfitFileError, check_replaceable, read_file, replace_file
from builds_async.cli.running import shielded

Position = TypeVar("Position", LogPosition, TailPosition)

_MAX_SIZE = 16 * 2**20  # a hundred times what the position of a thousand Workers takes
_DISK_SHARE = 0.1
_PAUSE = 1.0
_FIRST_PAUSE = 0.05


class _Saved(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The content of the file: either a build or Workers, by tag."""

    build_uuid: str | None = None
    workers: tuple[str, ...] | None = None
    position: msgspec.Raw  # decoded when its kind is known


class ResumeFile(Generic[Position]):
    """The position in the log of one build, or in those of some Workers.

    The file is replaced as a whole and is on disk when `save` returns: after a kill or a power cut it has
    either the old position or the new one. Only its owner can read it.

    Each Worker has a position of its own in it. A Worker that is tailed for the first time starts as it would
    without a file. The position of one that is not tailed this time is kept. A file none of whose Workers is
    tailed is taken for a mistake.
    """

    def __init__(self, path: str, kind: type[Position], *, build_uuid: str | None = None) -> None:
        if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114
            # Another user may have made the link, and would choose where the file appears.
            raise CommandError(f"--resume: {Path(path).name} is a link to a file that does not exist")
        self._path = Path(os.path.realpath(path))  # a link stays a link: its target is replaced
        self._kind: type[Position] = kind
        self._build_uuid = build_uuid
        self._known: tuple[str, ...] | None = None  # the Workers in the file
        self._workers: tuple[str, ...] | None = None  # those, and the ones that are tailed
        self._kept = TailPosition()  # of Workers that are not tailed
        self._last: Position | None = None

    def load(self) -> Position | None:
        """The position to go on from; None if there is no file yet, or it is empty.

        CommandError if the file belongs to something else, is not a resume file, or can't be written.
        """
        try:
            data, _ = read_file(self._path, _MAX_SIZE)
        except FileNotFoundError:
            data = b""
        except UnfitFileError as error:
            raise self._error(f"{error}, so --resume has not written it") from None
        except OSError as error:
            raise self._error(f"can't be read: {error.strerror}") from None
        position = self._decoded(data) if data.strip() else None
        try:
            check_replaceable(self._path)  # now, not after an hour of output
        except OSError as error:
            raise self._error(f"can't be written there: {error.strerror}") from None
        self._last = position
        return position

    def follow(self, workers: Iterable[str]) -> None:
        """Say which Workers are tailed, by tag; CommandError if the file has none of them."""
        followed = set(workers)
        known = set(self._known or ())
        if known and not known & followed:
            raise self._error("is of other Workers; give another file, or remove it to start over")
        self._workers = tuple(sorted(followed | known))
        if isinstance(self._last, TailPosition):
            self._kept = TailPosition(
                {tag: mark for tag, mark in self._last.workers.items() if tag not in followed},
                {
                    uuid: log
                    for uuid, log in self._last.logs.items()
                    if log.external_script_id not in followed
                },
            )

    def save(self, position: Position) -> bool:
        """Replace the saved position; False if it is the same."""
        if position == self._last:
            return False
        saved = _Saved(
            build_uuid=self._build_uuid,
            workers=self._workers,
            position=msgspec.Raw(msgspec.json.encode(self._with_kept(position))),
        )
        try:
            replace_file(self._path, msgspec.json.encode(saved) + b"\n")
        except OSError as error:
            raise self._error(f"can't be written: {error.strerror}") from None
        self._last = position
        return True

    def _with_kept(self, position: LogPosition | TailPosition) -> LogPosition | TailPosition:
        if isinstance(position, LogPosition):
            return position
        kept = self._kept
        return TailPosition({**kept.workers, **position.workers}, {**kept.logs, **position.logs})

    def _decoded(self, data: bytes) -> Position:
        try:
            saved = msgspec.json.decode(data, type=_Saved)
            position: Position = msgspec.json.decode(saved.position, type=self._kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._error("is not a file that --resume has written") from None
        if (saved.build_uuid is None) == (saved.workers is None):
            raise self._error("is not a file that --resume has written")
        if saved.build_uuid != self._build_uuid:
            theirs = f"of build {saved.build_uuid}" if saved.build_uuid else "of Workers, not of a build"
            raise self._error(f"is {theirs}; give another file, or remove it to start over")
        self._known = saved.workers
        return position

    def _error(self, problem: str) -> CommandError:
        return CommandError(f"--resume: {self._path.name} {problem}")


class Checkpoint(Generic[Position]):
    """Keeps a resume file up to date with the output; without a file it only remembers the position.

    A position is saved when it is noted, but saving takes at most a tenth of the time: after a save that took
    long, the next one is due ten times as long later. What is noted in between is saved by a later `note` or
    by `close`.
    """

    def __init__(
        self,
        file: ResumeFile[Position] | None,
        start: Position | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file: ResumeFile[Position] | None = file
        self._now = now
        self._saved: Position | None = start
        self._due = now()
        self.position: Position | None = start
        """The last position that was noted."""

    @property
    def pause(self) -> float | None:
        """After how many seconds without output to note the position again; None for never.

        A position moves without output too, as builds begin and end. The first one is saved quickly: a tail
        that is killed before its first line then knows where it started.
        """
        if self._file is None:
            return None
        if self.position != self._saved:
            return max(0.0, self._due - self._now())
        return _FIRST_PAUSE if self._saved is None else _PAUSE

    def note(self, position: Position) -> None:
        """Everything before this position was printed, and nothing behind it."""
        self.position = position
        if self._now() >= self._due:
            self.close()

    def close(self) -> None:
        """Save the position unless it is saved already."""
        if self._file is None or self.position is None or self.position == self._saved:
            return
        began = self._now()
        with shielded():
            self._file.save(self.position)
        self._saved = self.position
        ended = self._now()
        self._due = ended + (ended - began) / _DISK_SHARE
