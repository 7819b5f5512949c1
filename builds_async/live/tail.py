"""The logs of many Workers as one stream."""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

import msgspec

from builds_async.errors import AuthenticationError, BuildsError, NotFoundError, PermissionDeniedError
from builds_async.live.background import take_note
from builds_async.live.backlog import Backlog
from builds_async.live.follow import LogFollower, LogSource
from builds_async.live.tracker import BuildChange, Tracker, WatchSource, WorkerMark
from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPage, LogPosition
from builds_async.session.clock import Clock
from builds_async.session.ids import normalized_id

logger = logging.getLogger("builds_async")

MAX_AT_ONCE = 10
"""How many logs are asked for at the same time, and so how many pages are held at the most."""


class TailSource(WatchSource, LogSource, Protocol):
    """What is asked for statuses and for logs."""


class TailLine(msgspec.Struct, frozen=True):
    """One line of one build's log. `build` is as last seen.

    `external_script_id` is the Worker's tag as the caller wrote it.
    """

    external_script_id: str
    build: Build
    line: LogLine


class TailLog(msgspec.Struct, frozen=True):
    """How far the log of one build was given out."""

    external_script_id: str
    position: LogPosition


class TailPosition(msgspec.Struct, frozen=True):
    """How far a tail has come: the newest build seen of each Worker, and the place in each open log.

    `msgspec.json.encode(position)` and `msgspec.json.decode(data, type=TailPosition)` store it and read it.
    """

    workers: dict[str, WorkerMark | None] = {}
    logs: dict[str, TailLog] = {}


