"""Tests that lines are printed in batches, and that the recorded position matches the output."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from builds_async import (
    Build,
    BuildTail,
    LogLine,
    LogPosition,
    TailItem,
    TailLine,
    TailLog,
    TailPosition,
    WorkerMark,
)
from builds_async.cli.batches import BatchPrinter, WorkerBatches
from builds_async.cli.exits import CommandError
from builds_async.cli.resume import Checkpoint, resume_file
from tests.cli.support import UUID

OTHER = UUID.replace("8", "9")
TAG = "a" * 32


class FakeTail:
    """A tail with some buffered lines, and more as `give` adds them; its position counts them."""

    def __init__(self, *lines: str, start: TailPosition | None = None) -> None:
        self.position = start or TailPosition()
        self.buffered = deque((UUID, line) for line in lines)
        self.more = asyncio.Event()
        self.error: Exception | None = None

    def give(self, *lines: str, build: str = UUID) -> None:
        self.buffered += [(build, line) for line in lines]
        self.more.set()

    async def ready(self) -> bool:
        while not self.buffered:
            if self.error is not None:
                raise self.error
            self.more.clear()
            await self.more.wait()
        return True

    async def read(self, *, most: int) -> tuple[TailLine, ...]:
        return tuple(self._take() for _ in range(min(most, len(self.buffered))))

    def _take(self) -> TailLine:
        uuid, line = self.buffered.popleft()
        log = self.position.logs.get(uuid, TailLog(TAG, LogPosition()))
        here = TailLog(TAG, log.position.after(1))
        self.position = TailPosition(self.position.workers, {**self.position.logs, uuid: here})
        return TailLine(TAG, Build(build_uuid=uuid), LogLine(0, line))

    @property
    def given(self) -> int:
        return sum(log.position.offset for log in self.position.logs.values())


def known(*lines: str) -> FakeTail:
    """A tail that has started to read the log of a build."""
    return FakeTail(*lines, start=TailPosition({TAG: None}, {UUID: TailLog(TAG, LogPosition())}))


def batches(tail: FakeTail) -> WorkerBatches:
    return WorkerBatches(cast("BuildTail", tail))


def texts(items: Sequence[TailItem]) -> list[str]:
    return [it.line.message if isinstance(it, TailLine) else "END" for it in items]


async def test_batches() -> None:
    """A batch holds all buffered lines up to a thousand, and consumes no more."""
    tail = known("a", "b")
    made = batches(tail)
    assert await made.ready()
    assert tail.given == 0
    assert texts(await made.read()) == ["a", "b"]
    tail.give(*map(str, range(1500)))
    assert [len(await made.read()), tail.given] == [1000, 1002]
    assert len(await made.read()) == 500


@pytest.mark.parametrize(
    ("printed", "expected"), [(1, {UUID: 1}), (2, {UUID: 1, OTHER: 1}), (4, {UUID: 2, OTHER: 2})]
)
async def test_position_within_a_batch(printed: int, expected: dict[str, int]) -> None:
    """When part of a batch is printed, each build's position counts its own lines."""
    tail = known()
    for uuid in (UUID, OTHER, UUID, OTHER, OTHER):
        tail.give("x", build=uuid)
    made = batches(tail)
    lines = await made.read()
    behind = made.after(lines[:printed])
    assert {uuid: log.position.number for uuid, log in behind.logs.items()} == {UUID: 0, **expected}


class Output:
    """An output that fails after `limit` lines."""

    def __init__(self, limit: int, error: BaseException) -> None:
        self.lines: list[str] = []
        self._limit = limit
        self._error = error

    def write(self, lines: Sequence[TailItem], wrote: Callable[[int], None]) -> None:
        for line in texts(lines):
            if len(self.lines) == self._limit:
                raise self._error
            self.lines.append(line)
            wrote(1)


FAILURES: list[tuple[BaseException, int]] = [
    (CommandError("full"), 3),
    (KeyboardInterrupt(), 3),
    (BrokenPipeError(), 0),
]


@pytest.mark.parametrize(("error", "counted"), FAILURES, ids=[type(error).__name__ for error, _ in FAILURES])
async def test_a_batch_that_is_cut_short(error: BaseException, counted: int, tmp_path: Path) -> None:
    """The position is after the last written line, or before the batch if the pipe is broken."""
    tail = known("a", "b", "c", "d")
    file = resume_file(str(tmp_path / "position"), TailPosition)
    file.follow([TAG])
    checkpoint = Checkpoint(file, tail.position)
    with pytest.raises(type(error)):
        await BatchPrinter(batches(tail), Output(3, error).write, checkpoint).run()
    again = resume_file(str(tmp_path / "position"), TailPosition).load()
    assert (again.logs[UUID].position.offset if again else 0) == counted


@pytest.mark.slow
async def test_the_position_is_saved_without_a_line(tmp_path: Path) -> None:
    """A position that changes while nothing is printed is saved within a second or two."""
    tail = FakeTail()
    path = tmp_path / "position"
    file = resume_file(str(path), TailPosition)
    file.follow([TAG])
    made = batches(tail)
    printing = asyncio.ensure_future(
        BatchPrinter(made, Output(0, OSError()).write, Checkpoint(file, None)).run()
    )
    await asyncio.sleep(0.1)
    assert not path.exists()
    tail.position = TailPosition({TAG: None})
    for _ in range(100):
        await asyncio.sleep(0.02)
        if path.exists():
            break
    assert resume_file(str(path), TailPosition).load() == tail.position
    tail.position = TailPosition({TAG: WorkerMark(UUID)})
    printing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await printing
    assert resume_file(str(path), TailPosition).load() == tail.position


async def test_the_end_saves_the_position(tmp_path: Path) -> None:
    """The last position is saved at the end, even if the disk was too slow to save it earlier."""
    tail = known("a", "b")
    file = resume_file(str(tmp_path / "position"), TailPosition)
    file.follow([TAG])
    times = iter([0.0])  # the start; after that, it is always too early to save
    checkpoint = Checkpoint(file, tail.position, lambda: next(times, -1.0))
    printing = asyncio.ensure_future(
        BatchPrinter(batches(tail), Output(9, OSError()).write, checkpoint).run()
    )
    await asyncio.sleep(0.05)
    assert not (tmp_path / "position").exists()
    printing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await printing
    assert resume_file(str(tmp_path / "position"), TailPosition).load() == tail.position


@pytest.mark.parametrize("turns", range(6))
async def test_lines_that_were_not_printed_are_not_noted(turns: int, tmp_path: Path) -> None:
    """A cancellation at the same moment as a line leaves the position before that line."""
    tail = known()
    file = resume_file(str(tmp_path / "position"), TailPosition)
    file.follow([TAG])
    made = batches(tail)
    output = Output(9, OSError())
    printing = asyncio.ensure_future(BatchPrinter(made, output.write, Checkpoint(file, tail.position)).run())
    await asyncio.sleep(0.05)
    tail.give("a")
    for _ in range(turns):
        await asyncio.sleep(0)
    printing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await printing
    saved = resume_file(str(tmp_path / "position"), TailPosition).load()
    assert (saved.logs[UUID].position.offset if saved else 0) == len(output.lines)
