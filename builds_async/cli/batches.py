"""Prints log lines in batches: each is printed whole and its end position recorded before the next."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from builds_async import (
    BuildTail,
    LogFollower,
    LogLine,
    LogPosition,
    TailEnd,
    TailItem,
    TailLine,
    TailLog,
    TailPosition,
)
from builds_async.cli.lookup import WorkerNames
from builds_async.cli.resume import Checkpoint
from builds_async.cli.running import shielded

Line = TypeVar("Line", LogLine, TailItem)
Position = TypeVar("Position", LogPosition, TailPosition)

_MAX_BATCH = 1000


class Batches(Protocol[Line, Position]):
    """A source of lines."""

    async def read(self) -> Sequence[Line]:
        """The next lines, or () at the end. Waits until there are some."""
        ...

    @property
    def position(self) -> Position | None:
        """The position after the last batch; None while it is unknown or lines are in flight."""
        ...

    def after(self, position: Position | None, lines: Sequence[Line]) -> Position:
        """The position after these lines, which begin at `position`."""
        ...


class BuildBatches:
    """Reads the log of one build."""

    def __init__(self, log: LogFollower, names: WorkerNames, *, tail: bool) -> None:
        self._log = log
        self._names = names
        # With `tail`, the start position is unknown until the first line is read. That line is a batch by
        # itself, so that a position can be saved as early as possible.
        self._is_first_alone = tail
        self._buffered: Sequence[LogLine] = ()

    async def read(self) -> Sequence[LogLine]:
        """The next page. The first call waits up to half a second for the name of the Worker."""
        if not self._buffered:
            self._buffered = await (self._first() if self._is_first_alone else self._log.read())
            self._is_first_alone = False
        await self._names.settle()  # may be canceled: the lines stay buffered
        batch, self._buffered = self._buffered, ()
        return batch

    @property
    def position(self) -> LogPosition | None:
        """The position after the last batch."""
        if self._buffered or (self._is_first_alone and not self._has_begun):
            return None
        return self._log.position

    @property
    def _has_begun(self) -> bool:
        try:
            self._log.build  # noqa: B018  # a follower fetches the build before any line
        except RuntimeError:
            return False
        return True

    def after(self, position: LogPosition | None, lines: Sequence[LogLine]) -> LogPosition:
        """The position after these lines of one page."""
        return _advanced(position or LogPosition(), len(lines))

    async def _first(self) -> Sequence[LogLine]:
        async for line in self._log:
            return (line,)
        return ()


class WorkerBatches:
    """Reads the lines of a tail, as many at once as are available without waiting.

    The first line of a new build ends its batch: before that line, the position in the log is unknown.
    """

    def __init__(self, tail: BuildTail) -> None:
        self._tail = tail
        self._builds = set(tail.position.logs)
        self._buffered: list[TailItem] = []
        self._step: asyncio.Future[TailItem] | None = None

    async def read(self) -> Sequence[TailItem]:
        """The next lines and ends of builds. Canceling loses none; `aclose` ends the pending step."""
        # Bounded, because formatting and writing a batch blocks the event loop.
        while len(self._buffered) < _MAX_BATCH:
            # A task, so that it survives a canceled read and the next read can await it.
            step = self._step = self._step or asyncio.ensure_future(anext(self._tail))
            await asyncio.sleep(0)  # one turn of the loop, enough for a line that the tail has buffered
            if self._buffered and not _has_line(step):
                break
            item = await step
            self._step = None
            self._buffered.append(item)
            if item.build.build_uuid not in self._builds:
                self._builds = set(self._tail.position.logs)
                break
        batch, self._buffered = self._buffered, []
        return batch

    @property
    def position(self) -> TailPosition | None:
        """The position after the last batch."""
        if self._buffered or (self._step is not None and _has_line(self._step)):
            return None  # the tail is ahead of the output
        position = self._tail.position
        return position if position.workers or position.logs else None

    def after(self, position: TailPosition | None, lines: Sequence[TailItem]) -> TailPosition:
        """The position after these items: each build's log advances by its own lines, or has ended."""
        position = position or TailPosition()
        logs = dict(position.logs)
        for item in lines:
            uuid = item.build.build_uuid
            here = logs[uuid].position if uuid in logs else LogPosition()
            if isinstance(item, TailLine):
                here = _advanced(here, 1)
            logs[uuid] = TailLog(item.external_script_id, here, ended=isinstance(item, TailEnd))
        return TailPosition(position.workers, logs)

    async def aclose(self) -> None:
        """End the pending step of `read`."""
        if self._step is not None:
            await _end(self._step)


class BatchPrinter(Generic[Line, Position]):
    """Prints batches and records the position of the output in a checkpoint.

    However printing ends, even in the middle of a batch, the recorded position is the one after the last line
    that was printed whole. The exception is a batch whose reader went away: how much of it was read is
    unknown, so none of it counts. Its lines may be printed again by a resumed tail, but none is lost.
    """

    def __init__(
        self,
        batches: Batches[Line, Position],
        write: Callable[[Sequence[Line], Callable[[int], None]], None],
        checkpoint: Checkpoint[Position],
    ) -> None:
        self._batches: Batches[Line, Position] = batches
        self._write: Callable[[Sequence[Line], Callable[[int], None]], None] = write
        self._checkpoint: Checkpoint[Position] = checkpoint

    async def run(self) -> None:
        """Print all batches, and save the position at the end. Errors of reading and writing propagate."""
        step: asyncio.Future[Sequence[Line]] | None = None
        try:
            while True:
                # A task, so that the position can be saved during a pause without canceling the read.
                step = step or asyncio.ensure_future(self._batches.read())
                await asyncio.wait((step,), timeout=self._checkpoint.pause)
                if not step.done():
                    self._note()
                    continue
                batch, step = step.result(), None
                if not batch:
                    self._note()
                    return
                with shielded():
                    self._print(batch)
        finally:
            if step is not None:
                await _end(step)
                if not _has_line(step):  # otherwise it took lines that will never be printed
                    self._note()
            self._checkpoint.close()

    def _note(self) -> None:
        """Record the position if nothing is in flight."""
        if (position := self._batches.position) is not None:
            self._checkpoint.note(position)

    def _print(self, batch: Sequence[Line]) -> None:
        done = 0

        def wrote(count: int) -> None:
            nonlocal done
            done += count

        try:
            self._write(batch, wrote)
        except BrokenPipeError:
            done = 0
            raise
        finally:
            if done == len(batch):
                self._note()
            elif done:
                after = self._batches.after(self._checkpoint.position, batch[:done])
                self._checkpoint.note(after)


def _advanced(position: LogPosition, lines: int) -> LogPosition:
    """The position `lines` further on. An offset may reach beyond its page, into the next ones."""
    return LogPosition(position.cursor, position.offset + lines, position.number + lines)


def _has_line(step: asyncio.Future[Any]) -> bool:
    return step.done() and not step.cancelled() and step.exception() is None


async def _end(step: asyncio.Future[Any]) -> None:
    """Cancel the step unless it is done, and wait for its end."""
    if not step.done():
        step.cancel()
        await asyncio.wait((step,))
