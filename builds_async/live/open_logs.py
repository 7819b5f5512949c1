"""The open logs of a tail: opening them, delivering their buffered lines, dropping them. No I/O."""

from collections import deque
from collections.abc import Iterator, Mapping
from operator import length_hint

from builds_async.errors import BuildsError
from builds_async.live.build_log import BuildLog
from builds_async.live.horizon import Horizon
from builds_async.live.log_reader import LogReader
from builds_async.live.schedule import Schedule
from builds_async.live.sources import LogSource
from builds_async.live.tracker import Tracker
from builds_async.models.builds import Build, BuildStatus, usable_date
from builds_async.models.changes import BuildChange
from builds_async.models.logs import LogPosition
from builds_async.models.tail import TailEnd, TailItem, TailLine, TailLog, TailPosition
from builds_async.session.clock import Clock
from builds_async.session.ids import normalized_id


class OpenLogs:
    """Opens a log for each new build that the tracker reports, and drops it after its end was delivered.

    Each change of the moment at which a log is due goes to the schedule at once. `next_item` returns buffered
    lines and ends; requests fill the buffers.
    """

    def __init__(
        self,
        source: LogSource,
        tracker: Tracker,
        schedule: Schedule,
        clock: Clock,
        *,
        start: TailPosition,
        tail: int | None,
        poll_interval: float,
        max_poll_interval: float,
    ) -> None:
        self.failed: dict[str, BuildsError] = {}
        """The error of each log whose last request failed, by build UUID."""

        self.horizon: Horizon = Horizon()
        """For how long the builds may still need polls."""

        self._source = source
        self._tracker = tracker
        self._schedule = schedule
        self._clock = clock
        self._tail = tail
        self._poll_interval = poll_interval
        self._max_poll_interval = max_poll_interval
        self._known = dict(tracker.marks)  # the builds up to which an earlier tail had seen all
        dates = [usable_date(mark.created_on) for mark in start.workers.values() if mark is not None]
        self._newest_known = max((date for date in dates if date is not None), default=None)
        self._is_resumed = bool(start.workers)
        self._logs: dict[str, BuildLog] = {}
        self._restored: dict[str, list[BuildLog]] = {}  # by Worker, until its first lookup
        # By Worker, the builds whose end was delivered, but that the mark of the Worker does not cover yet.
        self._ended: dict[str, list[str]] = {}
        self._ready: deque[BuildLog] = deque()  # logs that may have lines buffered, or an end to deliver
        self.restore(start)

    def restore(self, start: TailPosition, *, only: str | None = None) -> None:
        """Open the logs of a position, with `only` those of one Worker, which was added just now."""
        if only is not None and only in self._tracker.marks:
            self._known[only] = self._tracker.marks[only]
        for build_uuid, stored in start.logs.items():
            tag = normalized_id(stored.external_script_id)
            if tag not in self._tracker or only not in {None, tag}:
                continue
            log = self._open(tag, build_uuid, None, stored.position, None)
            if stored.ended:
                log.end_delivered = True
                self._ended.setdefault(tag, []).append(build_uuid)
            else:
                self._restored.setdefault(tag, []).append(log)

    def get(self, build_uuid: str) -> BuildLog | None:
        """The log of a build; None if it has none, or was dropped."""
        return self._logs.get(build_uuid)

    @property
    def position(self) -> Mapping[str, TailLog]:
        """The position in each log, by build UUID."""
        return {
            uuid: TailLog(log.tag, log.reader.position, ended=log.end_delivered)
            for uuid, log in self._logs.items()
        }

    # Delivering.

    @property
    def has_next(self) -> bool:
        """Whether a line or an end can be delivered."""
        while self._ready:
            log = self._ready[0]
            has_end = log.is_over and not log.end_delivered
            if log.build is not None and (has_end or length_hint(log.reader.buffered)):
                return True
            self._ready.popleft()
        return False

    def next_item(self) -> TailItem | None:
        """The next line or end; None if nothing is buffered."""
        if not self.has_next:
            return None
        log = self._ready[0]
        build = log.build
        assert build is not None  # noqa: S101  # `has_next` is true only then
        tag = self._tracker.spelling(log.tag)
        for line in log.reader.buffered:
            return TailLine(tag, build, line, log.reader.position.number)
        log.end_delivered = True
        if self._tracker.is_settled(log.tag):
            self.drop(log)
        else:  # a stored position must record this end itself, until its marks cover the build
            self._ended.setdefault(log.tag, []).append(log.uuid)
        return TailEnd(tag, build, log.reader.complete and not log.is_gone)

    # Opening and dropping.

    def take_changes(self) -> None:
        """Open a log for each new build, and pass the state of the others to their logs."""
        while self._tracker.changes:
            change = self._tracker.take()
            build, tag = change.build, normalized_id(change.external_script_id)
            if tag not in self._tracker:
                continue
            self.horizon.learn(tag, build)
            if build.build_uuid in self._logs:
                self.see(tag, build)
            elif change.is_new and not self._is_past(tag, change):
                # `tail` applies only to logs that exist at the beginning: a new build is delivered whole.
                tail = self._tail if build.build_uuid in self._tracker.present else None
                self.schedule(self._open(tag, build.build_uuid, build, LogPosition(), tail))

    def see(self, tag: str, build: Build) -> None:
        """Take the present state of a build that has a log, or that is certainly new."""
        log = self._logs.get(build.build_uuid)
        if log is None:
            self.schedule(self._open(tag, build.build_uuid, build, LogPosition(), None))
            return
        has_stopped = build.is_stopped and not (log.build is not None and log.build.is_stopped)
        log.build = build
        if log.reader.is_queued and build.status != BuildStatus.QUEUED:
            log.reader.pace.due = self._clock.now()  # it has begun: its lines are due now
        if has_stopped:
            # Nothing more will be written, so the log can be drained without a pause.
            log.reader.pace.due = min(log.reader.pace.due, self._clock.now())
        self.schedule(log)

    def looked_up(self, tag: str) -> None:
        """A Worker was looked up: continue its logs from the stored position, and forget the ended ones."""
        for log in self._restored.pop(tag, ()):
            self.schedule(log)
        self.settle(tag)

    def requested(self, log: BuildLog) -> None:
        """A request for a log has ended: deliver its lines, and schedule the next request."""
        log.is_busy = False
        if self._logs.get(log.uuid) is log:  # else its Worker was removed meanwhile
            self._ready.append(log)
            self.schedule(log)

    def schedule(self, log: BuildLog) -> None:
        """Set when the log is requested next."""
        if log.is_busy:
            return  # `requested` schedules it when the request in flight has ended
        if log.is_over or log.is_queued or log.end_delivered:
            self._schedule.hold_log(log.uuid)
            return
        if log.build is not None and log.running_since is None:
            log.running_since = self._clock.now()
        if log.was_requested:
            self._schedule.set_log(log.uuid, log.reader.pace.due)
        else:
            self._schedule.open_log(log.uuid)

    def settle(self, tag: str) -> None:
        """Forget the logs whose end was delivered, once the mark of their Worker covers them."""
        if self._tracker.is_settled(tag):
            for uuid in self._ended.pop(tag, ()):
                if uuid in self._logs:
                    self.drop(self._logs[uuid])

    def drop(self, log: BuildLog) -> None:
        """Forget a log."""
        self._logs.pop(log.uuid, None)
        self.failed.pop(log.uuid, None)
        self._schedule.hold_log(log.uuid)

    def remove_worker(self, tag: str) -> None:
        """Forget all logs of a Worker, with their buffered lines."""
        self._known.pop(tag, None)
        for log in [log for log in self._logs.values() if log.tag == tag]:
            self.drop(log)
        for by_tag in (self._restored, self._ended):
            by_tag.pop(tag, None)
        self._ready = deque(log for log in self._ready if log.tag != tag)

    def polled_for(self, now: float) -> float | None:
        """For how many seconds the open logs will need polls; None if there is none."""
        logs = [log for log in self._logs.values() if log.build is not None and not log.is_over]
        queued = any(log.running_since is None for log in logs)
        return self.horizon.seconds(now, _running(logs), queued=queued)

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

    def _is_past(self, tag: str, change: BuildChange) -> bool:
        """Whether a build that is reported for the first time belongs to the time before this tail."""
        build = change.build
        mark = self._known.get(tag)
        if mark is not None and mark.build_uuid == build.build_uuid:
            return True  # an earlier tail delivered it, or its log is open by the stored position
        if not build.is_stopped or build.build_uuid not in self._tracker.present:
            return False
        return not (self._is_resumed and self._may_be_unseen(build))

    def _may_be_unseen(self, build: Build) -> bool:
        """Whether a build may have ended after the stored position was taken. Its Worker is not in there.

        The position has no date of its own. The newest build in it is the best lower bound for that date, so
        a build is repeated rather than lost.
        """
        stopped = usable_date(build.stopped_on)
        return self._newest_known is None or stopped is None or stopped >= self._newest_known


def _running(logs: list[BuildLog]) -> Iterator[tuple[str, float]]:
    return ((log.tag, log.running_since) for log in logs if log.running_since is not None)
