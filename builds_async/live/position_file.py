"""A position in a file: replaced as a whole, and on disk when a save returns."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from builds_async.errors import ConfigurationError
from builds_async.live.files import UnsuitableFileError, check_replaceable, read_file, replace_file
from builds_async.models.logs import LogPosition
from builds_async.models.tail import TailPosition

Position = TypeVar("Position", LogPosition, TailPosition)

_MAX_SIZE = 16 * 2**20  # a hundred times the size for a thousand Workers


class _Saved(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The content of the file: `build_uuid` is set for one build, `workers` (tags) for Workers."""

    build_uuid: str | None = None
    workers: tuple[str, ...] | None = None
    position: msgspec.Raw  # decoded once its type is known


class PositionFile(Generic[Position]):
    """The saved position in the log of one build, or in the logs of some Workers.

    The file is replaced atomically and is on disk when `save` returns: after a kill or a power cut, it
    contains the old position or the new one. Only its owner can read it.

    Each Worker has a position of its own. A Worker that is tailed for the first time starts as it would
    without a file. The position of a Worker that is not tailed this time is kept. A file for other Workers
    only is an error, since it was probably given by mistake.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kind: type[Position],
        *,
        writer: str,
        build_uuid: str | None = None,
    ) -> None:
        self._writer = writer  # for errors: the option or the class that writes such files
        if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114
            # Another user may have made the link, to choose where the file appears.
            raise ConfigurationError(f"{writer}: {Path(path).name} is a link to a file that does not exist")
        self._path = Path(os.path.realpath(path))  # replaces the target of a link, not the link
        self._kind: type[Position] = kind
        self._build_uuid = build_uuid
        self._known: tuple[str, ...] | None = None  # the Workers in the file
        self._workers: tuple[str, ...] | None = None  # the Workers in the file and those that are tailed
        self._kept = TailPosition()  # the positions of Workers that are not tailed
        self._last: Position | None = None

    def load(self) -> Position | None:
        """The position to resume at; None if the file is missing or empty.

        ConfigurationError if the file belongs to something else, is not such a file, or can't be replaced.
        """
        try:
            data, _ = read_file(self._path, _MAX_SIZE)
        except FileNotFoundError:
            data = b""
        except UnsuitableFileError as error:
            raise self._error(f"{error}, so it was not written by {self._writer}") from None
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
        """Set the tags of the Workers to tail.

        ConfigurationError if the file has Workers, but none of them.
        """
        followed = set(workers)
        known = set(self._known or ())
        if known and not known & followed:
            raise self._error("belongs to other Workers; name another file, or remove it to start over")
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
        """Replace the saved position; return False if it has not changed."""
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
            raise self._error(f"was not written by {self._writer}") from None
        if (saved.build_uuid is None) == (saved.workers is None):
            raise self._error(f"was not written by {self._writer}")
        if saved.build_uuid != self._build_uuid:
            owner = f"build {saved.build_uuid}" if saved.build_uuid else "Workers, not to a build"
            raise self._error(f"belongs to {owner}; name another file, or remove it to start over")
        self._known = saved.workers
        return position

    def _error(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._writer}: {self._path.name} {problem}")
