"""A sink with transactions that also stores positions, and batches of a simulated account."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from builds_async import PositionStore, Saved, TailBatch, TailBatches
from builds_async.live.ownership import Ownership
from builds_async.session.clock import Clock
from builds_async.simulator import BuildsSimulator
from tests.live.tail.support import Wire
from tests.support.clock import canceled_after


class Transaction:
    """Rows and positions that are written together or not at all."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, str]] = []
        self.positions: dict[str, tuple[int, int, str]] = {}


class Database:
    """A sink that stores positions, with the rows that `PositionStore` describes."""

    def __init__(self, *, only_commit: bool = False) -> None:
        self.only_commit = only_commit
        self.rows: list[tuple[str, int, str]] = []
        self.positions: dict[str, tuple[int, int, str | None]] = {}  # fence, seq, position
        self.fail: Callable[[str], None] = lambda _: None
        """Called before and after each write; an exception stands for a lost request or response."""
        self.saves = 0

    async def open(self, worker: str, fence: int) -> Saved | None:
        await asyncio.sleep(0)
        self.fail("open")
        before, seq, position = self.positions.get(worker, (0, 0, None))
        if fence < before:
            return None
        self.positions[worker] = fence, seq, position
        self.fail("opened")
        return Saved(seq, position)

    async def save(
        self, worker: str, fence: int, seq: int, position: str, transaction: Transaction | None = None
    ) -> bool:
        await asyncio.sleep(0)
        self.fail("save")
        known, number, _ = self.positions.get(worker, (0, 0, None))
        if fence < known or seq - 1 > number or seq < number:
            return False
        if seq == number:
            return fence == known
        self.saves += 1
        if transaction is None:
            self.positions[worker] = fence, seq, position
            self.fail("saved")
        else:
            transaction.positions[worker] = fence, seq, position
        return True

    def apply(self, transaction: Transaction) -> None:
        """Commit. No position has moved in the meantime, because a row lock would prevent it."""
        for worker, (fence, seq, _) in transaction.positions.items():
            known, number, _ = self.positions.get(worker, (0, 0, None))
            assert (fence >= known, number) == (True, seq - 1), "a lock would have kept this from happening"
        self.rows += transaction.rows
        self.positions |= transaction.positions


def rows_of(batch: TailBatch) -> list[tuple[str, int, str]]:
    return [(build, number, message) for build, number, _, message in batch.rows()]


def batches_of(
    it: Wire,
    ids: Iterable[str],
    store: PositionStore | None,
    fleet: Ownership | None = None,
    max_lines: int = 100,
) -> TailBatches:
    return TailBatches(ids, it.tail, store=store, fleet=fleet, clock=it.sim.clock, max_lines=max_lines)


async def batch_within(batches: TailBatches, clock: Clock, seconds: float) -> TailBatch | None:
    """The next batch; if none comes within `seconds`, cancel the step and return None."""
    return await canceled_after(clock, anext(batches), seconds)


def judge(sim: BuildsSimulator, rows: Iterable[tuple[str, int, str]]) -> tuple[int, int, int]:
    """Count the lost, duplicated and wrong lines, compared with the lines that the simulator wrote."""
    got: defaultdict[str, Counter[tuple[int, str]]] = defaultdict(Counter)
    for build, number, message in rows:
        got[build][number, message] += 1
    truth = {uuid: [line.message for line in build.lines] for uuid, build in sim.builds.items()}
    expected = {uuid: set(enumerate(lines, 1)) for uuid, lines in truth.items()}
    lost = sum(len(lines - got[uuid].keys()) for uuid, lines in expected.items())
    doubled = sum(count - 1 for lines in got.values() for count in lines.values())
    wrong = sum(len(lines.keys() - expected.get(uuid, set())) for uuid, lines in got.items())
    return lost, doubled, wrong
