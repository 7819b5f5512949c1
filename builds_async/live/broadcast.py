"""One build's log for any number of readers."""

from typing import Self

from builds_async.errors import BuildsError, with_call
from builds_async.live.background import SharedTask
from builds_async.live.follow import LogFollower
from builds_async.models.builds import Build
from builds_async.models.logs import LogLine
from builds_async.models.steps import BuildStep

MAX_READ = 1000
"""The maximum number of lines that one `read` of a subscription returns."""


class LogBroadcast:
    """A build's log for any number of readers, at the cost of one `LogFollower`.

    `async for line in broadcast.subscribe()` yields the whole log from its first line, whenever the reader
    joins. Each reader gets every line once and in order, and its loop ends with the log. The broadcast keeps
    all lines in memory, once for all readers, for as long as it exists.

    The log is requested only while a reader waits for a line: if all readers are slow, polling is slow too. A
    reader that is canceled or leaves its loop does not affect the others. When the last reader has left, no
    request or task remains, and a later subscriber continues where reading stopped. An error is raised once
    in each reader, even in a reader that has not caught up yet. Each reader may then continue.
    """

    def __init__(self, log: LogFollower) -> None:
        self._log = log
        self._lines: list[LogLine] = []
        self._ended = False
        self._reading: SharedTask[None] | None = None
        self._failures = 0
        self._failure: BuildsError | None = None  # the last one, until lines have come again
        self._closed = False

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        return f"<LogBroadcast {state} with {len(self._lines)} lines>"

    @property
    def build(self) -> Build:
        """The build as it was last seen. After the log has ended, it is the finished build.

        RuntimeError before the first request, when nothing is known about the build.
        """
        return self._log.build

    @property
    def versions(self) -> tuple[str, ...]:
        """The ids of the versions that the log names so far; see `LogFollower.versions`."""
        return self._log.versions

    @property
    def preview_url(self) -> str | None:
        """The preview URL that the log has named so far; see `LogFollower.preview_url`."""
        return self._log.preview_url

    @property
    def steps(self) -> tuple[BuildStep, ...]:
        """The steps of the build so far, at most five; see `LogFollower.steps`."""
        return self._log.steps

    @property
    def number(self) -> int:
        """How many lines have come so far."""
        return len(self._lines)

    @property
    def complete(self) -> bool:
        """True once the log has ended and was read completely; see `LogFollower.complete`."""
        return self._log.complete

    @property
    def outage(self) -> BuildsError | None:
        """The last error of the present outage, which is why no line comes; None if there is no outage."""
        return self._log.outage

    def subscribe(self, *, after: int = 0) -> "LogSubscription":
        """Return a reader of the log, from its first line or after the first `after` lines.

        ValueError if `after` is below 0.
        """
        if after < 0:
            raise ValueError(f"after must be a number of lines, 0 or more, not {after}")
        return LogSubscription(self, after)

    async def aclose(self) -> None:
        """End the request in flight and send no other. Readers that wait for a line get a RuntimeError."""
        self._closed = True
        if self._reading is not None:
            await self._reading.aclose()

    # For subscriptions.

    @property
    def failures(self) -> int:
        """How many times reading has failed."""
        return self._failures

    def lines(self, start: int, limit: int) -> list[LogLine]:
        """Up to `limit` of the fetched lines, from number `start` on."""
        return self._lines[start : start + limit]

    async def wait(self, start: int, failures: int) -> bool:
        """Wait for line number `start`; False if the log ends before it.

        Raises the error of the last failure, if there were more than `failures`.
        """
        while len(self._lines) <= start and not self._ended:
            if self._failure is not None and self._failures > failures:
                raise with_call(self._failure)
            if self._closed:
                raise RuntimeError("this broadcast is closed")
            if self._reading is None or self._reading.is_done:
                self._reading = SharedTask(self._read())
            reading = self._reading
            await reading.wait()
            reading.result()  # raises any other error than a BuildsError, in all readers that wait
        return len(self._lines) > start

    async def _read(self) -> None:
        try:
            lines = await self._log.read()
        except BuildsError as error:
            self._failures += 1
            self._failure = error
            return
        self._failure = None
        self._lines += lines
        self._ended = not lines


class LogSubscription:
    """One reader of a `LogBroadcast`: an async iterator of its lines.

    `async for line in subscription` and `await subscription.read()` may be mixed. It is not a generator:
    after a `break`, a timeout, a cancellation or an error the same object continues where it was.
    """

    def __init__(self, broadcast: LogBroadcast, after: int) -> None:
        self._broadcast = broadcast
        self._number = after
        self._failures = broadcast.failures  # failures before it joined are not reported to it

    @property
    def number(self) -> int:
        """How many lines were read or skipped. `subscribe(after=number)` continues here."""
        return self._number

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogLine:
        lines = await self._next(1)
        if not lines:
            raise StopAsyncIteration
        return lines[0]

    async def read(self) -> tuple[LogLine, ...]:
        """The next lines, from 1 up to 1,000: all that were fetched. `()` after the end.

        It waits until there is a line. Canceling it is safe.
        """
        return tuple(await self._next(MAX_READ))

    async def _next(self, limit: int) -> list[LogLine]:
        lines = self._broadcast.lines(self._number, limit)
        if not lines:
            try:
                await self._broadcast.wait(self._number, self._failures)
            except BuildsError:
                self._failures = self._broadcast.failures
                raise
            lines = self._broadcast.lines(self._number, limit)
        self._number += len(lines)
        return lines
