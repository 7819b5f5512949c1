"""Log lines in batches, each printed as a whole before the next one is taken."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from builds_async import BuildTail, LogFollower, LogLine, LogPosition, TailLine, TailLog, TailPosition
from builds_async.cli.resume import Checkpoint
from builds_async.cli.running import shielded
from builds_async.cli.workers import WorkerNames

Line = TypeVar("Line", LogLine, TailLine)
Position = TypeVar("Position", LogPosition, TailPosition)

_BATCH = 1000


class Batches(Protocol[Line, Position]):
    """Where lines come from."""

    async def read(self) -> Sequence[Line]:
        """The next lines, () at the end. It waits while there is none."""
        ...

    @property
    def position(self) -> Position | None:
        """The place behind the last batch; None while it is not known, or lines are on their way."""
        ...

    def behind(self, position: Position | None, lines: Sequence[Line]) -> Position:
        """The place behind these lines, which are the next ones after `position`."""
        ...


class BuildBatches:
    """The log of one build. With `tail`, the first batch is one line, since nobody knows where it begins."""

    def __init__(self, log: LogFollower, names: WorkerNames, *, tail: bool) -> None:
        self._log = log
        self._names = names
        self._alone = tail
        self._hand: Sequence[LogLine] = ()

    async def read(self) -> Sequence[LogLine]:
        """The next page; the first one waits a moment for the Worker's name."""
        if not self._hand:
            self._hand = await (self._first() if self._alone else self._log.read())
            self._alone = False
        await self._names.settle()
        batch, self._hand = self._hand, ()
        return batch

    @property
    def position(self) -> LogPosition | None:
        """The place behind the last batch."""
        return None if self._hand or (self._alone and not self._has_begun) else self._log.position

    @property
    def _has_begun(self) -> bool:
        try:
            self._log.build  # noqa: B018  # it is the build that is known first
        except RuntimeError:
            return False
        return True

    def behind(self, position: LogPosition | None, lines: Sequence[LogLine]) -> LogPosition:
        """The place behind lines of one page."""
        return _advanced(position or LogPosition(), len(lines))

    async def _first(self) -> Sequence[LogLine]:
        async for line in self._log:
            return (line,)
        return ()


class WorkerBatches:
    """The lines of a tail, together as many as are there without waiting.

    The first line of a build that was not there before ends a batch: from there on its place is known.
    """

    def __init__(self, tail: BuildTail) -> None:
        self._tail = tail
        self._builds = set(tail.position.logs)
        self._hand: list[TailLine] = []
        self._step: asyncio.Future[TailLine] | None = None

    async def read(self) -> Sequence[TailLine]:
        """The next lines. Cancelling it loses no line that was taken; `aclose` ends what it began."""
        while len(self._hand) < _BATCH:
            step = self._step = self._step or asyncio.ensure_future(anext(self._tail))
            await asyncio.sleep(0)  # one turn for it: a line in hand comes without waiting
            if self._hand and not _has_line(step):
                break
            line = await step
            self._step = None
            self._hand.append(line)
            if line.build.build_uuid not in self._builds:
                self._builds = set(self._tail.position.logs)
                break
        batch, self._hand = self._hand, []
        return batch

    @property
    def position(self) -> TailPosition | None:
        """The place behind the last batch."""
        if self._hand or (self._step is not None and _has_line(self._step)):
            return None
        position = self._tail.position
        return position if position.workers or position.logs else None

    def behind(self, position: TailPosition | None, lines: Sequence[TailLine]) -> TailPosition:
        """The place behind these lines: that of each build moves by its own."""
        position = position or TailPosition()
        logs = dict(position.logs)
        for line in lines:
            uuid = line.build.build_uuid
            here = logs[uuid].position if uuid in logs else LogPosition()
            logs[uuid] = TailLog(line.external_script_id, _advanced(here, 1))
        return TailPosition(position.workers, logs)

    async def aclose(self) -> None:
        """End what `read` waits for."""
        if self._step is not None:
            await _end(self._step)


class Printer(Generic[Line, Position]):
    """Prints batches, and notes what was printed.

    However it ends, also in the middle of a batch, the position that was noted last stands behind the last
    line that was printed whole, with one exception: of a batch whose reader went away nothing counts, since
    nobody knows what was read of it.
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
        """Print everything, and save where it ends. Raises what reading and writing raise."""
        step: asyncio.Future[Sequence[Line]] | None = None
        try:
            while True:
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
                if not _has_line(step):
                    self._note()
            self._checkpoint.close()

    def _note(self) -> None:
        """Note where it stands when nothing is on its way."""
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
    """The place `lines` further on. An offset may reach beyond its page, into the next ones."""
    return LogPosition(position.cursor, position.offset + lines)


def _has_line(step: asyncio.Future[Any]) -> bool:
    return step.done() and not step.cancelled() and step.exception() is None


async def _end(step: asyncio.Future[Any]) -> None:
    """Cancel what is not done, and wait for its end."""
    if not step.done():
        step.cancel()
        await asyncio.wait((step,))
