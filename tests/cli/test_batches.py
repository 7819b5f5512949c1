"""Tests that lines are printed in batches, and that the recorded position matches the output."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import cast

import pytest

from builds_async import (
    Build,
    BuildTail,
    LogLine,
    LogPosition,
    TailEnd,
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

    async def __anext__(self) -> TailLine:
        while not self.buffered:
            if self.error is not None:
                raise self.error
            self.more.clear()
            await self.more.wait()
        uuid, line = self.buffered.popleft()
        log = self.position.logs.get(uuid, TailLog(TAG, LogPosition()))
        here = TailLog(
            TAG, LogPosition(log.position.cursor, log.position.offset + 1, log.position.number + 1)
        )
        self.position = TailPosition(self.position.workers, {**self.position.logs, uuid: here})
        return TailLine(TAG, Build(build_uuid=uuid), LogLine(0, line))

    @property
    def given(self) -> int:
        return sum(log.position.offset for log in self.position.logs.values())


def known(*lines: str) -> FakeTail:
    """A tail that has started to read the log of a build."""
    return FakeTail(*lines, start=TailPosition({TAG: None}, {UUID: TailLog(TAG, LogPosition())}))


@pytest.fixture
async def batches() -> AsyncIterator[Callable[[FakeTail], WorkerBatches]]:
    made: list[WorkerBatches] = []

    def make(tail: FakeTail) -> WorkerBatches:
        made.append(WorkerBatches(cast("BuildTail", tail)))
        return made[-1]

    yield make
    for it in made:
        await it.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


Make = Callable[[FakeTail], WorkerBatches]


def texts(items: Sequence[TailItem]) -> list[str]:
    return [it.line.message if isinstance(it, TailLine) else "END" for it in items]


async def test_batches(batches: Make) -> None:
    """Buffered lines are one batch, returned at once, and no line beyond the batch is taken."""
    tail = known("a", "b")
    made = batches(tail)
    assert texts(await made.read()) == ["a", "b"]
    assert tail.given == 2
    tail.give("c")
    assert texts(await made.read()) == ["c"]
    tail.give(*map(str, range(1500)))
    assert [len(await made.read()), tail.given] == [1000, 1003]
    tail.error = ValueError("said")
    assert len(await made.read()) == 500
    with pytest.raises(ValueError, match="said"):
        await made.read()


async def test_a_new_build_ends_a_batch(batches: Make) -> None:
    """The first line of a new log ends its batch, because the position in that log is unknown before."""
    tail = known("a")
    tail.give("b", build=OTHER)
    tail.give("c", "d", build=OTHER)
    made = batches(tail)
    assert [texts(await made.read()) for _ in range(2)] == [["a", "b"], ["c", "d"]]


async def test_no_position_while_lines_are_in_flight(batches: Make) -> None:
    """The position is None while a line was taken but not yet returned, since the tail is ahead then."""
    tail = known()
    made = batches(tail)
    reading = asyncio.ensure_future(made.read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made.position == tail.position
    tail.give("a")
    while not tail.given:
        await asyncio.sleep(0)
    assert not reading.done()
    assert made.position is None
    await reading
    assert made.position == tail.position


async def test_a_canceled_read_loses_no_line(batches: Make) -> None:
    """Lines that a canceled read had taken are in the next batch."""
    tail = known("a", "b")
    made = batches(tail)
    for turns in range(4):
        reading = asyncio.ensure_future(made.read())
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            assert texts(await reading) == ["a", "b"]
            return
    assert texts(await made.read()) == ["a", "b"]


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
async def test_a_batch_that_is_cut_short(
    error: BaseException, counted: int, batches: Make, tmp_path: Path
) -> None:
    """The position is after the last line written; if the reader is gone, it is before the batch."""
    tail = known("a", "b", "c", "d")
    file = resume_file(str(tmp_path / "position"), TailPosition)
    file.follow([TAG])
    checkpoint = Checkpoint(file, tail.position)
    with pytest.raises(type(error)):
        await BatchPrinter(batches(tail), Output(3, error).write, checkpoint).run()
    again = resume_file(str(tmp_path / "position"), TailPosition).load()
    assert (again.logs[UUID].position.offset if again else 0) == counted


async def test_the_position_of_each_build_moves_by_its_own_lines(batches: Make) -> None:
    """If part of a batch of several builds is printed, each build's position counts its own lines."""
    start = TailPosition(
        {TAG: WorkerMark(OTHER)},
        {UUID: TailLog(TAG, LogPosition("c", 5, 25)), OTHER: TailLog(TAG, LogPosition())},
    )
    lines = [
        TailLine(TAG, Build(build_uuid=uuid), LogLine(0, "x")) for uuid in (UUID, OTHER, UUID, OTHER, OTHER)
    ]
    behind = batches(FakeTail(start=start)).after(start, lines[:4])
    assert behind.workers == start.workers
    assert {uuid: log.position for uuid, log in behind.logs.items()} == {
        UUID: LogPosition("c", 7, 27),
        OTHER: LogPosition(None, 2, 2),
    }


async def test_an_end_moves_no_line(batches: Make) -> None:
    """If a batch is cut after the end of a build, its log is marked as ended."""
    start = TailPosition({TAG: None}, {UUID: TailLog(TAG, LogPosition("c", 5, 25))})
    behind = batches(FakeTail(start=start)).after(
        start, [TailEnd(TAG, Build(build_uuid=UUID), True), TailEnd(TAG, Build(build_uuid=OTHER), True)]
    )
    assert behind.logs == {
        UUID: TailLog(TAG, LogPosition("c", 5, 25), ended=True),
        OTHER: TailLog(TAG, LogPosition(), ended=True),
    }


@pytest.mark.slow
async def test_the_position_is_saved_without_a_line(batches: Make, tmp_path: Path) -> None:
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


async def test_the_end_saves_what_was_noted(batches: Make, tmp_path: Path) -> None:
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
async def test_lines_that_were_not_printed_are_not_noted(turns: int, batches: Make, tmp_path: Path) -> None:
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
    async with aclosing(made):
        with pytest.raises(asyncio.CancelledError):
            await printing
    saved = resume_file(str(tmp_path / "position"), TailPosition).load()
    assert (saved.logs[UUID].position.offset if saved else 0) == len(output.lines)