class BuildTail:
    """The lines of all builds of many Workers, merged, as an endless async iterator of `TailLine`.

    It begins with the builds that run now, from their first line or, with `tail`, from the last so many lines
    that are there, and picks up each new build by itself.
    (Where the latest build of a Worker has stopped at first, none is looked for behind it.) Of one build
    every line comes once and in order, as from `LogFollower`; lines of different builds come as they are
    fetched. One look at the latest builds, every `interval` seconds and 20 Workers in a request, stands in
    for the status polls of all logs.

    Back-pressure: nothing more is asked for while lines are in hand, and at most 10 logs at the same time,
    so a slow reader slows the polling and memory stays bounded.

    `position` is one JSON-able value. A tail that starts with it gives exactly the lines that are left, also
    those of builds that began, or ended, while nobody was tailing.

    A class, not a generator: after a `break`, a time-out, a cancel or an error the next loop goes on and
    loses nothing. Requests on their way may then still come in; `async with`, `aclose()` and closing the
    client end them. Wrong credentials are raised. `failures` has what else went wrong, by the tag of a
    Worker or the UUID of a build: those are asked again, the others go on.
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
    ) -> None:
        if not (interval > 0 and poll_interval > 0 and max_poll_interval > 0):
            raise ValueError(
                f"intervals are seconds above 0, not {interval}, {poll_interval} and {max_poll_interval}"
            )
        start = TailPosition() if start is None else start
        if not isinstance(start, TailPosition):
            raise TypeError(f"start is a TailPosition, not {type(start).__name__}: decode it with msgspec")
        if tail is not None:
            Backlog(tail)  # a ValueError now, not when the first log opens
        self._source = source
        self._clock = clock
        self._tail = tail
        self._interval = interval
        self._pace = (poll_interval, max_poll_interval)
        self._tracker = Tracker(source, external_script_ids, clock, start.workers)
        self._known = dict(self._tracker.marks)
        self._streams: dict[str, _Stream] = {}
        self._ready: deque[_Stream] = deque()
        self._failed: dict[str, BuildsError] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}  # by build, "" is the look
        self._look_due = clock.now()
        self._alarm: asyncio.Future[None] | None = None  # what a reader waits for, with the tasks
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
        self._take_changes()
        logs = {uuid: TailLog(stream.tag, stream.log.position) for uuid, stream in self._streams.items()}
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
                self._launch()
                await self._wait()
        finally:
            self._reading = False
        return line

    async def aclose(self) -> None:
        """End the requests on their way. The position stays good; reading on is a RuntimeError."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()

    def _next_in_hand(self) -> TailLine | None:
        while self._ready:
            stream = self._ready[0]
            if (line := stream.log.next_in_hand()) is not None:
                build = stream.build or stream.log.build
                return TailLine(self._tracker.spelling(stream.tag), build, line)
            self._ready.popleft()
            if stream.log.ended:
                self._close(stream)
        return None

    def _launch(self) -> None:
        """Begin what is due: the look, and as many logs as may be at once, the longest due first."""
        now = self._clock.now()
        busy = set(self._tasks.values())
        if self._look_due <= now and "" not in busy:
            self._spawn("", self._look())
        idle = [stream for uuid, stream in self._streams.items() if uuid not in busy]
        due = sorted((it for it in idle if it.log.due <= now), key=lambda it: it.log.due)
        for stream in due[: MAX_AT_ONCE - len(busy - {""})]:
            self._spawn(stream.uuid, self._step(stream))

    def _spawn(self, name: str, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(take_note)
        self._tasks[task] = name

    async def _wait(self) -> None:
        """Until something that was begun is done, or something else falls due."""
        alarm = asyncio.ensure_future(self._clock.sleep(self._next_due() - self._clock.now()))
        self._alarm = alarm
        try:
            done, _ = await asyncio.wait({alarm, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
        for task in done - {alarm}:
            self._tasks.pop(task, None)
            if not task.cancelled():
                task.result()  # wrong credentials, and defects

    def _next_due(self) -> float:
        busy = set(self._tasks.values())
        moments = [stream.log.due for uuid, stream in self._streams.items() if uuid not in busy]
        if len(busy - {""}) >= MAX_AT_ONCE:
            moments.clear()
        if "" not in busy:
            moments.append(self._look_due)
        return min(moments, default=self._clock.now() + self._interval)

    async def _look(self) -> None:
        due = self._clock.now() + self._interval
        try:
            await self._tracker.look()
        finally:
            self._look_due = due
            self._take_changes()

    async def _step(self, stream: "_Stream") -> None:
        try:
            await stream.log.step()
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            if stream.uuid not in self._failed:
                logger.warning("the log of build %s could not be asked for: %s", stream.uuid, str(error))
            self._failed[stream.uuid] = error
            if isinstance(error, NotFoundError):  # the build itself is gone
                self._close(stream)
            return
        self._failed.pop(stream.uuid, None)
        self._ready.append(stream)

    def _take_changes(self) -> None:
        """Open a log for each build that is new; tell the others how their build is."""
        while self._tracker.changes:
            change = self._tracker.changes.popleft()
            build, tag = change.build, normalized_id(change.external_script_id)
            if build.build_uuid in self._streams:
                self._streams[build.build_uuid].build = build
            elif change.is_new and not self._is_past(change):
                tail = self._tail if build.build_uuid in self._tracker.present else None
                self._open(tag, build.build_uuid, build, LogPosition(), tail)

    def _is_past(self, change: BuildChange) -> bool:
        """Whether a build that is reported for the first time is none of ours."""
        mark = self._known.get(normalized_id(change.external_script_id))
        if mark is not None and mark.build_uuid == change.build.build_uuid:
            return True  # given out before this start, or open again by its position
        return change.build.is_stopped and change.build.build_uuid in self._tracker.present

    def _open(
        self, tag: str, build_uuid: str, build: Build | None, position: LogPosition, tail: int | None
    ) -> None:
        stream = _Stream(tag, build_uuid, build, self._source, self._tracker)
        low, high = self._pace
        stream.log = LogFollower(
            stream,
            build_uuid,
            clock=self._clock,
            start=position,
            tail=tail,
            poll_interval=low,
            max_poll_interval=high,
        )
        self._streams[build_uuid] = stream

    def _close(self, stream: "_Stream") -> None:
        self._streams.pop(stream.uuid, None)
        self._failed.pop(stream.uuid, None)


class _Stream:
    """One log, and the source of its follower: its build is as the tracker last saw it."""

    log: LogFollower

    def __init__(self, tag: str, uuid: str, build: Build | None, source: LogSource, tracker: Tracker) -> None:
        self.tag = tag
        self.uuid = uuid
        self.build = build
        self._source = source
        self._tracker = tracker

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime | None]:
        """The tracker's last look at the build, which has no date; else a look of its own."""
        seen_on = None
        if self.build is None or not self._tracker.tracks(self.tag, build_uuid):
            self.build, seen_on = await self._source.get_dated(build_uuid)
        return self.build, seen_on

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        return await self._source.logs(build_uuid, cursor=cursor)
