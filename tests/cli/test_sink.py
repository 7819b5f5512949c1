"""Tests that every byte of the output is written, and that the count of written records is exact."""

import io
import os
import pty
import select
import threading
import time
import tty
from itertools import cycle

import pytest

from builds_async.cli import sink
from builds_async.cli.running import WriteAbandoned
from builds_async.cli.sink import Sink

RECORDS = [f"{number} ".encode() + b"x" * (number * 37 % 500) + b"\n" for number in range(2000)]
LONG = [b"short\n", b"y" * 20_000 + b"\n", b"", b"z" * 5000 + b"\n"]


class Raw(io.RawIOBase):
    """A raw stream whose writes accept some bytes, accept none, or fail; it cycles through these results."""

    def __init__(self, *results: int | OSError | None) -> None:
        self._results = cycle(results)
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview) -> int | None:  # type: ignore[override]
        result = next(self._results)
        if isinstance(result, OSError):
            self.data += bytes(data[: getattr(result, "characters_written", 0)])
            raise result
        self.data += bytes(data[: result or 0])
        return None if result is None else min(result, len(data))


def unbuffered(raw: io.RawIOBase) -> io.TextIOWrapper:
    """A text stream as under PYTHONUNBUFFERED."""
    return io.TextIOWrapper(raw, "utf-8", write_through=True)  # type: ignore[arg-type]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The requested pauses, which take no time."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize(
    "results",
    [(7,), (1, 4096), (None, 3000), (BlockingIOError(11, "full", 3),), (BlockingIOError(11, "full"), 5)],
    ids=["short", "uneven", "would-block", "blocking-error", "blocking-error-with-nothing"],
)
@pytest.mark.parametrize("records", [RECORDS[:50], LONG, [b"", b""]], ids=["lines", "long", "nothing"])
def test_short_writes_are_continued(
    results: tuple[int | OSError | None, ...], records: list[bytes], pauses: list[float]
) -> None:
    """All bytes are written in order, all records are counted, and a full output causes no busy loop."""
    raw, counts = Raw(*results), list[int]()
    Sink(unbuffered(raw)).write(records, counts.append)
    assert raw.data == b"".join(records)
    assert sum(counts) == len(records)
    nothing_taken = any(result is None or repr(result).endswith("'full')") for result in results)
    assert bool(pauses) == (nothing_taken and bool(raw.data))


def test_records_are_counted_as_they_go_out() -> None:
    """The count never exceeds the written bytes, and is exact if the stream fails."""
    raw, counted = Raw(4, 4, OSError(28, "No space left on device")), list[int]()
    with pytest.raises(OSError, match="No space"):
        Sink(unbuffered(raw)).write([b"ab\n", b"", b"cd\n", b"efg\n"], counted.append)
    assert raw.data == b"ab\ncd\nef"
    assert sum(counted) == 3


def slow_reader(number: int, into: list[bytes]) -> threading.Thread:
    """A thread that reads everything, in pieces of varying size."""

    def read() -> None:
        pieces = cycle((1, 70_000, 100, 4096, 33))
        try:
            while data := os.read(number, next(pieces)):
                into.append(data)
        except OSError:  # how Linux reports that the other end of a terminal is closed
            pass

    thread = threading.Thread(target=read)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "non-blocking"])
@pytest.mark.parametrize("buffering", [0, -1], ids=["unbuffered", "buffered"])
def test_every_byte_reaches_a_slow_reader(kind: str, blocking: bool, buffering: int) -> None:
    """Pipes and terminals get every byte, blocking or not, buffered or not."""
    reading, writing = os.pipe() if kind == "pipe" else pty.openpty()
    if kind == "terminal":
        tty.setraw(writing)
    os.set_blocking(writing, blocking)
    got: list[bytes] = []
    reader = slow_reader(reading, got)
    with io.TextIOWrapper(open(writing, "wb", buffering)) as stream:  # noqa: PTH123
        Sink(stream).write([*RECORDS, *LONG], lambda _: None)
    reader.join()
    os.close(reading)
    assert b"".join(got) == b"".join([*RECORDS, *LONG])


