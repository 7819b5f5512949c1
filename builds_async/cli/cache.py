"""Remembers between runs the builds that were printed and the names of the Workers.

A build can then be named by the digits that were printed, and a shell completes the names of Workers
without a request. Losing the cache costs requests, nothing else: a failure to read or write it is never
reported.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from builds_async import Build, BuildsClient
from builds_async.live.files import UnsuitableFileError, read_file, replace_file
from builds_async.session.ids import is_uuid, normalized_id

MAX_BUILDS = 500
MAX_WORKERS = 10_000
_MAX_BYTES = 2_000_000

# The names end up in a shell: nothing passes that a shell would interpret.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", re.ASCII)


class _Content(msgspec.Struct):
    builds: list[str] = []
    """UUIDs, the latest at the end."""
    workers: list[str] = []


class Cache:
    """The cache of one account, a small file in the user's cache directory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._content = self._load()

    @classmethod
    def of(cls, client: BuildsClient) -> Self:
        """The cache for the account of a client."""
        return cls.of_account(client.account_id)

    @classmethod
    def of_account(cls, account_id: str) -> Self:
        """The cache for an account. The name of the file does not show the account."""
        directory = _directory()
        if directory is None:
            return cls(None)
        return cls(directory / f"{hashlib.sha256(account_id.lower().encode()).hexdigest()[:16]}.json")

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the account's Workers when they were last listed."""
        return tuple(self._content.workers)

    def builds_starting_with(self, digits: str) -> tuple[str, ...]:
        """The UUIDs of printed builds that start with these digits, the latest first."""
        return tuple(uuid for uuid in reversed(self._content.builds) if uuid.startswith(digits))

    def add_builds(self, builds: Iterable[Build | str]) -> None:
        """Remember builds that were printed, at most the latest 500."""
        uuids = [normalized_id(it if isinstance(it, str) else it.build_uuid) for it in builds]
        new = [uuid for uuid in dict.fromkeys(uuids) if uuid not in self._content.builds]
        if not (new := [uuid for uuid in new if is_uuid(uuid)]):
            return
        self._content = self._load()  # another command may have written since
        kept = [uuid for uuid in self._content.builds if uuid not in new]
        self._content.builds = [*kept, *new][-MAX_BUILDS:]
        self._save()

    def set_workers(self, names: Iterable[str]) -> None:
        """Replace the names of the account's Workers."""
        checked = sorted(name for name in names if _NAME.fullmatch(name))[:MAX_WORKERS]
        if checked != self._content.workers:
            self._content = self._load()
            self._content.workers = checked
            self._save()

    def _load(self) -> _Content:
        if self._path is None:
            return _Content()
        try:
            data, _ = read_file(self._path, _MAX_BYTES)
            content = msgspec.json.decode(data, type=_Content)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, UnsuitableFileError):
            return _Content()
        # Other programs can write the file: whatever is not a UUID or a name is ignored.
        return _Content(list(filter(is_uuid, content.builds)), list(filter(_NAME.fullmatch, content.workers)))

    def _save(self) -> None:
        if self._path is None:
            return
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, msgspec.json.encode(self._content))


def _directory() -> Path | None:
    """The directory for the cache; None if the environment names none."""
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    if (given := os.environ.get(variable)) and Path(given).is_absolute():
        return Path(given) / "builds-async"
    with suppress(RuntimeError):  # no home directory
        return Path.home() / ".cache" / "builds-async"
    return None
