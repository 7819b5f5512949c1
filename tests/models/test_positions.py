"""Positions that advance by the processed lines."""

from builds_async import Build, LogLine, LogPosition, TailEnd, TailLine, TailLog, TailPosition, WorkerMark

TAG, ONE, TWO = "a" * 32, "b1", "b2"
MARKS: dict[str, WorkerMark | None] = {TAG: WorkerMark(TWO)}


def line(uuid: str) -> TailLine:
    return TailLine(TAG, Build(build_uuid=uuid), LogLine(0, "x"))


def test_log() -> None:
    """A position advanced by some lines is on the same page, or past its end."""
    assert LogPosition("c", 5, 25).after(2) == LogPosition("c", 7, 27)
    assert LogPosition().after(0) == LogPosition()


def test_lines() -> None:
    """Each log advances by its own lines, a new log starts at zero, and the Worker marks are unchanged."""
    start = TailPosition(MARKS, {ONE: TailLog(TAG, LogPosition("c", 5, 25))})
    behind = start.after([line(ONE), line(TWO), line(ONE), line(TWO)])
    assert behind == TailPosition(
        MARKS, {ONE: TailLog(TAG, LogPosition("c", 7, 27)), TWO: TailLog(TAG, LogPosition(None, 2, 2))}
    )


def test_ends() -> None:
    """An end advances no line and marks its log as ended, including a log without lines."""
    start = TailPosition(MARKS, {ONE: TailLog(TAG, LogPosition("c", 5, 25))})
    ends = [TailEnd(TAG, Build(build_uuid=uuid), True) for uuid in (ONE, TWO)]
    assert start.after(ends).logs == {
        ONE: TailLog(TAG, LogPosition("c", 5, 25), ended=True),
        TWO: TailLog(TAG, LogPosition(), ended=True),
    }


def test_nothing() -> None:
    """Advancing by nothing leaves the position unchanged."""
    start = TailPosition(MARKS, {ONE: TailLog(TAG, LogPosition("c", 5, 25), ended=True)})
    assert start.after(()) == start