def test_without_poll(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    """Output is also written where files can't be polled, as on Windows."""
    monkeypatch.delattr(select, "poll")
    raw = Raw(5)
    Sink(unbuffered(raw)).write(RECORDS[:5], lambda _: None)
    assert raw.data == b"".join(RECORDS[:5])
    reading, writing = os.pipe()
    with io.TextIOWrapper(open(writing, "wb", 0), write_through=True) as stream:  # noqa: PTH123
        Sink(stream).write(RECORDS[:5], lambda _: None)
    assert os.read(reading, 10_000) == b"".join(RECORDS[:5])
    os.close(reading)
    assert not pauses


class Stopped:
    """A full pipe without a reader, and signals that arrive while its writer waits."""

    def __init__(self, stops: list[int], *signals: int) -> None:
        self._reading, writing = os.pipe()
        self.stream = io.TextIOWrapper(io.FileIO(writing, "wb"), write_through=True)
        self._stops = stops
        self._signals = signals
        self.counted = 0

    def write(self, records: list[bytes]) -> None:
        writer = Sink(self.stream)
        timer = threading.Timer(0.2, self._stops.extend, (self._signals,))
        timer.start()
        try:
            writer.write(records, self._count)
        finally:
            timer.join()

    def _count(self, count: int) -> None:
        self.counted += count

    def read_some(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self._reading, size - len(data))
        return data

    def read(self) -> bytes:
        self.stream.close()
        data = b""
        while more := os.read(self._reading, 65536):
            data += more
        os.close(self._reading)
        return data


@pytest.mark.slow
@pytest.mark.parametrize("signals", [(15,), (2, 2)], ids=["once", "twice"])
def test_a_stop_ends_a_stalled_write_between_records(stops: list[int], signals: tuple[int, ...]) -> None:
    """A stop signal ends a stalled write, and the output is exactly the counted records."""
    pipe = Stopped(stops, *signals)
    with pytest.raises(WriteAbandoned):
        pipe.write(RECORDS * 10)
    assert pipe.read() == b"".join((RECORDS * 10)[: pipe.counted])
    assert pipe.counted > 100


@pytest.mark.slow
def test_a_stop_ends_a_stalled_record_after_a_while(stops: list[int]) -> None:
    """A partly written record is abandoned and not counted if its reader does not return."""
    pipe = Stopped(stops, 15)
    with pytest.raises(WriteAbandoned):
        pipe.write([b"first\n", b"y" * 500_000, b"never\n"])
    data = pipe.read()
    assert pipe.counted == 1
    assert data.startswith(b"first\nyyy")
    assert len(data) < 100_000


def test_a_started_record_is_finished_after_a_stop(stops: list[int]) -> None:
    """After a stop signal, a slow reader gets the rest of the current record and nothing more."""
    raw, counted = Raw(100), list[int]()

    def write(data: memoryview) -> int | None:
        stops[:] = [15]
        return Raw.write(raw, data)

    raw.write = write  # type: ignore[method-assign]
    with pytest.raises(WriteAbandoned):
        Sink(unbuffered(raw)).write([b"a" * 10_000, b"b"], counted.append)
    assert (raw.data, sum(counted)) == (b"a" * 10_000, 1)


@pytest.mark.slow
def test_a_stop_leaves_a_slow_reader_time(stops: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is finished if its reader resumes within a second."""
    monkeypatch.setattr(sink, "_POLL", 0.05)
    pipe = Stopped(stops, 15)
    got: list[bytes] = []
    reading = threading.Timer(0.35, lambda: got.append(pipe.read_some(200_000)))
    reading.start()
    with pytest.raises(WriteAbandoned):
        pipe.write([b"y" * 200_000, b"z" * 9000])
    reading.join()
    pipe.read()
    assert (pipe.counted, b"".join(got)) == (1, b"y" * 200_000)


def test_cleanup_after_a_stop_is_written(stops: list[int]) -> None:
    """Output of the cleanup, such as showing the cursor, is written if the stream accepts it."""
    stops.append(15)
    raw = Raw(3)
    Sink(unbuffered(raw)).write([b"\x1b[?25h"], lambda _: None)
    assert raw.data == b"\x1b[?25h"
