"""Prints log lines in batches: each is printed whole and its end position recorded before the next.

`TailBatches` with a `FileStore` does the same for a program that processes each batch whole. The command
needs more: its batches mix the lines of all Workers, including new ones, in the order of their arrival. And
if a write is cut short, it needs the position after the last line that was written whole. So it uses `ready`,
`position` and `after` of the library, which are there for such programs, and only counts what was written.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from builds_async import BuildTail, LogFollower, LogLine, LogPosition, TailItem, TailPosition
from builds_async.cli.lookup import WorkerNames
from builds_async.cli.resume import Checkpoint
from builds_async.cli.running import shielded

Line = TypeVar("Line", LogLine, TailItem)
Position = TypeVar("Position", LogPosition, TailPosition)
Position_co = TypeVar("Position_co", LogPosition, TailPosition, covariant=True)

_MAX_BATCH = 1000
"""Formatting and writing a batch blocks the event loop."""


class Batches(Protocol[Line, Position_co]):
    """A source of lines."""

    async def ready(self) -> bool:
        """Wait until there are lines; False at the end. It takes none, so canceling it loses none."""
        ...

    async def read(self) -> Sequence[Line]:
        """The lines that are there: does not wait."""
        ...

    @property
    def position(self) -> Position_co | None:
        """The position after the last batch; None while it is unknown."""
        ...

    def after(self, lines: Sequence[Line]) -> Position_co:
        """The position after these lines, the first ones of the last batch."""
        ...


class BuildBatches:
    """Reads the log of one build."""

    def __init__(self, log: LogFollower, names: WorkerNames, *, tail: bool) -> None:
        self._log = log
        self._names = names
        self._is_skipping = tail  # until the first lines come, the place where the output begins is unknown
        self._before = log.position

    async def ready(self) -> bool:
        """Wait for lines, and up to half a second for the name of the Worker."""
        has_lines = await self._log.ready()
        self._is_skipping = False
        await self._names.settle()
        return has_lines

    async def read(self) -> Sequence[LogLine]:
        """The rest of one page."""
        self._before = self._log.position
        return await self._log.read()

    @property
    def position(self) -> LogPosition | None:
        """The position after the last batch."""
        return None if self._is_skipping and not self._has_begun else self._log.position

    @property
    def _has_begun(self) -> bool:
        try:
            self._log.build  # noqa: B018  # a follower fetches the build before any line
        except RuntimeError:
            return False
        return True

    def after(self, lines: Sequence[LogLine]) -> LogPosition:
        """The position after these lines."""
        return self._before.after(len(lines))


class WorkerBatches:
    """Reads the lines of a tail, as many at once as are available without waiting, and the ends of builds."""

    def __init__(self, tail: BuildTail) -> None:
        self._tail = tail
        self._before = tail.position

    async def ready(self) -> bool:
        """Wait for lines."""
        return await self._tail.ready()

    async def read(self) -> Sequence[TailItem]:
        """The lines and ends of builds that are there."""
        self._before = self._tail.position
        return await self._tail.read(most=_MAX_BATCH)

    @property
    def position(self) -> TailPosition | None:
        """The position after the last batch; None before the first lookup."""
        position = self._tail.position
        return position if position.workers or position.logs else None

    def after(self, lines: Sequence[TailItem]) -> TailPosition:
        """The position after these items."""
        return self._before.after(lines)


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
        self._is_cut_short = False  # the source is ahead of the output

    async def run(self) -> None:
        """Print all batches, and save the position at the end. Errors of reading and writing propagate."""
        step: asyncio.Future[bool] | None = None
        try:
            while True:
                # A task, so that the position can be saved during a pause without canceling the requests.
                step = step or asyncio.ensure_future(self._batches.ready())
                await asyncio.wait((step,), timeout=self._checkpoint.pause)
                if not step.done():
                    self._note()
                    continue
                has_lines, step = step.result(), None
                if not has_lines:
                    return
                with shielded():
                    self._print(await self._batches.read())
        finally:
            if step is not None and not step.done():
                step.cancel()
                await asyncio.wait((step,))
            if not self._is_cut_short:
                self._note()
            self._checkpoint.close()

    def _note(self) -> None:
        """Record the position, if it is known."""
        if (position := self._batches.position) is not None:
            self._checkpoint.note(position)

    def _print(self, batch: Sequence[Line]) -> None:
        done = 0
        self._is_cut_short = True

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
                self._is_cut_short = False
                self._note()
            elif done:
                self._checkpoint.note(self._batches.after(batch[:done]))
