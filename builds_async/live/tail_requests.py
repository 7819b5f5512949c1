"""Starts the requests of a tail as the budget allows, the most urgent first, and applies their results."""

import asyncio
import logging
from math import inf

from builds_async.errors import AuthenticationError, BuildsError, NotFoundError, PermissionDeniedError
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.background import Tasks
from builds_async.live.build_log import BuildLog
from builds_async.live.events import EventStream
from builds_async.live.horizon import UPDATE_EVERY
from builds_async.live.open_logs import OpenLogs
from builds_async.live.patience import LONGEST_PAUSE, Patience
from builds_async.live.schedule import Choice, FollowUp, Log, Lookup, Schedule, Single
from builds_async.live.sources import BuildSource
from builds_async.live.tracker import Tracker
from builds_async.models.builds import BuildStatus
from builds_async.models.events import updated
from builds_async.session.budget import Budget
from builds_async.session.clock import Clock
from builds_async.session.ids import normalized_id

logger: logging.Logger = logging.getLogger("builds_async")

MAX_AT_ONCE = 10
"""How many requests are in flight at most, and so how many pages are held in memory at most."""

SAFETY_NET = 600.0
"""Seconds between two lookups of a Worker whose builds are found by events: an event may get lost."""

# Names of tasks. There is one list and one event at a time; chosen requests share a name.
_LIST = "list"
_EVENT = "event"
_CHOSEN = "chosen"

_LONGEST_WAIT = 1.0
"""Seconds after which a request joins the queue of the budget, if other verbs take each free place first."""

_FOREIGN_BUILDS = 1000
"""How many builds of other Workers are remembered, so that their later events cost no request."""


