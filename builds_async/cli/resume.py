"""How far a tail has come, kept in a file."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from builds_async import LogPosition, TailPosition
from builds_async.cli.exits import CommandError

Position = TypeVar("Position", LogPosition, TailPosition)


class _Saved(msgspec.Struct, kw_only=True, omit_defaults=True):
    build_uuid: str | None = None
    workers: tuple[str, ...] | None = None  # their tags
    position: msgspec.Raw


class ResumeFile(Generic[Position]):
    """The position in the log of one build, or of some Workers.

    It is replaced as a whole, so that whoever is killed leaves either the old one or the new one behind.
    Only its owner may read it.
    """

    def __init__(
        self,
        path: str,
        kind: type[Position],
        *,
        build_uuid: str | None = None,
        workers: Iterable[str] | None = None,
    ) -> None:
        self._path = Path(os.path.realpath(path))
        self._kind: type[Position] = kind
        self._build_uuid = build_uuid
        self._workers = None if workers is None else tuple(sorted(set(workers)))
        self._last: Position | None = None

    def load(self) -> Position | None:
        """The position to go on from; None if there is no such file yet.

        CommandError if the file is of something else, is no such file at all, or could not be written.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            self._check_place()
            return None
        except OSError as error:
            raise self._error(f"can't be read: {error.strerror}") from None
        try:
            saved = msgspec.json.decode(data, type=_Saved)
            position: Position = msgspec.json.decode(saved.position, type=self._kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._error("is no file that --resume has written") from None
        self._check_subject(saved)
        self._check_place()
        self._last = position
        return position

    def save(self, position: Position) -> None:
        """Put a position in the place of the one before."""
        if position == self._last:
            return
        saved = _Saved(
            build_uuid=self._build_uuid,
            workers=self._workers,
            position=msgspec.Raw(msgspec.json.encode(position)),
        )
        try:
            self._replace(msgspec.json.encode(saved) + b"\n")
        except OSError as error:
            raise self._error(f"can't be written: {error.strerror}") from None
        self._last = position

    def _replace(self, data: bytes) -> None:
        number, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # mode 0600
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
            os.replace(name, self._path)  # noqa: PTH105  # both are plain names here
        except BaseException:
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108
            raise

    def _check_subject(self, saved: _Saved) -> None:
        if saved.build_uuid != self._build_uuid:
            theirs = f"of build {saved.build_uuid}" if saved.build_uuid else "of Workers, not of a build"
            raise self._error(f"is {theirs}; give another file, or remove it to start over")
        if saved.workers != self._workers:
            raise self._error("is of other Workers; give another file, or remove it to start over")

    def _check_place(self) -> None:
        if not os.access(self._path.parent, os.W_OK | os.X_OK):
            raise self._error("can't be written there")

    def _error(self, what: str) -> CommandError:
        return CommandError(f"--resume: {self._path.name} {what}")
