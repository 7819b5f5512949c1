"""Following a build's log while it grows."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from operator import length_hint
from typing import Protocol, Self

from builds_async.errors import BuildsError, NotFoundError
from builds_async.live.backlog import Backlog
from builds_async.live.ending import Ending
from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPage, LogPosition
from builds_async.session.clock import Clock

SETTLE = 2.0
"""Seconds after which a log is read once more when its build has only just stopped: lines may lag behind."""

MAX_HOLLOW = 10
"""How many truncated pages without lines are followed in a row at the end of a log."""

_JUST_NOW = timedelta(seconds=5)
_SLOW_DOWN = 1.5

_Trait = tuple[str | None, int, LogLine, LogLine]


class LogSource(Protocol):
    """What a follower asks: a build, and a page of its log."""

    async def get(self, build_uuid: str) -> Build:
        """The build as it is now; NotFoundError if there is none."""
        ...

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        """The page of the log behind `cursor`; NotFoundError if there is no log yet."""
        ...


class LogFollower:
    """Every line of a build's log, once and in order, until the build has finished and its log is drained.

    `async for line in log` and `await log.read()` may be mixed. Between two lines the follower holds no
    connection, task or scope, so there is nothing to close. It is not a generator: after a `break`, a
    time-out round one line, a cancel or an error, the same object goes on where it was. Cancelling
    loses nothing and repeats nothing, because its state moves only after an answer has been read.

    It ends by itself: when the build is `stopped` and has its outcome (waited for at most 30 s), it reads
    on until a page brings nothing, and, if the build stopped only just now, once more 2 s later. The log
    of a build that finished before is read without a pause. While the build runs, the log is asked for
    every `poll_interval` seconds, more seldom up to `max_poll_interval` while nothing comes, and never
    faster than the client's `RateBudget` allows.

    With `tail` it begins at the last so many of the lines that are there at first, and passes over those
    before them.

    It assumes that the lines of a page do not change when the page is asked for again.

    Raises what `client.builds.get` and `client.builds.logs` raise after their retries; an unknown build is
    a NotFoundError. It has no time limit of its own: `async with asyncio.timeout(600):` works round it.
    A second task that reads while one is waiting gets a RuntimeError.
    """

    def __init__(
        self,
        source: LogSource,
        build_uuid: str,
        *,
        clock: Clock,
        start: LogPosition | None = None,
        tail: int | None = None,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
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
        self._build_uuid = build_uuid
        self._clock = clock
        self._utcnow = utcnow
        self._reading = False

        # Where: the lines in hand came from the page behind `_cursor`; it has `_end` lines that are given out
        # or in hand. When none is in hand, `_after` is where to go on.
        self._cursor = start.cursor
        self._offset = start.offset
        self._end = start.offset
        self._hand: Iterator[LogLine] = iter(())  # of a tuple: it knows how many are left
        self._after = start
        self._last: _Trait | None = None  # of the last answer that had lines
        self._doubted = False
        self._backlog = None if tail is None else Backlog(tail)  # while it is passed over

        # When: not before `_due`.
        self._min_interval = self._interval = poll_interval
        self._max_interval = max(poll_interval, max_poll_interval)
        self._due = clock.now()

        # How far: a finished build is final, what is left is to drain its log.
        self._build: Build | None = None
        self._ending = Ending(clock)
        self._finished = False
        self._settle = False
        self._hollow = 0
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

        False before the end, and after it if the API ended the log while it said that more was to come.
        """
        return self._complete

    @property
    def position(self) -> LogPosition:
        """The place behind the last line given out.

        `client.follow(build_uuid, start=position)` goes on exactly there, in this process or a later one.
        """
        in_hand = length_hint(self._hand)
        here = LogPosition(self._cursor, self._end - in_hand) if in_hand else self._after
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
        """The next lines, at least one, as many as one answer brought; `()` at the end, every time.

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
        """Ask once, now, if no line is in hand: what `read` repeats, for who schedules many followers."""
        if length_hint(self._hand) or self._ended:
            return
        settle = self._settle
        try:
            caught_up = await self._ask()
        except BuildsError:
            self._due = self._clock.now() + self._interval  # who tries again in a loop is paced as well
            raise
        if self._backlog is not None:
            self._pass_over(self._backlog)
            if caught_up:
                self._go_back(self._backlog, settle=settle)

    def _pass_over(self, backlog: Backlog) -> None:
        if lines := length_hint(self._hand):
            backlog.add(LogPosition(self._cursor, self._end - lines), lines)
            self._hand = iter(())

    def _go_back(self, backlog: Backlog, *, settle: bool) -> None:
        """Begin where the last lines do, now that it is known."""
        self._backlog = None
        if backlog.start is not None:
            self._after = backlog.start
            self._last = None
            self._due = self._clock.now()
            self._settle = self._settle or settle  # it is for the end
            self._ended = self._complete = False

    async def _ask(self) -> bool:
        """Take the next page, and say whether it was, for now, the last one."""
        self._cursor, self._offset = self._after.cursor, self._after.offset
        if self._build is None:
            self._see(await self._source.get(self._build_uuid))
        polled_at = self._clock.now()
        page = await self._page()
        moved = page.cursor is not None and page.cursor != self._cursor
        self._doubted = not moved and self._repeats(page)
        if not self._doubted and self._absorb(page, moved=moved):
            self._interval = self._min_interval
            at_once = page.truncated and moved
        else:
            at_once = moved and bool(page.lines)  # what was skipped is no end
        self._due = polled_at if at_once or self._finished else polled_at + self._interval
        if self._doubted or at_once:
            return False
        if length_hint(self._hand):
            return not self._finished  # of a finished one, until a page brings nothing
        self._interval = min(self._interval * _SLOW_DOWN, self._max_interval)
        await self._nothing_new(page, moved=moved)
        return not self._finished or self._ended or self._due > polled_at

    async def _page(self) -> LogPage:
        try:
            return await self._source.logs(self._build_uuid, cursor=self._cursor)
        except NotFoundError:  # the build exists, so it just has no log yet
            return LogPage()

    def _repeats(self, page: LogPage) -> bool:
        """Whether this looks like the last answer once more, given to a request for the page behind it.

        It may be the true next page all the same, if that one has no other cursor either and equal
        lines. So it is passed over once: asked again, a slip of the server is gone, a true page is not.
        """
        return (
            not self._doubted
            and self._cursor is not None
            and page.cursor == self._cursor
            and len(page.lines) > self._offset
            and _trait(page) == self._last
        )

    def _absorb(self, page: LogPage, *, moved: bool) -> bool:
        """Take the page's lines that are new; False if there are none."""
        if page.lines:
            self._last = _trait(page)
        fresh = page.lines[self._offset :]
        if moved:
            # What was not skipped of the offset lies behind this page.
            self._after = LogPosition(page.cursor, max(0, self._offset - len(page.lines)))
        else:
            # The same page will be asked for again, and has grown by then.
            self._after = LogPosition(self._cursor, self._offset + len(fresh))
        if not fresh:
            self._cursor, self._offset = self._after.cursor, self._after.offset
            return False
        self._hand, self._end = iter(fresh), self._offset + len(fresh)
        self._hollow = 0
        return True

    async def _nothing_new(self, page: LogPage, *, moved: bool) -> None:
        if not self._finished:
            self._see(await self._source.get(self._build_uuid))
        elif page.truncated and moved and self._hollow < MAX_HOLLOW:
            self._hollow += 1
        elif self._settle:
            self._settle = False
            self._due += SETTLE
        else:
            self._ended = True
            self._complete = not page.truncated

    def _see(self, build: Build) -> None:
        """Note how the build is; when it has finished, the log is asked for at once."""
        first, self._build = self._build is None, build
        if build.is_stopped and not self._ending.has_begun:
            self._settle = not first or build.build_outcome is None or self._stopped_just_now(build)
        if self._ending.reached(build):
            self._finished = True
            self._due = self._clock.now()

    def _stopped_just_now(self, build: Build) -> bool:
        if build.stopped_on is None or build.stopped_on.tzinfo is None:
            return False
        return abs(self._utcnow() - build.stopped_on) < _JUST_NOW


def _trait(page: LogPage) -> _Trait:
    """What tells a page from another one, nearly always, without holding its lines."""
    return page.cursor, len(page.lines), page.lines[0], page.lines[-1]
