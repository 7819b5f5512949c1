"""Tests that a position does not pass the end of a build before its command has run."""

import pytest

from builds_async import (
    Build,
    LogLine,
    LogPosition,
    TailEnd,
    TailItem,
    TailLine,
    TailLog,
    TailPosition,
    WorkerMark,
)
from builds_async.cli.held import HeldEnds
from tests.cli.support import UUID

TAG = "a" * 32
OTHER = "0" * 8
MARKED = TailPosition({TAG: WorkerMark(UUID)}, {OTHER: TailLog(TAG, LogPosition("x", 1, 4))})
BUILD = Build(build_uuid=UUID)
END = TailEnd(TAG.upper(), BUILD, True)


def line(number: int) -> TailLine:
    return TailLine(TAG, BUILD, LogLine(0, "a"), number)


@pytest.mark.parametrize(
    ("start", "lines", "place"),
    [
        (None, [], LogPosition()),
        (None, [line(1), line(2)], LogPosition(None, 2, 2)),
        (None, [line(41)], LogPosition(None, 41, 41)),
        (LogPosition("c", 5, 9), [], LogPosition("c", 5, 9)),
        (LogPosition("c", 5, 9), [line(10), line(11)], LogPosition("c", 7, 11)),
    ],
    ids=["no-lines", "lines", "tail", "resumed", "resumed-lines"],
)
def test_an_end_is_held(start: LogPosition | None, lines: list[TailLine], place: LogPosition) -> None:
    """An end is removed from a position until its command has ended, and its lines are kept."""
    pending = {UUID}
    begun = None if start is None else TailPosition({}, {UUID: TailLog(TAG, start)})
    held = HeldEnds(pending, begun)
    assert held.without(MARKED) == MARKED
    items: list[TailItem] = [*lines, END]
    for item in items:
        held.see(item)
    after = held.without(MARKED)
    assert after == TailPosition(MARKED.workers, MARKED.logs | {UUID: TailLog(TAG, place)})
    pending.clear()
    assert held.without(after).logs[UUID] == TailLog(TAG, place, ended=True)
    assert held.without(MARKED) == MARKED


def test_an_end_without_a_command_is_not_held() -> None:
    """An end that is not pending stays in the position."""
    held = HeldEnds(set())
    items: list[TailItem] = [line(1), END]
    for item in items:
        held.see(item)
    assert held.without(MARKED) == MARKED
