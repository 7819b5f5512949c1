"""Reading one build's log, request by request: the next request, when it is due, and the end of the log.

It does not wait. `LogFollower` waits for one log, `BuildTail` for many at once.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from operator import length_hint

from msgspec.structs import replace

from builds_async.errors import BuildsError, NotFoundError
from builds_async.live.backlog import Backlog
from builds_async.live.board import MAX_AGE, OwnState
from builds_async.live.finish import EndDetector
from builds_async.live.log_cursor import LogCursor, Step
from builds_async.live.log_facts import LogFacts
from builds_async.live.pace import Pace
from builds_async.live.sources import LogSource, Seen, StateSource
from builds_async.models.builds import Build, BuildStatus
from builds_async.models.logs import LogLine, LogPosition
from builds_async.models.steps import StepFinder
from builds_async.session.clock import Clock
from builds_async.session.numbers import seconds

SETTLE = 2.0
"""Seconds after which a log is read once more if its build has just stopped: its last lines may be late."""

QUEUED_INTERVAL = 2.5
"""Seconds between two lookups of a queued build, or of its Worker, so that its start is seen within 3 s."""

_JUST_NOW = timedelta(seconds=5)

logger: logging.Logger = logging.getLogger("builds_async")


class LogReader:
    """One log, from `start` or from its last `tail` lines, to its end.

    Take the lines in `buffered`. When there are none, and the log has not `ended`, call `step` as soon as it
    is due by `pace`. State changes only after a response has been read, so a failed or canceled step loses
    nothing and repeats nothing.

    A queued build has no log: while it `is_queued`, a step requests only its state.

    With `wait` False the log ends after the last line that exists now, even if the build still runs.
    """

    def __init__(
        self,
        source: LogSource,
        build_uuid: str,
        *,
        clock: Clock,
        finished_source: LogSource | None = None,
        state: StateSource | None = None,
        start: LogPosition | None,
        tail: int | None,
        poll_interval: float,
        max_poll_interval: float,
        wait: bool = True,
    ) -> None:
        start = LogPosition() if start is None else start
        if not isinstance(start, LogPosition):
            raise TypeError(
                f"start must be a LogPosition, not {type(start).__name__}: decode it with msgspec"
            )
        if start.offset < 0:
            raise ValueError(f"the offset of a position must be 0 or more lines, not {start.offset}")
        self.pace: Pace = Pace(
            clock,
            seconds("poll_interval", poll_interval, above_zero=True),
            seconds("max_poll_interval", max_poll_interval, above_zero=True),
        )
        """When the next `step` is due."""

        self.buffered: Iterator[LogLine] = iter(())
        """The lines that were fetched and not taken: an iterator of a tuple, so `length_hint` counts them."""

        self.facts: LogFacts = LogFacts()
        """The uploads that the fetched lines name, skipped lines included."""

        self.steps: StepFinder = StepFinder()
        """The steps that the fetched lines show, skipped lines included."""

        # Polls slow down when the budget runs low. Draining a finished log is not polling, so it has a source
        # of its own.
        self._source = source
        self._finished_source = source if finished_source is None else finished_source
        self._state = OwnState(source, build_uuid, clock) if state is None else state
        self._build_uuid = build_uuid
        self._clock = clock
        self._wait = wait
        self._cursor = LogCursor(start)
        self._backlog = None if tail is None else Backlog(tail)  # as long as lines are skipped
        self._build: Build | None = None
        self._queued_interval = max(QUEUED_INTERVAL, poll_interval)
        # If an earlier reader has had lines, the build is not queued, even if a lagging copy says so.
        self._may_be_queued = start == LogPosition()
        self._end_detector = EndDetector(clock)
        self._finished = False  # the build is final; what is left is to drain its log
        self._settle = False  # read once more before the end
        self._missing = False  # the last response for the log was a 404
        self._ended = False
        self._complete = False

    @property
    def build(self) -> Build | None:
        """The build as last seen; None before the first step."""
        return self._build

    @property
    def is_queued(self) -> bool:
        """True while the build has been seen queued, and in no later status."""
        return self._may_be_queued and self._build is not None

    @property
    def ended(self) -> bool:
        """True when the last line was fetched and nothing more will be requested."""
        return self._ended

    @property
    def complete(self) -> bool:
        """True once the log has ended and was read completely."""
        return self._complete

    @property
    def position(self) -> LogPosition:
        """The position after the last line taken; while lines are skipped, before the first one to come."""
        here = self._cursor.position(length_hint(self.buffered))
        return here if self._backlog is None else self._backlog.start or here

    async def step(self) -> None:
        """Make the next request now. Does nothing while lines are buffered, and after the end."""
        if length_hint(self.buffered) or self._ended:
            return
        settle = self._settle
        try:
            caught_up = await self._request()
        except BuildsError:
            self.pace.failed()
            raise
        if self._backlog is not None:
            self._skip(self._backlog)
            if caught_up:
                self._go_back(self._backlog, settle=settle)

    def _skip(self, backlog: Backlog) -> None:
        if lines := length_hint(self.buffered):
            backlog.add(self._cursor.position(lines), lines)
            self.buffered = iter(())

    def _go_back(self, backlog: Backlog, *, settle: bool) -> None:
        """Go back to the first of the last `tail` lines, now that the end of the log is known.

        The log may have ended while lines were skipped, and its last request, 2 s later, may have been made.
        Both are undone, because they have to come after the lines that are delivered now.
        """
        self._backlog = None
        if backlog.start is not None:
            self._cursor.back_to(backlog.start)
            self.pace.due = self._clock.now()
            self._settle = self._settle or settle
            self._ended = self._complete = False

    async def _request(self) -> bool:
        """Request the next page, and return whether it was the last one for now."""
        build = self._build
        if build is None or self._may_be_queued:
            seen = await self._look_up()
            if self.is_queued:
                self.pace.due = seen.at + self._queued_interval
                self._ended = self._complete = not self._wait
                return True  # there are no lines yet, so `tail` has nothing to skip
            build = seen.build
        requested_at = self._clock.now()
        step, newly_missing = await self._page(build)
        if step.lines:
            self.buffered = iter(step.lines)
            self.facts.add(step.lines)
            self.steps.add(step.lines)
            self.pace.reset()
        if not self._wait:
            self.pace.due = requested_at
            if not step.more:
                # Of a build that has not stopped, the log may not have begun.
                is_early = not build.is_stopped and self._cursor.position() == LogPosition()
                self._end(replace(step, complete=step.complete or is_early))
            return self._ended
        if step.more or self._finished:
            self.pace.due = requested_at  # at once, because more lines exist already or none will come
        else:
            self.pace.next_after(requested_at)
        if step.more:
            return False
        if step.lines:
            return not self._finished  # a finished log is read until a page brings nothing
        self.pace.slow_down()
        await self._nothing_new(step, newly_missing=newly_missing)
        return not self._finished or self._ended or self.pace.due > requested_at

    async def _page(self, build: Build) -> tuple[Step, bool]:
        """The next page as a step, and whether the log is missing now but was not the time before."""
        try:
            page = await self._source.logs(self._build_uuid, cursor=self._cursor.asked)
        except NotFoundError:  # the build exists, so the 404 is for the log
            newly_missing, self._missing = not self._missing, True
            return self._cursor.not_found(build), newly_missing
        self._missing = False
        self.steps.see(page.events)
        return self._cursor.take(page, final=self._finished, last_read=not self._wait), False

    async def _nothing_new(self, step: Step, *, newly_missing: bool) -> None:
        """After a page without new lines: check whether the build has finished, or the log has ended.

        The build is requested only here: while lines come, a second request with each poll would be wasted.
        """
        if not self._finished:
            await self._look_up()
        elif self._settle or (newly_missing and not step.complete):
            # Read once more, because late lines may come. And a log that existed a moment ago may come back
            # if the 404 was from a lagging copy.
            self._settle = False
            self.pace.due += SETTLE
        else:
            self._end(step)

    def _end(self, step: Step) -> None:
        self._ended, self._complete = True, step.complete
        if self._missing and not step.complete:
            logger.warning(
                "The log of build %s is gone: the API responds with 404; lines may be missing",
                self._build_uuid,
            )

    async def _look_up(self) -> Seen:
        """Request the state of the build. When it has finished, the log is due at once, to be drained."""
        first = self._build is None
        seen = await self._state.state(max_age=MAX_AGE)
        build = self._build = seen.build
        self._may_be_queued = (
            self._may_be_queued and build.status == BuildStatus.QUEUED and not build.is_stopped
        )
        if build.is_stopped and not self._end_detector.has_stopped:
            # Whatever its dates are, a build has stopped just now if it was running at the last lookup, or if
            # it has no outcome yet.
            self._settle = not first or build.build_outcome is None or _stopped_just_before(build, seen.date)
        if self._end_detector.is_final(build):
            self._finished = True
            self._source = self._finished_source
            self.pace.due = self._clock.now()
        return seen


def _stopped_just_before(build: Build, seen_on: datetime | None) -> bool:
    """Whether the build may have stopped less than 5 s before it was seen, by the server's clock.

    A stop up to 5 s in the future counts too, because the clocks of two servers may differ by some seconds.
    """
    stopped_on = build.stopped_on
    if stopped_on is None or seen_on is None:
        return True
    if stopped_on.tzinfo is None:
        stopped_on = stopped_on.replace(tzinfo=UTC)
    return abs(seen_on - stopped_on) < _JUST_NOW
