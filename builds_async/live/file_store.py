"""Positions in a file: for one process that is restarted on the same machine."""

import asyncio
import os

import msgspec

from builds_async.errors import ConfigurationError
from builds_async.live.position_file import PositionFile
from builds_async.live.stores import Saved
from builds_async.models.changes import WorkerMark
from builds_async.models.tail import TailLog, TailPosition
from builds_async.session.ids import normalized_id


class FileStore:
    """Keeps the positions of a tail in one file, as `builds-async tail --resume FILE` does.

    The file is replaced atomically and is on disk before the next batch comes: after a kill or a power cut
    it has the old positions or the new ones. Only its owner can read it. The positions of Workers that are
    not tailed this time are kept.

    A missing or empty file is a new one. ConfigurationError, with the first batch, for a file that belongs to
    other Workers only, that a `FileStore` did not write, or that can't be replaced, and later if the disk
    fails. Two processes can't share a file: with a fleet use `RedisStore`, or a store in your database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = PositionFile(path, TailPosition, writer="FileStore")
        self._workers: dict[str, WorkerMark | None] | None = None
        self._logs: dict[str, dict[str, TailLog]] = {}  # by Worker and build
        self._opened: set[str] = set()
        self._checked = False
        self._lock = asyncio.Lock()
        self._version = 0  # of what is in memory
        self._written = 0  # the version that is on disk

    async def open(self, worker: str, fence: int) -> Saved | None:
        """The position of a Worker. ConfigurationError with a fleet: a file can't tell its owners apart."""
        if fence:
            raise ConfigurationError(
                "a FileStore belongs to one process: with a fleet leave out `store`, or pass a store that is"
                " shared, such as the one of examples/postgres_store.py"
            )
        async with self._lock:
            workers = await self._load()
        self._opened.add(worker)
        logs = self._logs.get(worker, {})
        if worker not in workers and not logs:
            return Saved()
        marks = {worker: workers[worker]} if worker in workers else {}
        position = TailPosition(marks, logs)
        return Saved(position=msgspec.json.encode(position).decode())

    async def save(self, worker: str, fence: int, seq: int, position: str, *args: object) -> bool:  # noqa: ARG002  # the protocol's
        """Save the position of a Worker. Positions that are saved at the same time share one write."""
        part = msgspec.json.decode(position, type=TailPosition)
        async with self._lock:
            workers = await self._load()
        workers |= part.workers
        self._logs[worker] = part.logs
        self._version = version = self._version + 1
        async with self._lock:
            if self._written < version:
                await self._write(workers)
        return True

    async def _load(self) -> dict[str, WorkerMark | None]:
        if self._workers is None:
            whole = await asyncio.to_thread(self._file.load) or TailPosition()
            self._workers = {normalized_id(tag): mark for tag, mark in whole.workers.items()}
            for uuid, log in whole.logs.items():
                self._logs.setdefault(normalized_id(log.external_script_id), {})[uuid] = log
        return self._workers

    async def _write(self, workers: dict[str, WorkerMark | None]) -> None:
        if not self._checked:  # only now are all Workers open
            self._file.follow(self._opened)
            self._checked = True
        version = self._version
        logs = {uuid: log for by_build in self._logs.values() for uuid, log in by_build.items()}
        writing = asyncio.ensure_future(asyncio.to_thread(self._file.save, TailPosition(dict(workers), logs)))
        try:
            await asyncio.shield(writing)
        finally:
            await asyncio.wait({writing})  # even when cancelled: two threads must not write at once
        self._written = version
