"""Following a build's log while it grows."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from operator import length_hint
from typing import Protocol, Self

from builds_async.errors import BuildsError, NotFoundError
from builds_async.live.backlog import Backlog
from builds_async.live.ending import Ending
from builds_async.live.log_cursor import LogCursor, Step
from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPage, LogPosition
from builds_async.session.clock import Clock

SETTLE = 2.0
"""Seconds after which a log is read once more when its build has only just stopped: lines may lag behind."""

_JUST_NOW = timedelta(seconds=5)
_SLOW_DOWN = 1.5

logger = logging.getLogger("builds_async")


class LogSource(Protocol):
    """What a follower asks: a build, and a page of its log."""

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime | None]:
        """The build as it is now, and the server's date of the answer; NotFoundError if there is none.

        Without a date nothing is known of when the build was seen.
        """
        ...

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        """The page of the log behind `cursor`; NotFoundError if there is no such log."""
        ...


class LogFollower:
    """Every line of a build's log, once and in order, until the build has finished and its log is drained.

    `async for line in log` and `await log.read()` may be mixed. Between two lines the follower holds no
    connection, task or scope, so there is nothing to close. It is not a generator: after a `break`, a
    timeout around one line, a cancellation or an error, the same object goes on where it was. Cancelling
    loses nothing and repeats nothing, because its state moves only after a response has been read.

    It ends by itself: when the build is `stopped` and has its outcome (waited for at most 30 s), it reads
    on until a page brings nothing, and, if the build stopped less than 5 s ago by the server's clock, once
    more 2 s later. While the build runs, the log is polled every `poll_interval` seconds, less often up to
    `max_poll_interval` while nothing comes, and never faster than the client's `RateBudget` allows. The log
    of a finished build is read without a pause, like any single call.

    A log that does not exist is waited for until the build has finished. A log that is **gone**, because the
    API answers 404 after it gave lines or a cursor, ends the loop once the build has finished, with
    `complete` False and a warning in the log `builds_async`. The same holds for a build that ran and whose
    log is not there at all: Cloudflare keeps logs for 90 days.

    With `tail` it begins at the last `tail` lines of those that are there at first, and skips those
    before them.

    What it assumes about pages is said at `LogCursor`.

    Raises what `client.builds.get` and `client.builds.logs` raise after their retries; an unknown build is
    a NotFoundError. It has no time limit of its own: `async with asyncio.timeout(600):` works around it.
    A second task that reads while one is waiting gets a RuntimeError.
    """

    def __init__(
        self,
        source: LogSource,
        build_uuid: str,
        *,
        clock: Clock,
        finished_source: LogSource | None = None,
        start: LogPosition | None = None,
        tail: int | None = None,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> None:
        start = LogPosition() if start is None else start
        if not isinstance(start, LogPosition):
            raise TypeError(f"start is a LogPosition, not {type(start).__name__}: decode it with msgspec")
        if start.offset < 0:
            raise ValueError(f"a position's offset counts lines, it can't be {start.offset}")
        if not (poll_interval > 0 and max_poll_interval > 0):
            raise ValueError(
                f"poll intervals are seconds above 0, not {poll_interval} and {max_poll_interval}"
            )
        self._source = source
        self._finished_source = source if finished_source is None else finished_source
        self._build_uuid = build_uuid
        self._clock = clock
        self._reading = False

        # Where.
        self._cursor = LogCursor(start)
        self._hand: Iterator[LogLine] = iter(())  # of a tuple: it knows how many are left
        self._backlog = None if tail is None else Backlog(tail)  # while it is skipped

        # When: not before `_due`.
        self._min_interval = self._interval = poll_interval
        self._max_interval = max(poll_interval, max_poll_interval)
        self._due = clock.now()

        # How far: a finished build is final, what is left is to drain its log.
        self._build: Build | None = None
        self._ending = Ending(clock)
        self._finished = False
        self._settle = False
        self._missing = False  # the last response for the log was a 404
        self._ended = False
        self._complete = False

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        return f"<LogFollower {self._build_uuid} {state} at {self.position}>"

    @property
    def build(self) -> Build:
        """The build as last seen; final when the loop has ended by itself.

        RuntimeError before the first read, when nothing is known of it.
        """
        if self._build is None:
            raise RuntimeError("the build is not known before the log was read for the first time")
        return self._build

    @property
    def complete(self) -> bool:
        """True once the log has ended and the API had no more to give.

        False before the end, and after it if the log is gone, if it has fewer lines than `start` says were
        given out, or if the API ended it while it said that more was to come.
        """
        return self._complete

    @property
    def position(self) -> LogPosition:
        """The place behind the last line given out.

        `client.follow(build_uuid, start=position)` goes on exactly there, in this process or a later one.
        """
        here = self._cursor.position(length_hint(self._hand))
        return here if self._backlog is None else self._backlog.start or here

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogLine:
        for line in self._hand:  # taking from an iterator is the cheapest step there is, and atomic
            return line
        await self._fetch()
        for line in self._hand:
            return line
        raise StopAsyncIteration

    async def read(self) -> tuple[LogLine, ...]:
        """The next lines, at least one, as many as one response brought; `()` at the end, every time.

        Waits while there is none. Cancelling it is safe.
        """
        if not length_hint(self._hand):
            await self._fetch()
        return tuple(self._hand)

    @property
    def due(self) -> float:
        """The moment, on the client's clock, before which the log is not asked for again."""
        return self._due

    @property
    def ended(self) -> bool:
        """True when the last line was fetched and no more will be asked for."""
        return self._ended

    def next_in_hand(self) -> LogLine | None:
        """The next line, if it was fetched already, else None."""
        return next(self._hand, None)

    async def _fetch(self) -> None:
        """Put the next lines in hand, or none at the end."""
        if self._reading:
            raise RuntimeError("another task is already reading this log; give each its own follower")
        self._reading = True
        try:
            while not (length_hint(self._hand) or self._ended):
                if (pause := self._due - self._clock.now()) > 0:
                    await self._clock.sleep(pause)
                await self.step()
        finally:
            self._reading = False

    async def step(self) -> None:
        """Ask once, now, if no line is in hand: what `read` repeats, for a caller with many followers."""
        if length_hint(self._hand) or self._ended:
            return
        settle = self._settle
        try:
            caught_up = await self._ask()
        except BuildsError:
            self._due = self._clock.now() + self._interval  # a caller that retries in a loop is throttled too
            raise
        if self._backlog is not None:
            self._skip(self._backlog)
            if caught_up:
                self._go_back(self._backlog, settle=settle)

    def _skip(self, backlog: Backlog) -> None:
        if lines := length_hint(self._hand):
            backlog.add(self._cursor.position(lines), lines)
            self._hand = iter(())

    def _go_back(self, backlog: Backlog, *, settle: bool) -> None:
        """Begin where the last lines do, now that it is known."""
        self._backlog = None
        if backlog.start is not None:
            self._cursor.back_to(backlog.start)
            self._due = self._clock.now()
            self._settle = self._settle or settle  # it is for the end
            self._ended = self._complete = False

    async def _ask(self) -> bool:
        """Take the next page, and say whether it was, for now, the last one."""
        if self._build is None:
            await self._look()
        polled_at = self._clock.now()
        step, missed = await self._page()
        if step.lines:
            self._hand = iter(step.lines)
            self._interval = self._min_interval
        self._due = polled_at if step.more or self._finished else polled_at + self._interval
        if step.more:
            return False
        if step.lines:
            return not self._finished  # of a finished one, until a page brings nothing
        self._interval = min(self._interval * _SLOW_DOWN, self._max_interval)
        await self._nothing_new(step, missed=missed)
        return not self._finished or self._ended or self._due > polled_at

    async def _page(self) -> tuple[Step, bool]:
        """The next page as a step, and whether it was missing just now, though not the time before."""
        try:
            page = await self._source.logs(self._build_uuid, cursor=self._cursor.asked)
        except NotFoundError:  # the build exists
            missed, self._missing = not self._missing, True
            return self._cursor.not_found(self.build), missed
        self._missing = False
        return self._cursor.take(page, final=self._finished), False

    async def _nothing_new(self, step: Step, *, missed: bool) -> None:
        if not self._finished:
            await self._look()
        elif self._settle or (missed and not step.complete):
            # Also for a log that was there a moment ago: one replica of the service may lag behind.
            self._settle = False
            self._due += SETTLE
        else:
            self._end(step)

    def _end(self, step: Step) -> None:
        self._ended, self._complete = True, step.complete
        if self._missing and not step.complete:
            logger.warning(
                "The log of build %s is gone: the API answers 404; lines may be missing", self._build_uuid
            )

    async def _look(self) -> None:
        """Ask how the build is; when it has finished, the log is asked for at once."""
        first = self._build is None
        self._build, seen_on = await self._source.get_dated(self._build_uuid)
        build = self._build
        if build.is_stopped and not self._ending.has_begun:
            self._settle = not first or build.build_outcome is None or _stopped_just_before(build, seen_on)
        if self._ending.reached(build):
            self._finished = True
            self._source = self._finished_source
            self._due = self._clock.now()


def _stopped_just_before(build: Build, seen_on: datetime | None) -> bool:
    """Whether the build may have stopped less than 5 s before it was seen, both by the server's clock."""
    stopped_on = build.stopped_on
    if stopped_on is None or seen_on is None:
        return True
    if stopped_on.tzinfo is None:
        stopped_on = stopped_on.replace(tzinfo=UTC)
    return abs(seen_on - stopped_on) < _JUST_NOW
