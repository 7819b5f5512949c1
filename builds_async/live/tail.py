"""The logs of many Workers as one stream."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from math import inf
from operator import length_hint
from types import TracebackType
from typing import Self

from builds_async.errors import AuthenticationError, BuildsError, NotFoundError, PermissionDeniedError
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.background import Tasks
from builds_async.live.backlog import Backlog
from builds_async.live.build_log import BuildLog
from builds_async.live.events import EventStream
from builds_async.live.horizon import Horizon
from builds_async.live.log_reader import LogReader
from builds_async.live.patience import Patience, concerns_all
from builds_async.live.schedule import Choice, FollowUp, Log, Look, Schedule, Single
from builds_async.live.sources import TailSource
from builds_async.live.tracker import Tracker
from builds_async.models.builds import Build, BuildStatus, usable_date
from builds_async.models.changes import BuildChange
from builds_async.models.events import updated
from builds_async.models.logs import LogPosition
from builds_async.models.tail import TailEnd, TailItem, TailLine, TailLog, TailPosition
from builds_async.session.budget import Budget
from builds_async.session.clock import Clock
from builds_async.session.ids import checked_tags, normalized_id
from builds_async.session.numbers import seconds, whole

logger: logging.Logger = logging.getLogger("builds_async")

MAX_AT_ONCE = 10
"""How many requests are under way at the same time, and so the most pages that are held in memory."""

SAFETY_NET = 600.0
"""Seconds between two looks at a Worker whose builds are found by events: an event may get lost."""

# Names of tasks; those of chosen requests do not matter.
_LIST = "list"
_EVENT = "event"
_CHOSEN = "chosen"

_LONGEST_WAIT = 1.0
_HORIZON_EVERY = 1.0
_IGNORED = 1000


class BuildTail:
    """The lines and the ends of all builds of many Workers, merged, as an endless async iterator.

    It begins with the builds that run now, from their first line or, with `tail`, from their last `tail`
    lines, and picks up each new build by itself. (Where the latest build of a Worker has already stopped,
    older ones are not looked for.) Every line of a build comes once and in order, as a `TailLine`, and behind
    the last one comes a `TailEnd`, also for a build that never had a line because it was skipped or canceled.
    Lines of different builds come as they are fetched.

    Requests go where lines are. One look at the latest builds, every `interval` seconds and 20 Workers in a
    request, replaces the status polls of all logs; the log of a queued build is not asked for, and its
    Worker is looked at every 2.5 s. A log is opened as soon as a look shows its build. What to ask is
    decided when the rate budget lets a request go, so nothing urgent waits behind something that is not.

    With `events`, builds and their ends are found by the events of a queue instead, and looks become a safety
    net: one at the beginning, then one every 10 minutes. An event is acknowledged once the tail knows of its
    build. A tail that starts with a `position` looks at all Workers first, so no event is needed twice.

    Back-pressure: nothing more is asked for while lines are in hand, and at most 10 requests are under way,
    so a slow reader slows the polling and memory stays bounded.

    `position` is one value that can be stored as JSON. A tail that starts with it gives exactly the lines and
    ends that are left, even those of builds that began, or ended, while no tail was running. Of a Worker that
    the position does not know, a build that is over counts as well, unless it was over before the newest
    build that the position knows.

    Workers may be added and removed at any time. Without ids a tail takes all Workers of the account. It
    lists them once a minute, which is one request, and takes in new ones with all of their builds.

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
        budget: Budget | None = None,
        account: AccountWorkers | None = None,
        events: EventStream | None = None,
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
        self._budget = budget
        self._account = account
        self._events = events
        ids = start.workers if account is not None else external_script_ids
        self._tracker = Tracker(source, ids, clock, start.workers)
        self._known = dict(self._tracker.marks)  # what an earlier tail had seen
        dates = [usable_date(mark.created_on) for mark in start.workers.values() if mark is not None]
        self._newest_known = max((date for date in dates if date is not None), default=None)
        self._is_resumed = bool(start.workers)
        self._schedule = Schedule(
            self._interval if events is None else max(SAFETY_NET, self._interval), looks_find=events is None
        )
        for tag in self._tracker.ids:
            self._schedule.add_worker(tag, clock.now())
        self._logs: dict[str, BuildLog] = {}
        self._restored: dict[str, list[BuildLog]] = {}  # by Worker, until it was looked at
        self._ended: dict[
            str, list[str]
        ] = {}  # builds by Worker whose end was given before a mark covers them
        self._followed_at: dict[str, float] = {}  # when the last follow-up of a Worker began
        self._ready: deque[BuildLog] = deque()  # logs that may have lines in hand, or an end to be given
        self._ignored: dict[str, None] = {}  # builds of other Workers that events have named
        self._failed: dict[str, BuildsError] = {}
        self._horizon = Horizon()
        self._horizon_due = clock.now()
        # Requests run in tasks, not in the reader: a timeout around one line must not cut off other logs.
        self._tasks = Tasks(clock)
        self._under_way = 0
        self._turn_at: float | None = None
        self._has_early = False
        self._reading = False
        self._closed = False
        self._restore(start)

    def _restore(self, start: TailPosition, *, only: str | None = None) -> None:
        for build_uuid, stored in start.logs.items():
            tag = normalized_id(stored.external_script_id)
            if tag not in self._tracker or only not in {None, tag}:
                continue
            log = self._open(tag, build_uuid, None, stored.position, None)
            if stored.ended:
                log.end_given = True
                self._ended.setdefault(tag, []).append(build_uuid)
            else:
                self._restored.setdefault(tag, []).append(log)

    @property
    def failures(self) -> Mapping[str, BuildsError]:
        """What could not be asked for when it was last tried, by tag or build UUID."""
        return {**self._tracker.failures, **self._failed}

    @property
    def position(self) -> TailPosition:
        """The place behind the last line or end given out, in all logs."""
        self._take_changes()  # else a build could be behind the mark of its Worker and have no log yet
        logs = {
            uuid: TailLog(log.tag, log.reader.position, ended=log.end_given)
            for uuid, log in self._logs.items()
        }
        return TailPosition(dict(self._tracker.marks), logs)

    @property
    def sure_position(self) -> TailPosition:
        """`position` without the marks of Workers whose first look may hide other builds that run.

        Where another process goes on at any moment: it then looks at such a Worker as this one did.
        """
        return TailPosition(self._tracker.sure_marks, self.position.logs)

    def position_of(self, external_script_id: str) -> TailPosition:
        """The part of `sure_position` that belongs to one Worker; an empty one if it is not there."""
        self._take_changes()
        tag = normalized_id(external_script_id)
        marks = self._tracker.sure_marks
        logs = {
            uuid: TailLog(log.tag, log.reader.position, ended=log.end_given)
            for uuid, log in self._logs.items()
            if log.tag == tag
        }
        return TailPosition({tag: marks[tag]} if tag in marks else {}, logs)

    async def add(self, external_script_id: str, *, start: TailPosition | None = None) -> None:
        """Take in another Worker, with the builds that run now. Does nothing if it is there already.

        With `start`, the Worker goes on where that position has it. It may be called while another task
        reads. ValueError if it is no tag.
        """
        (checked,) = checked_tags([external_script_id])
        tag = normalized_id(checked)
        if not self._tracker.add(checked, {} if start is None else start.workers):
            return
        if start is not None:
            if tag in self._tracker.marks:
                self._known[tag] = self._tracker.marks[tag]
            self._restore(start, only=tag)
        self._schedule.add_worker(tag, self._clock.now())
        self._tasks.wake()

    async def remove(self, external_script_id: str) -> None:
        """Take out a Worker: nothing more of it comes, and `position` forgets it.

        Does nothing if it is not there. It may be called while another task reads. ValueError if it is no
        tag.
        """
        (checked,) = checked_tags([external_script_id])
        tag = normalized_id(checked)
        self._take_changes()
        self._tracker.remove(tag)
        self._schedule.remove_worker(tag)
        self._known.pop(tag, None)
        for log in [log for log in self._logs.values() if log.tag == tag]:
            self._drop(log)
        for by_tag in (self._restored, self._ended):
            by_tag.pop(tag, None)
        self._ready = deque(log for log in self._ready if log.tag != tag)
        self._tasks.wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TailItem:
        await self._fetch()
        item = self._next_in_hand()
        if item is None:
            raise StopAsyncIteration
        return item

    async def read(self, *, most: int | None = None) -> tuple[TailItem, ...]:
        """The next lines and ends, at least one, as many as are there without waiting; `()` without Workers.

        At most `most` of them; None for no limit. Waits while there is none. Cancelling it is safe.
        """
        if most is not None:
            whole("most", most, at_least=1)
        await self._fetch()
        items = list[TailItem]()
        while (most is None or len(items) < most) and (item := self._next_in_hand()) is not None:
            items.append(item)
        return tuple(items)

    async def aclose(self) -> None:
        """End the requests on their way. The position stays good; reading on is a RuntimeError."""
        self._closed = True
        if self._budget is not None:
            self._budget.set_horizon(self, None)
        await self._tasks.aclose()
        if self._events is not None:
            await self._events.aclose()

    # Giving out.

    async def _fetch(self) -> None:
        """Wait until something is in hand; return without if there are no Workers."""
        if self._reading:
            raise RuntimeError("another task is already reading this tail; give each its own")
        self._reading = True
        try:
            while not self._has_in_hand():
                if not self._tracker and self._account is None:
                    return
                if self._closed:
                    raise RuntimeError("this tail is closed")
                await self._start_due()
                if not self._has_in_hand():
                    await self._tasks.wait_until(self._next_moment())
        finally:
            self._reading = False

    def _has_in_hand(self) -> bool:
        while self._ready:
            log = self._ready[0]
            if log.build is not None and (
                length_hint(log.reader.hand) or (log.is_over and not log.end_given)
            ):
                return True
            self._ready.popleft()
        return False

    def _next_in_hand(self) -> TailItem | None:
        if not self._has_in_hand():
            return None
        log = self._ready[0]
        build = log.build
        assert build is not None  # noqa: S101  # as `_has_in_hand` has seen
        tag = self._tracker.spelling(log.tag)
        for line in log.reader.hand:
            return TailLine(tag, build, line, log.reader.position.number)
        log.end_given = True
        if self._tracker.is_settled(log.tag):
            self._drop(log)
        else:  # a position has to say that this end was given, as long as its marks do not
            self._ended.setdefault(log.tag, []).append(log.uuid)
        return TailEnd(tag, build, log.reader.complete and not log.is_gone)

    # Deciding.

    async def _start_due(self) -> None:
        """Start requests, the most urgent first, as many as the budget lets go now."""
        self._start_others()
        while self._under_way < MAX_AT_ONCE and not self._has_in_hand() and not self._closed:
            if self._tasks.has_failed:  # wrong credentials: what is started now would fail the same way
                return
            now = self._clock.now()
            if now < self._patience.due:  # an outage is being sat out
                return
            self._say_horizon(now)
            is_early = self._wait_for_budget(now) > 0
            if is_early and not self._may_queue(now):
                return
            choice = self._schedule.choose(now)
            if choice is None:
                return
            if isinstance(choice, Log):
                # Now, because others may schedule it before its task begins.
                self._logs[choice.build_uuid].is_busy = True
            self._turn_at = None
            self._has_early = self._has_early or is_early
            self._under_way += 1
            self._tasks.start(_CHOSEN, self._run(choice, now, is_early=is_early))
            await asyncio.sleep(0)  # the budget counts it before the next one is chosen

    def _start_others(self) -> None:
        """Start what is not chosen: the list of the account's Workers, and the next event."""
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
        """Whether a request is started though it has to wait.

        One at a time, when the moment has passed at which it should have gone: another verb was quicker, and
        would be so for ever. And one of those that wait for long: then the budget says so in the log.
        """
        return not self._has_early and self._turn_at is not None and self._turn_at <= now

    def _next_moment(self) -> float:
        """When a request may be started that is not started now, unless another one is over before."""
        now = self._clock.now()
        moment = now + self._interval
        if self._account is not None:
            moment = min(moment, self._account.pace.due)
        if self._under_way < MAX_AT_ONCE and (due := self._schedule.next_due(now)) < moment:
            moment = due
            if due <= now:  # the budget has no room
                turn = now if self._turn_at is None else self._turn_at
                moment = (
                    turn if turn > now else now + min(_LONGEST_WAIT, max(self._wait_for_budget(now), 0.01))
                )
            moment = max(moment, self._patience.due)
        return moment

    def _say_horizon(self, now: float) -> None:
        """Say to the budget for how long polls will be needed."""
        if self._budget is None or now < self._horizon_due:
            return
        self._horizon_due = now + _HORIZON_EVERY
        logs = [log for log in self._logs.values() if log.build is not None and not log.is_over]
        queued = any(log.running_since is None for log in logs)
        running = ((log.tag, log.running_since) for log in logs if log.running_since is not None)
        self._budget.set_horizon(self, self._horizon.seconds(now, running, queued=queued))

    # Asking.

    async def _run(self, choice: Choice, now: float, *, is_early: bool) -> None:
        try:
            match choice:
                case Look(tags):
                    await self._look(tags, now)
                case FollowUp(tag):
                    await self._follow_up(tag)
                case Single(build_uuid):
                    await self._ask_for(build_uuid)
                case Log(build_uuid):
                    if (log := self._logs.get(build_uuid)) is not None:  # else its Worker was just removed
                        await self._step(log)
        finally:
            self._under_way -= 1
            if is_early:
                self._has_early = False

    async def _look(self, tags: tuple[str, ...], asked_at: float) -> None:
        try:
            await self._tracker.look(tags)
        finally:
            # Even after an error: a reader that retries in a loop is throttled, and what was found is used.
            self._take_changes()
            for tag in tags:
                self._take_look(tag, asked_at)
        failures = self._tracker.failures
        failed = [failures[it] for tag in tags if (it := self._tracker.spelling(tag)) in failures]
        self._patience.weigh(failed, parts=len(tags))

    def _take_look(self, tag: str, asked_at: float) -> None:
        """Go on with what a look has shown of a Worker, or has failed to."""
        if tag not in self._tracker:
            return
        if (arrived := self._tracker.arrived(tag)) is not None:
            self._see(tag, arrived)
        latest = self._tracker.latest(tag)
        has_failed = self._tracker.spelling(tag) in self._tracker.failures
        is_queued = latest is not None and latest.status == BuildStatus.QUEUED and not latest.is_stopped
        self._schedule.looked(tag, asked_at, queued=is_queued and not has_failed)
        if tag in self._tracker.unfinished:
            # A Worker with a queued build is looked at often; its older builds are asked for at the usual
            # pace.
            urgent = (
                self._tracker.hides_work(tag)
                and self._followed_at.get(tag, -inf) + self._interval <= asked_at
            )
            self._schedule.add_follow_up(tag, urgent=urgent)
        for log in self._restored.pop(tag, ()):
            self._schedule_log(log)
        self._settle(tag)

    async def _follow_up(self, tag: str) -> None:
        self._followed_at[tag] = self._clock.now()
        try:
            await self._tracker.follow_up(tag)
        finally:
            self._schedule.followed_up(tag)
            self._take_changes()
            self._settle(tag)

    async def _step(self, log: BuildLog) -> None:
        log.was_asked = True
        try:
            await log.reader.step()
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            self._note_failure(log, error)
            if concerns_all(error) and not self._patience.outlasts(error):
                raise
        else:
            self._failed.pop(log.uuid, None)
            if not log.reader.is_queued:  # else nothing was requested: the look had its state
                self._patience.succeeded()
        finally:
            log.is_busy = False
            if self._logs.get(log.uuid) is log:  # else its Worker was removed meanwhile
                self._ready.append(log)
                self._schedule_log(log)

    def _note_failure(self, log: BuildLog, error: BuildsError) -> None:
        if log.uuid not in self._failed:
            logger.warning("the log of build %s could not be asked for: %s", log.uuid, str(error))
        self._failed[log.uuid] = error
        if isinstance(error, NotFoundError):  # the build itself is gone
            log.is_gone = True
            self._failed.pop(log.uuid, None)
            if log.build is None:  # nothing is known of it that an end could say
                self._drop(log)

    async def _find_workers(self, account: AccountWorkers) -> None:
        for tag in await account.find(self._tracker):
            self._schedule.add_worker(tag, self._clock.now())

    async def _take_event(self, events: EventStream) -> None:
        """Take the next event, which acknowledges the one before: its build is on the schedule by then."""
        try:
            event = await anext(events)
        except StopAsyncIteration:  # the client was closed
            return
        log = self._logs.get(event.build_uuid)
        if log is not None and log.build is not None:
            self._tracker.hear(log.tag, updated(log.build, event))
            self._take_changes()
        elif event.build_uuid not in self._ignored:
            self._schedule.add_single(event.build_uuid)

    async def _ask_for(self, build_uuid: str) -> None:
        """Ask for a build that an event has named."""
        try:
            build = await self._source.get(build_uuid)
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:  # the next look makes up for it
            if concerns_all(error) and not self._patience.outlasts(error):
                raise
            logger.warning("the build %s could not be asked for: %s", build_uuid, str(error))
            return
        self._patience.succeeded()
        tag = normalized_id((build.trigger and build.trigger.external_script_id) or "")
        if tag not in self._tracker:
            if self._account is None or not tag:
                self._ignored[build_uuid] = None
                if len(self._ignored) > _IGNORED:
                    del self._ignored[next(iter(self._ignored))]
                return
            self._tracker.add_new(tag)
            self._schedule.add_worker(tag, self._clock.now() + SAFETY_NET)
        elif tag not in self._tracker.marks:
            self._schedule.add_worker(tag, -inf)  # its first look is the most urgent one
        self._tracker.hear(tag, build)
        self._take_changes()

    # Opening and closing.

    def _take_changes(self) -> None:
        """Open a log for each new build; pass the state of the others on to their logs."""
        while self._tracker.changes:
            change = self._tracker.take()
            build, tag = change.build, normalized_id(change.external_script_id)
            if tag not in self._tracker:
                continue
            self._horizon.learn(tag, build)
            if build.build_uuid in self._logs:
                self._see(tag, build)
            elif change.is_new and not self._is_past(tag, change):
                # `tail` is for logs that exist at the beginning; of a build that is new all lines are wanted.
                tail = self._tail if build.build_uuid in self._tracker.present else None
                self._schedule_log(self._open(tag, build.build_uuid, build, LogPosition(), tail))

    def _see(self, tag: str, build: Build) -> None:
        """Take the present state of a build that is new beyond doubt, or has a log."""
        log = self._logs.get(build.build_uuid)
        if log is None:
            self._schedule_log(self._open(tag, build.build_uuid, build, LogPosition(), None))
            return
        has_stopped = build.is_stopped and not (log.build is not None and log.build.is_stopped)
        log.build = build
        if log.reader.is_queued and build.status != BuildStatus.QUEUED:
            log.reader.pace.due = self._clock.now()  # it has begun: its lines are due now
        if has_stopped:
            log.reader.pace.due = min(log.reader.pace.due, self._clock.now())  # nothing more will be written
        self._schedule_log(log)

    def _is_past(self, tag: str, change: BuildChange) -> bool:
        """Whether a build that is reported for the first time lies before the beginning of this tail."""
        build = change.build
        mark = self._known.get(tag)
        if mark is not None and mark.build_uuid == build.build_uuid:
            return True  # an earlier tail gave it, or it is open by the position
        if not build.is_stopped or build.build_uuid not in self._tracker.present:
            return False
        return not (self._is_resumed and self._is_news(build))

    def _is_news(self, build: Build) -> bool:
        """Whether a build of a Worker that the position does not know may have ended after it was taken."""
        stopped = usable_date(build.stopped_on)
        return self._newest_known is None or stopped is None or stopped >= self._newest_known

    def _open(
        self, tag: str, build_uuid: str, build: Build | None, position: LogPosition, tail: int | None
    ) -> BuildLog:
        log = BuildLog(tag, build_uuid, build, self._source, self._tracker)
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
        return log

    def _schedule_log(self, log: BuildLog) -> None:
        """Say when the log is asked for next."""
        if log.is_busy:
            return  # it is scheduled when its request is over
        if log.is_over or log.is_queued or log.end_given:
            self._schedule.hold_log(log.uuid)
            return
        if log.build is not None and log.running_since is None:
            log.running_since = self._clock.now()
        if log.was_asked:
            self._schedule.set_log(log.uuid, log.reader.pace.due)
        else:
            self._schedule.open_log(log.uuid)

    def _settle(self, tag: str) -> None:
        """Forget the logs whose end was given, once the mark of their Worker covers them."""
        if self._tracker.is_settled(tag):
            for uuid in self._ended.pop(tag, ()):
                if uuid in self._logs:
                    self._drop(self._logs[uuid])

    def _drop(self, log: BuildLog) -> None:
        self._logs.pop(log.uuid, None)
        self._failed.pop(log.uuid, None)
        self._schedule.hold_log(log.uuid)
