"""Log lines in batches: each is printed as a whole, and the position behind it recorded, before the next."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from builds_async import (
    BuildTail,
    LogFollower,
    LogLine,
    LogPosition,
    TailItem,
    TailLine,
    TailLog,
    TailPosition,
)
from builds_async.cli.lookup import WorkerNames
from builds_async.cli.resume import Checkpoint
from builds_async.cli.running import shielded

Line = TypeVar("Line", LogLine, TailLine)
Position = TypeVar("Position", LogPosition, TailPosition)

_MAX_BATCH = 1000


class Batches(Protocol[Line, Position]):
    """A source of lines."""

    async def read(self) -> Sequence[Line]:
        """The next lines, () at the end. Waits while there are none."""
        ...

    @property
    def position(self) -> Position | None:
        """The position behind the last batch; None while it is unknown, or while lines are in flight."""
        ...

    def behind(self, position: Position | None, lines: Sequence[Line]) -> Position:
        """The position behind these lines, which follow `position`."""
        ...


class BuildBatches:
    """The log of one build."""

    def __init__(self, log: LogFollower, names: WorkerNames, *, tail: bool) -> None:
        self._log = log
        self._names = names
        # With `tail` only the first line shows where the output begins. It is a batch by itself, so that a
        # position is known as soon as possible.
        self._is_first_alone = tail
        self._in_hand: Sequence[LogLine] = ()

    async def read(self) -> Sequence[LogLine]:
        """The next page. The first one waits a moment for the name of the Worker."""
        if not self._in_hand:
            self._in_hand = await (self._first() if self._is_first_alone else self._log.read())
            self._is_first_alone = False
        await self._names.settle()  # may be cancelled: the lines stay in hand
        batch, self._in_hand = self._in_hand, ()
        return batch

    @property
    def position(self) -> LogPosition | None:
        """The position behind the last batch."""
        if self._in_hand or (self._is_first_alone and not self._has_begun):
            return None
        return self._log.position

    @property
    def _has_begun(self) -> bool:
        try:
            self._log.build  # noqa: B018  # a follower learns of the build first
        except RuntimeError:
            return False
        return True

    def behind(self, position: LogPosition | None, lines: Sequence[LogLine]) -> LogPosition:
        """The position behind lines of one page."""
        return _advanced(position or LogPosition(), len(lines))

    async def _first(self) -> Sequence[LogLine]:
        async for line in self._log:
            return (line,)
        return ()


class WorkerBatches:
    """The lines of a tail: as many together as are there without waiting.

    The first line of a new build ends a batch, because only from that line on its position is known.
    """

    def __init__(self, tail: BuildTail) -> None:
        self._tail = tail
        self._builds = set(tail.position.logs)
        self._in_hand: list[TailLine] = []
        self._step: asyncio.Future[TailItem] | None = None

    async def read(self) -> Sequence[TailLine]:
        """The next lines. Cancelling it loses none; `aclose` ends the step that it began."""
        # A bound, because a batch is formatted and written at one go, while nothing else runs.
        while len(self._in_hand) < _MAX_BATCH:
            # A task that outlives a cancelled read, for the next read to take up.
            step = self._step = self._step or asyncio.ensure_future(anext(self._tail))
            await asyncio.sleep(0)  # one turn of the loop: a line that the tail has in hand is there then
            if self._in_hand and not _has_line(step):
                break
            line = await step
            self._step = None
            if not isinstance(line, TailLine):  # the end of a build is not printed
                continue
            self._in_hand.append(line)
            if line.build.build_uuid not in self._builds:
                self._builds = set(self._tail.position.logs)
                break
        batch, self._in_hand = self._in_hand, []
        return batch

    @property
    def position(self) -> TailPosition | None:
        """The position behind the last batch."""
        if self._in_hand or (self._step is not None and _has_line(self._step)):
            return None  # the tail is ahead of what was printed
        position = self._tail.position
        return position if position.workers or position.logs else None

    def behind(self, position: TailPosition | None, lines: Sequence[TailLine]) -> TailPosition:
        """The position behind these lines: each build's moves on by its own lines."""
        position = position or TailPosition()
        logs = dict(position.logs)
        for line in lines:
            uuid = line.build.build_uuid
            here = logs[uuid].position if uuid in logs else LogPosition()
            logs[uuid] = TailLog(line.external_script_id, _advanced(here, 1))
        return TailPosition(position.workers, logs)

    async def aclose(self) -> None:
        """End the step that `read` waits for."""
        if self._step is not None:
            await _end(self._step)


class BatchPrinter(Generic[Line, Position]):
    """Prints batches, and records in a checkpoint how far the output has come.

    However it ends, also in the middle of a batch, the recorded position is the one behind the last line that
    was printed whole. One exception: of a batch whose reader went away nothing counts, because how much of it
    was read is unknown. Lines may come twice then, but none is lost.
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
        """Print everything, and save the position at the end. Raises what reading and writing raise."""
        step: asyncio.Future[Sequence[Line]] | None = None
        try:
            while True:
                # A task, so that a pause in the output can be used to save without cancelling the read.
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
                if not _has_line(step):  # else lines were taken that nobody prints any more
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
                behind = self._batches.behind(self._checkpoint.position, batch[:done])
                self._checkpoint.note(behind)


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
