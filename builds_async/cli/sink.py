"""Writes every byte of the output despite slow readers, odd streams and signals."""

import io
import select
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TextIO

from builds_async.cli.running import WriteAbandoned, stops_requested

_ATOMIC = getattr(select, "PIPE_BUF", 512)
"""A pipe accepts a write of at most this size either whole or not at all."""

_POLL = 0.1
_GRACE_POLLS = 10
"""The number of polls, one second in total, that a reader gets to finish a record after a stop signal."""


class Sink:
    """Writes to a text stream below Python's buffers, so that the amount written is always known.

    A buffered stream that fails halfway can't report how much it wrote. Here a short write is continued, and
    a full output, even a non-blocking one, is waited for without a limit.

    After a stop signal, writing ends between two records: at once after a whole record, otherwise as soon as
    the output accepts nothing more. A partly written record is finished, provided that its reader takes the
    rest within a second and no second signal arrives.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._raw = getattr(stream.buffer, "raw", stream.buffer)  # without a buffer, the stream is raw itself
        self._number = _descriptor(stream)

    def write(self, records: Sequence[bytes], wrote: Callable[[int], None]) -> None:
        """Write the records; call `wrote` with the number of records that each write completes.

        An empty record counts as written with the one before it. Raises the stream's OSError, or
        WriteAbandoned after a stop signal.
        """
        self._stream.flush()
        data = memoryview(b"".join(records))
        ends, at, done = _ends(records), 0, 0
        while at < len(data):
            self._wait(begun=at > 0, inside=at > 0 and not (done and ends[done - 1] == at))
            at += self._write_some(data[at : _next_end(ends, at)])
            if (now := bisect_right(ends, at)) > done:
                wrote(now - done)
                done = now
        if done < len(ends):  # all records are empty
            wrote(len(ends) - done)

    def _write_some(self, data: memoryview) -> int:
        try:
            count: int | None = self._raw.write(data)
        except BlockingIOError as error:
            count = getattr(error, "characters_written", 0)
        if not count:
            # The stream polled as ready or can't be polled: without a pause, this would spin.
            time.sleep(_POLL)
        return count or 0

    def _wait(self, *, begun: bool, inside: bool) -> None:
        """Wait until the output accepts data; WriteAbandoned if a stop signal ends the wait."""
        if begun and not inside and stops_requested():
            raise WriteAbandoned
        patience = _GRACE_POLLS if inside else 0
        while not self._is_ready():
            stops = stops_requested()
            if stops > 1 or (stops and patience <= 0):
                raise WriteAbandoned
            patience -= stops  # starts to count down at the first signal

    def _is_ready(self) -> bool:
        if self._number is None or not hasattr(select, "poll"):  # Windows can't poll files
            return True
        # A new object each time: another thread or a signal handler may be writing too.
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        # An output with an error counts as ready: the write raises the error.
        return bool(poll.poll(_POLL * 1000))


def _ends(records: Sequence[bytes]) -> list[int]:
    """The end offset of each record."""
    ends, end = [], 0
    for record in records:
        end += len(record)
        ends.append(end)
    return ends


def _next_end(ends: Sequence[int], at: int) -> int:
    """The end of a write that begins at `at`: the end of a record if one fits.

    A write is never larger than a pipe accepts at once. Otherwise a blocking pipe that polled as ready could
    still block in the middle of the write, where no signal could end it.
    """
    whole = bisect_right(ends, at + _ATOMIC)
    return ends[whole - 1] if whole and ends[whole - 1] > at else at + _ATOMIC


def _descriptor(stream: TextIO) -> int | None:
    """The stream's file descriptor; None if it is not a file."""
    try:
        return stream.fileno()
    except (io.UnsupportedOperation, ValueError):
        return None
