"""The logs of many Workers as one stream."""

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import inf
from types import TracebackType
from typing import Self

from builds_async.errors import AuthenticationError, BuildsError, NotFoundError, PermissionDeniedError
from builds_async.live.background import Tasks
from builds_async.live.backlog import Backlog
from builds_async.live.log_reader import LogReader
from builds_async.live.pace import Pace
from builds_async.live.patience import Patience, concerns_all
from builds_async.live.sources import LogSource, TailSource
from builds_async.live.tracker import Tracker
from builds_async.models.builds import Build, BuildStatus
from builds_async.models.changes import BuildChange
from builds_async.models.logs import LogPage, LogPosition
from builds_async.models.tail import TailLine, TailLog, TailPosition
from builds_async.session.clock import Clock
from builds_async.session.ids import normalized_id
from builds_async.session.numbers import seconds

logger: logging.Logger = logging.getLogger("builds_async")

MAX_AT_ONCE = 10
"""How many logs are asked for at the same time, and so the most pages that are held in memory."""

_LOOK = ""
"""The name of the task that looks for new builds; a log's task has the UUID of its build."""


class BuildTail:
    """The lines of all builds of many Workers, merged, as an endless async iterator of `TailLine`.

    It begins with the builds that run now, from their first line or, with `tail`, from their last `tail`
    lines, and picks up each new build by itself. (Where the latest build of a Worker has already stopped,
    older ones are not looked for.) Every line of a build comes once and in order, as from `LogFollower`;
    lines of different builds come as they are fetched. One look at the latest builds, every `interval`
    seconds and 20 Workers in a request, replaces the status polls of all logs.

    Back-pressure: nothing more is asked for while lines are in hand, and at most 10 logs at the same time,
    so a slow reader slows the polling and memory stays bounded.

    `position` is one value that can be stored as JSON. A tail that starts with it gives exactly the lines
    that are left, even those of builds that began, or ended, while no tail was running.

    It is not a generator: after a `break`, a timeout, a cancellation or an error the next loop goes on and
    loses nothing. Requests on their way may then still come in; `async with`, `aclose()` and closing the
    client end them.

    Wrong credentials are raised, and so is an error when all requests have failed for the client's `patience`
    (300 s), or one that will not pass by itself (a certificate). Any other error is in `failures`, by the tag
    of its Worker or the UUID of its build, until the next request for it succeeds; the others go on.
    """

    def __init__(
        self,
        source: TailSource,
        external_script_ids: Iterable[str],
        *,
        clock: Clock,
        start: TailPosition | None = None,
        tail: int | None = None,
        interval: float,
        poll_interval: float,
        max_poll_interval: float,
        patience: Patience | None = None,
    ) -> None:
        self._patience = Patience(clock, inf) if patience is None else patience
        start = TailPosition() if start is None else start
        if not isinstance(start, TailPosition):
            raise TypeError(f"start is a TailPosition, not {type(start).__name__}: decode it with msgspec")
        if tail is not None:
            Backlog(tail)  # raises ValueError now, not when the first log opens
        self._source = source
        self._clock = clock
        self._tail = tail
        self._interval = seconds("interval", interval, above_zero=True)
        self._poll_interval = seconds("poll_interval", poll_interval, above_zero=True)
        self._max_poll_interval = seconds("max_poll_interval", max_poll_interval, above_zero=True)
        self._tracker = Tracker(source, external_script_ids, clock, start.workers)
        self._known = dict(self._tracker.marks)  # what an earlier tail had seen
        self._looks = Pace(clock, self._interval)
        self._logs: dict[str, _BuildLog] = {}
        self._ready: deque[_BuildLog] = deque()  # logs that have just been asked, and may have lines in hand
        self._failed: dict[str, BuildsError] = {}
        # Requests run in tasks, not in the reader: a timeout around one line must not cut off other logs.
        self._tasks = Tasks(clock)
        self._reading = False
        self._closed = False
        for build_uuid, log in start.logs.items():
            if (tag := normalized_id(log.external_script_id)) in self._tracker.ids:
                self._open(tag, build_uuid, None, log.position, None)

    @property
    def failures(self) -> Mapping[str, BuildsError]:
        """What could not be asked for when it was last tried, by tag or build UUID."""
        return {**self._tracker.failures, **self._failed}

    @property
    def position(self) -> TailPosition:
        """The place behind the last line given out, in all logs."""
        self._take_changes()  # else a build could be behind the mark of its Worker and have no log yet
        logs = {uuid: TailLog(log.tag, log.reader.position) for uuid, log in self._logs.items()}
        return TailPosition(dict(self._tracker.marks), logs)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TailLine:
        if not self._tracker.ids:
            raise StopAsyncIteration
        if self._reading:
            raise RuntimeError("another task is already reading this tail; give each its own")
        self._reading = True
        try:
            while (line := self._next_in_hand()) is None:
                if self._closed:
                    raise RuntimeError("this tail is closed")
                self._start_due()
                await self._tasks.wait_until(self._next_due())
        finally:
            self._reading = False
        return line

    async def aclose(self) -> None:
        """End the requests on their way. The position stays good; reading on is a RuntimeError."""
        self._closed = True
        await self._tasks.aclose()

    def _next_in_hand(self) -> TailLine | None:
        while self._ready:
            log = self._ready[0]
            # The build is known before the first line comes: a reader asks for it first.
            if log.build is not None and (line := next(log.reader.hand, None)) is not None:
                return TailLine(self._tracker.spelling(log.tag), log.build, line)
            self._ready.popleft()
            if log.reader.ended:
                self._close(log)
        return None

    def _start_due(self) -> None:
        """Start what is due: the look, and as many logs as may be asked at once, the longest due first."""
        now = self._clock.now()
        busy = self._tasks.names
        if self._looks.due <= now and _LOOK not in busy:
            self._tasks.start(_LOOK, self._look())
        idle = [log for uuid, log in self._logs.items() if uuid not in busy]
        due = sorted((log for log in idle if log.reader.pace.due <= now), key=lambda log: log.reader.pace.due)
        for log in due[: MAX_AT_ONCE - len(busy - {_LOOK})]:
            self._tasks.start(log.uuid, self._step(log))

    def _next_due(self) -> float:
        """When something is due next that is not under way, and may be started by then."""
        busy = self._tasks.names
        moments = [log.reader.pace.due for uuid, log in self._logs.items() if uuid not in busy]
        if len(busy - {_LOOK}) >= MAX_AT_ONCE:
            moments.clear()  # no log can be started before a task is done, and that ends the wait anyway
        if _LOOK not in busy:
            moments.append(self._looks.due)
        return min(moments, default=self._clock.now() + self._interval)

    async def _look(self) -> None:
        began = self._clock.now()
        try:
            await self._tracker.look()
        finally:
            # Even after an error: a reader that retries in a loop is throttled, and what was found is used.
            self._looks.next_after(began)
            self._take_changes()
        self._patience.weigh(self._tracker.failures.values(), parts=len(self._tracker.ids))
        self._looks.due = max(self._looks.due, self._patience.due)

    async def _step(self, log: "_BuildLog") -> None:
        try:
            await log.reader.step()
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            if concerns_all(error) and not self._patience.outlasts(error):
                raise
            if log.uuid not in self._failed:
                logger.warning("the log of build %s could not be asked for: %s", log.uuid, str(error))
            self._failed[log.uuid] = error
            if isinstance(error, NotFoundError):  # the build itself is gone
                self._close(log)
            return
        if not log.reader.is_queued:  # else nothing was asked for: the look had its state
            self._patience.succeeded()
        self._failed.pop(log.uuid, None)
        self._ready.append(log)

    def _take_changes(self) -> None:
        """Open a log for each new build; pass the state of the others on to their logs."""
        while self._tracker.changes:
            change = self._tracker.changes.popleft()
            build, tag = change.build, normalized_id(change.external_script_id)
            if build.build_uuid in self._logs:
                log = self._logs[build.build_uuid]
                log.build = build
                if log.reader.is_queued and build.status != BuildStatus.QUEUED:
                    log.reader.pace.due = self._clock.now()  # it has begun: its lines are due now
            elif change.is_new and not self._is_past(change):
                # `tail` is for logs that exist at the beginning; of a build that is new all lines are wanted.
                tail = self._tail if build.build_uuid in self._tracker.present else None
                self._open(tag, build.build_uuid, build, LogPosition(), tail)

    def _is_past(self, change: BuildChange) -> bool:
        """Whether a build that is reported for the first time lies before the beginning of this tail."""
        mark = self._known.get(normalized_id(change.external_script_id))
        if mark is not None and mark.build_uuid == change.build.build_uuid:
            return True  # an earlier tail gave it, or it is open by the position
        return change.build.is_stopped and change.build.build_uuid in self._tracker.present

    def _open(
        self, tag: str, build_uuid: str, build: Build | None, position: LogPosition, tail: int | None
    ) -> None:
        log = _BuildLog(tag, build_uuid, build, self._source, self._tracker)
        log.reader = LogReader(
            log,
            build_uuid,
            clock=self._clock,
            start=position,
            tail=tail,
            poll_interval=self._poll_interval,
            max_poll_interval=self._max_poll_interval,
        )
        self._logs[build_uuid] = log

    def _close(self, log: "_BuildLog") -> None:
        self._logs.pop(log.uuid, None)
        self._failed.pop(log.uuid, None)


class _BuildLog:
    """One open log, and the source of its reader: its build is as the tracker last saw it."""

    reader: LogReader

    def __init__(self, tag: str, uuid: str, build: Build | None, source: LogSource, tracker: Tracker) -> None:
        self.tag = tag
        self.uuid = uuid
        self.build = build
        self._source = source
        self._tracker = tracker

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime | None]:
        """The build as the tracker last saw it, without a date; a request only if the tracker has lost it."""
        seen_on = None
        if self.build is None or not self._tracker.tracks(self.tag, build_uuid):
            self.build, seen_on = await self._source.get_dated(build_uuid)
        return self.build, seen_on

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        return await self._source.logs(build_uuid, cursor=cursor)
