"""Getting every byte of an output out, whatever the stream, its reader and signals do."""

import io
import select
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TextIO

from builds_async.cli.running import Interrupted, stops_requested

_AT_ONCE = getattr(select, "PIPE_BUF", 512)
"""A pipe takes that much whole or not at all."""

_LOOK = 0.1
_GRACE = 10


class Sink:
    """Where the bytes of a text stream go: below its buffers, so that it is known what went out.

    A short write is continued, and a full output, also a non-blocking one, is waited for without an end.
    When a stop signal comes (Ctrl-C, SIGTERM, SIGHUP), writing ends between two records: at once where one
    has been written, else as soon as the output takes nothing. A record that was begun is finished, for
    which its reader has a second, or until the next signal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._raw = getattr(stream.buffer, "raw", stream.buffer)  # unbuffered, it is raw already
        self._number = _number_of(stream)

    def write(self, records: Sequence[bytes], wrote: Callable[[int], None]) -> None:
        """Write the records, and tell `wrote` how many more are out each time that some are.

        An empty record counts as written with the one before it. OSError is the stream's; Interrupted when it
        was given up.
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
        if done < len(ends):
            wrote(len(ends) - done)

    def _write_some(self, data: memoryview) -> int:
        try:
            count: int | None = self._raw.write(data)
        except BlockingIOError as error:
            count = getattr(error, "characters_written", 0)
        if not count:
            time.sleep(_LOOK)  # it was ready a moment ago; or it can't be asked
        return count or 0

    def _wait(self, *, begun: bool, inside: bool) -> None:
        """Wait until the output takes something; Interrupted if that is to be given up."""
        if begun and not inside and stops_requested():
            raise Interrupted
        patience = _GRACE if inside else 0
        while not self._is_ready():
            stops = stops_requested()
            if stops > 1 or (stops and patience <= 0):
                raise Interrupted
            patience -= stops

    def _is_ready(self) -> bool:
        if self._number is None or not hasattr(select, "poll"):  # Windows has none, for files
            return True
        poll = select.poll()  # each its own: another thread, or a signal handler, may write at the same time
        poll.register(self._number, select.POLLOUT)
        # An error of the output counts as well: the write will tell it.
        return bool(poll.poll(_LOOK * 1000))


def _ends(records: Sequence[bytes]) -> list[int]:
    """Where each record ends."""
    ends, end = [], 0
    for record in records:
        end += len(record)
        ends.append(end)
    return ends


def _next_end(ends: Sequence[int], at: int) -> int:
    """Where to end a write that begins at `at`: behind whole records, if one fits."""
    whole = bisect_right(ends, at + _AT_ONCE)
    return ends[whole - 1] if whole and ends[whole - 1] > at else at + _AT_ONCE


def _number_of(stream: TextIO) -> int | None:
    """The stream's file descriptor, None if it is no file."""
    try:
        return stream.fileno()
    except (io.UnsupportedOperation, ValueError):
        return None
