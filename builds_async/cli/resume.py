"""How far a tail has come, kept in a file."""

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from builds_async import LogPosition, TailPosition
from builds_async.cli.exits import CommandError
from builds_async.cli.files import UnfitFileError, read_file
from builds_async.cli.running import shielded

Position = TypeVar("Position", LogPosition, TailPosition)

_NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # some file systems over a network have none
_LARGEST = 16 * 2**20  # a hundred times what a position of a thousand Workers takes
_SHARE = 0.1
_LOOK = 1.0
_FIRST_LOOK = 0.05


class _Saved(msgspec.Struct, kw_only=True, omit_defaults=True):
    build_uuid: str | None = None
    workers: tuple[str, ...] | None = None  # their tags
    position: msgspec.Raw


class ResumeFile(Generic[Position]):
    """The position in the log of one build, or of some Workers.

    It is replaced as a whole and reaches the disk before `save` returns: whoever is killed, and a machine
    whose power fails, leaves either the old position or the new one. Only its owner may read it.

    Each Worker has a place of its own in it. One that is followed for the first time starts as it would
    without a file; the place of one that is no longer followed is kept, for when it is followed again. That
    none of the file's Workers is followed is taken for a mistake.
    """

    def __init__(self, path: str, kind: type[Position], *, build_uuid: str | None = None) -> None:
        if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114
            # Whoever made the link would choose where the file comes to be.
            raise CommandError(f"--resume: {Path(path).name} is a link to a file that does not exist")
        self._path = Path(os.path.realpath(path))
        self._kind: type[Position] = kind
        self._build_uuid = build_uuid
        self._known: tuple[str, ...] | None = None  # the Workers in the file
        self._workers: tuple[str, ...] | None = None
        self._kept = TailPosition()  # of Workers that are not followed
        self._last: Position | None = None

    def load(self) -> Position | None:
        """The position to go on from; None if there is no such file yet, or it is empty.

        CommandError if the file is of something else, is no such file at all, or could not be written.
        """
        try:
            data, _ = read_file(self._path, _LARGEST)
        except FileNotFoundError:
            data = b""
        except UnfitFileError as error:
            raise self._error(f"{error}, so it is none that --resume has written") from None
        except OSError as error:
            raise self._error(f"can't be read: {error.strerror}") from None
        position = self._decoded(data) if data.strip() else None
        self._check_place()
        self._last = position
        return position

    def follow(self, workers: Iterable[str]) -> None:
        """Say which Workers are followed, by their tags; CommandError if the file has none of them."""
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
        """Put a position in the place of the one before; False if it is the same."""
        if position == self._last:
            return False
        saved = _Saved(
            build_uuid=self._build_uuid,
            workers=self._workers,
            position=msgspec.Raw(msgspec.json.encode(self._with_kept(position))),
        )
        try:
            self._replace(msgspec.json.encode(saved) + b"\n")
        except OSError as error:
            raise self._error(f"can't be written: {error.strerror}") from None
        self._last = position
        return True

    def _with_kept(self, position: LogPosition | TailPosition) -> LogPosition | TailPosition:
        if isinstance(position, LogPosition):
            return position
        kept = self._kept
        return TailPosition({**kept.workers, **position.workers}, {**kept.logs, **position.logs})

    def _replace(self, data: bytes) -> None:
        number, name = self._temporary()
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
                file.flush()
                _sync(file.fileno())
            os.replace(name, self._path)  # noqa: PTH105  # both are plain names here
        except BaseException:
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108
            raise
        _sync_folder(self._path.parent)

    def _temporary(self) -> tuple[int, str]:
        return tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # mode 0600

    def _decoded(self, data: bytes) -> Position:
        try:
            saved = msgspec.json.decode(data, type=_Saved)
            position: Position = msgspec.json.decode(saved.position, type=self._kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._error("is no file that --resume has written") from None
        if (saved.build_uuid is None) == (saved.workers is None):
            raise self._error("is no file that --resume has written")
        if saved.build_uuid != self._build_uuid:
            theirs = f"of build {saved.build_uuid}" if saved.build_uuid else "of Workers, not of a build"
            raise self._error(f"is {theirs}; give another file, or remove it to start over")
        self._known = saved.workers
        return position

    def _check_place(self) -> None:
        """Find out now whether a position can be written, by trying it."""
        try:
            number, name = self._temporary()
            os.close(number)
            os.unlink(name)  # noqa: PTH108
        except OSError as error:
            raise self._error(f"can't be written there: {error.strerror}") from None

    def _error(self, what: str) -> CommandError:
        return CommandError(f"--resume: {self._path.name} {what}")


class Checkpoint(Generic[Position]):
    """Keeps a resume file up to date with what was printed.

    A position is saved when it is noted, but the disk gets a tenth of the time at most: after a save that
    took long, the next one waits ten times as long. What was noted meanwhile is saved by a later `note` or by
    `close`. Without a file it only remembers.
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
        """The last one that was noted."""

    @property
    def pause(self) -> float | None:
        """After how many seconds to note the position again when nothing was printed; None for never.

        Short until there is something in the file, so that what is known of the start is soon there.
        """
        if self._file is None:
            return None
        if self.position != self._saved:
            return max(0.0, self._due - self._now())
        return _FIRST_LOOK if self._saved is None else _LOOK

    def note(self, position: Position) -> None:
        """Everything before this position was printed, and nothing behind it."""
        self.position = position
        if self._now() >= self._due:
            self.close()

    def close(self) -> None:
        """Save what was noted last, if it is not saved yet."""
        if self._file is None or self.position is None or self.position == self._saved:
            return
        began = self._now()
        with shielded():
            self._file.save(self.position)
        self._saved = self.position
        ended = self._now()
        self._due = ended + (ended - began) / _SHARE


def _sync(number: int) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """Let the new name of a file reach the disk too, where a folder can be opened (not on Windows)."""
    directory = getattr(os, "O_DIRECTORY", None)
    if directory is None:
        return
    with suppress(OSError):  # the file is there, and whole
        number = os.open(folder, os.O_RDONLY | directory)
        try:
            os.fsync(number)
        finally:
            os.close(number)