class TailRequests:
    """Makes the requests that the schedule chooses, each in its own task.

    The task of the reader makes none: a timeout around one line must not cancel requests for other logs.
    """

    def __init__(
        self,
        source: BuildSource,
        logs: OpenLogs,
        tracker: Tracker,
        schedule: Schedule,
        *,
        clock: Clock,
        interval: float,
        patience: Patience,
        budget: Budget | None,
        account: AccountWorkers | None,
        events: EventStream | None,
    ) -> None:
        self._source = source
        self._logs = logs
        self._tracker = tracker
        self._schedule = schedule
        self._clock = clock
        self._interval = interval
        self._patience = patience
        self._budget = budget
        self._account = account
        self._stream = events
        self._events = events  # None once the stream was closed
        self._tasks = Tasks(clock)
        self._followed_up_at: dict[str, float] = {}  # when the last follow-up of a Worker began
        self._foreign: dict[str, None] = {}  # builds of other Workers that events have named
        self._unread: dict[str, float] = {}  # builds that events have named, since when they can't be read
        self._horizon_due = clock.now()
        self._in_flight = 0
        self._turn_at: float | None = None  # when the next request may join the queue of the budget
        self._has_early = False  # a request was started before the budget had room, and waits there
        self._closed = False

    # Starting.

    async def start_due(self) -> None:
        """Start as many requests as the budget allows now, the most urgent first."""
        self._start_others()
        while self._in_flight < MAX_AT_ONCE and not self._logs.has_next and not self._closed:
            if self._tasks.has_failed:  # wrong credentials: each further request would fail the same way
                return
            now = self._clock.now()
            if now < self._patience.due:  # an outage is being sat out
                return
            self._set_horizon(now)
            is_early = self._wait_for_budget(now) > 0
            if is_early and not self._may_queue(now):
                return
            choice = self._schedule.choose(now)
            if choice is None:
                return
            if isinstance(choice, Log) and (log := self._logs.get(choice.build_uuid)) is not None:
                log.is_busy = True  # not in the task: the log might be scheduled again before that begins
            self._turn_at = None
            self._has_early = self._has_early or is_early
            self._in_flight += 1
            self._tasks.start(_CHOSEN, self._run(choice, now, is_early=is_early))
            await asyncio.sleep(0)  # lets the task begin, so that the budget counts it before the next choice

    def _start_others(self) -> None:
        """Start the requests that the schedule does not choose: the list of Workers, and the next event."""
        busy = self._tasks.names
        if self._account is not None and self._account.pace.pause <= 0 and _LIST not in busy:
            self._tasks.start(_LIST, self._find_workers(self._account))
        if self._events is not None and _EVENT not in busy:
            self._tasks.start(_EVENT, self._take_event(self._events))

    def _wait_for_budget(self, now: float) -> float:
        """Seconds until the budget lets a request go."""
        wait = 0.0 if self._budget is None else self._budget.ready_in(poll=True)
        if wait > 0 and self._turn_at is None:
            self._turn_at = now + min(wait, _LONGEST_WAIT)
        return wait

    def _may_queue(self, now: float) -> bool:
        """Whether to start a request although it has to wait for the budget.

        One at a time, once `_turn_at` has passed. Otherwise other verbs, which wait inside the budget, could
        take each free place first for ever. It also lets the budget log a long wait.
        """
        return not self._has_early and self._turn_at is not None and self._turn_at <= now

    def _set_horizon(self, now: float) -> None:
        """Set in the budget for how long polls will be needed."""
        if self._budget is not None and now >= self._horizon_due:
            self._horizon_due = now + UPDATE_EVERY
            self._budget.set_horizon(self, self._logs.polled_for(now), builds=self._schedule.polled)

    # Waiting.

    async def wait(self) -> None:
        """Wait until a request has ended, or another may be started. Raises the error of a request."""
        await self._tasks.wait_until(self._next_moment())

    def wake(self) -> None:
        """Wake a waiting reader: there may be a new request to start."""
        self._tasks.wake()

    def _next_moment(self) -> float:
        """When the next request may be started, if none in flight ends before."""
        now = self._clock.now()
        moment = now + self._interval
        if self._account is not None and _LIST not in self._tasks.names:
            # Only while no list is in flight: its pace stays due until it has ended, and the reader would
            # spin until then.
            moment = min(moment, self._account.pace.due)
        if self._in_flight < MAX_AT_ONCE and (due := self._schedule.next_due(now)) < moment:
            moment = due
            if due <= now:  # the budget has no room
                turn = now if self._turn_at is None else self._turn_at
                # At least 10 ms: a wait rounded down to nothing would make the reader spin.
                pause = min(_LONGEST_WAIT, max(self._wait_for_budget(now), 0.01))
                moment = turn if turn > now else now + pause
            moment = max(moment, self._patience.due)
        return moment

    async def aclose(self) -> None:
        """End the requests in flight, and start no more."""
        self._closed = True
        if self._budget is not None:
            self._budget.set_horizon(self, None)
        await self._tasks.aclose()
        if self._stream is not None:
            await self._stream.aclose()

    # The requests.

    async def _run(self, choice: Choice, now: float, *, is_early: bool) -> None:
        try:
            match choice:
                case Lookup(tags):
                    await self._look_up(tags, now)
                case FollowUp(tag):
                    await self._follow_up(tag)
                case Single(build_uuid):
                    await self._get(build_uuid)
                case Log(build_uuid):
                    if (log := self._logs.get(build_uuid)) is not None:  # else its Worker was just removed
                        await self._read(log)
        finally:
            self._in_flight -= 1
            if is_early:
                self._has_early = False

    async def _look_up(self, tags: tuple[str, ...], requested_at: float) -> None:
        failures = self._tracker.failures
        had_failed = all(self._tracker.spelling(tag) in failures for tag in tags)
        try:
            await self._tracker.look_up(tags)
        finally:
            # Even after an error: the next lookup is scheduled, so a reader that retries in a loop is
            # throttled, and the changes found so far are used.
            self._logs.take_changes()
            for tag in tags:
                self._take_lookup(tag, requested_at)
        failed = [failures[it] for tag in tags if (it := self._tracker.spelling(tag)) in failures]
        self._patience.weigh(failed, parts=len(tags), repeated=had_failed)

    def _take_lookup(self, tag: str, requested_at: float) -> None:
        """Use the result of a lookup for one Worker, which may be a failure."""
        if tag not in self._tracker:
            return
        if (arrived := self._tracker.arrived(tag)) is not None:
            self._logs.see(tag, arrived)
        latest = self._tracker.latest(tag)
        has_failed = self._tracker.spelling(tag) in self._tracker.failures
        is_queued = latest is not None and latest.status == BuildStatus.QUEUED and not latest.is_stopped
        self._schedule.looked_up(tag, requested_at, queued=is_queued and not has_failed)
        if tag in self._tracker.unfinished:
            # A Worker with a queued build is looked up every 2.5 s. Its older builds need no more follow-ups
            # than those of any Worker: one per interval.
            is_due = self._followed_up_at.get(tag, -inf) + self._interval <= requested_at
            self._schedule.add_follow_up(tag, urgent=is_due and self._tracker.hides_work(tag))
        self._logs.looked_up(tag)

    async def _follow_up(self, tag: str) -> None:
        self._followed_up_at[tag] = self._clock.now()
        try:
            await self._tracker.follow_up(tag)
        finally:
            self._schedule.followed_up(tag)
            self._logs.take_changes()
            self._logs.settle(tag)

    async def _read(self, log: BuildLog) -> None:
        log.was_requested = True
        try:
            await log.reader.step()
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            had_failed = log.uuid in self._logs.failed
            self._logs.failed[log.uuid] = error
            if not self._patience.outlasts_part(error, repeated=had_failed):
                raise
            self._take_failure(log, error)
        else:
            self._logs.failed.pop(log.uuid, None)
            log.failure_logged = False
            if not log.reader.is_queued:  # else the tracker knew the state, and no request was made
                self._patience.succeeded()
        finally:
            self._logs.requested(log)

    def _take_failure(self, log: BuildLog, error: BuildsError) -> None:
        # An outage is reported once for all logs, not for each.
        if not log.failure_logged and not self._patience.is_tried:
            log.failure_logged = True
            logger.warning("the log of build %s can't be read: %s", log.uuid, str(error))
        if isinstance(error, NotFoundError):  # the build itself is gone
            log.is_gone = True
            self._logs.failed.pop(log.uuid, None)
            if log.build is None:  # a TailEnd needs a build, and none is known
                self._logs.drop(log)

    async def _find_workers(self, account: AccountWorkers) -> None:
        for tag in await account.find(self._tracker):
            self._schedule.add_worker(tag, self._clock.now())

    async def _take_event(self, events: EventStream) -> None:
        """Take the next event, which acknowledges the one before. Its build is scheduled by then."""
        try:
            event = await anext(events)
        except StopAsyncIteration:
            self._events = None  # the client is closing, and the stream would end again at once
            return
        log = self._logs.get(event.build_uuid)
        if log is not None and log.build is not None:
            self._tracker.hear(log.tag, updated(log.build, event))
            self._logs.take_changes()
        elif event.build_uuid not in self._foreign:
            self._schedule.add_single(event.build_uuid)

    def _read_later(self, build_uuid: str, error: BuildsError) -> None:
        """Try again after a temporary error, until a lookup of all Workers has made up for it."""
        now = self._clock.now()
        if build_uuid not in self._unread:
            logger.warning("build %s, named by an event, can't be read: %s", build_uuid, str(error))
        if error.transient and now < self._unread.setdefault(build_uuid, now) + SAFETY_NET:
            self._schedule.set_single(build_uuid, now + LONGEST_PAUSE)
        else:
            self._unread.pop(build_uuid, None)

    async def _get(self, build_uuid: str) -> None:
        """Get a build that an event has named."""
        try:
            build = await self._source.get(build_uuid)
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            if not self._patience.outlasts_part(error, repeated=build_uuid in self._unread):
                raise
            self._read_later(build_uuid, error)
            return
        self._unread.pop(build_uuid, None)
        self._patience.succeeded()
        tag = normalized_id((build.trigger and build.trigger.external_script_id) or "")
        if tag not in self._tracker:
            if self._account is None or not tag:
                self._foreign[build_uuid] = None
                if len(self._foreign) > _FOREIGN_BUILDS:
                    del self._foreign[next(iter(self._foreign))]
                return
            self._tracker.add_new(tag)
            self._schedule.add_worker(tag, self._clock.now() + SAFETY_NET)
        elif tag not in self._tracker.marks:
            self._schedule.add_worker(tag, -inf)  # its first lookup is the most urgent one
        self._tracker.hear(tag, build)
        self._logs.take_changes()
