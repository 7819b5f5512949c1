"""Writing every byte of the output, whatever the stream, its reader and signals do."""

import io
import select
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TextIO

from builds_async.cli.running import WriteAbandoned, stops_requested

_ATOMIC = getattr(select, "PIPE_BUF", 512)
"""A pipe takes a write of at most this many bytes whole or not at all."""

_POLL = 0.1
_GRACE_POLLS = 10
"""How many polls, together one second, a reader gets to take the rest of a record after a stop signal."""


class Sink:
    """The bytes of a text stream, written below Python's buffers, so that it is known what is out.

    A buffered stream that fails halfway can't say how much it wrote. Here a short write is continued, and a
    full output, also a non-blocking one, is waited for without a limit.

    After a stop signal writing ends between two records: at once if one is out, else when the output takes
    nothing more. A record that was begun is finished; its reader has a second for that, or until the next
    signal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._raw = getattr(stream.buffer, "raw", stream.buffer)  # without a buffer, it is raw itself
        self._number = _descriptor(stream)

    def write(self, records: Sequence[bytes], wrote: Callable[[int], None]) -> None:
        """Write the records; each time some are out, `wrote` is called with how many more.

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
        if done < len(ends):  # empty records only: there was nothing to write
            wrote(len(ends) - done)

    def _write_some(self, data: memoryview) -> int:
        try:
            count: int | None = self._raw.write(data)
        except BlockingIOError as error:
            count = getattr(error, "characters_written", 0)
        if not count:
            # It was ready a moment ago, or can't be polled: without a pause this would spin.
            time.sleep(_POLL)
        return count or 0

    def _wait(self, *, begun: bool, inside: bool) -> None:
        """Wait until the output takes something; WriteAbandoned if a stop signal ends that."""
        if begun and not inside and stops_requested():
            raise WriteAbandoned
        patience = _GRACE_POLLS if inside else 0
        while not self._is_ready():
            stops = stops_requested()
            if stops > 1 or (stops and patience <= 0):
                raise WriteAbandoned
            patience -= stops  # counts down from the first signal on

    def _is_ready(self) -> bool:
        if self._number is None or not hasattr(select, "poll"):  # Windows can't poll files
            return True
        # A new one each time: another thread or a signal handler may write at the same moment.
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        # An error of the output counts as ready too: the write raises it.
        return bool(poll.poll(_POLL * 1000))


def _ends(records: Sequence[bytes]) -> list[int]:
    """The offset at which each record ends."""
    ends, end = [], 0
    for record in records:
        end += len(record)
        ends.append(end)
    return ends


def _next_end(ends: Sequence[int], at: int) -> int:
    """Where a write that begins at `at` ends: after whole records if one fits.

    Never more than a pipe takes at once, so that a blocking pipe which polled as ready does not block in the
    middle of a write, where no signal could end it.
    """
    whole = bisect_right(ends, at + _ATOMIC)
    return ends[whole - 1] if whole and ends[whole - 1] > at else at + _ATOMIC


def _descriptor(stream: TextIO) -> int | None:
    """The stream's file descriptor, None if it is not a file."""
    try:
        return stream.fileno()
    except (io.UnsupportedOperation, ValueError):
        return None
