"""The states of the builds that one client follows or waits for, requested together."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from weakref import WeakSet, WeakValueDictionary

from builds_async.errors import BuildsError, with_call
from builds_async.live.background import SharedTask
from builds_async.live.history import is_before
from builds_async.live.patience import concerns_all
from builds_async.live.sources import BoardSource, DatedSource, Seen
from builds_async.models.builds import Build, BuildStatus, created
from builds_async.session.clock import Clock
from builds_async.session.ids import MAX_IDS, is_tag, normalized_id

MAX_AGE = 2.4
"""The maximum age, in seconds, of a state that another follower or waiter requested.

It is a little less than the 2.5 s between two lookups of a queued build, so that each lookup of a follower
gets a newer state than the lookup before.
"""

_IDLE = 60.0
"""Seconds after which a build that was not requested again is left out of shared requests."""


class OwnState:
    """The state of one build, requested by a request of its own each time."""

    def __init__(self, source: DatedSource, build_uuid: str, clock: Clock) -> None:
        self._source = source
        self._build_uuid = build_uuid
        self._clock = clock

    async def state(self, *, max_age: float) -> Seen:  # noqa: ARG002  # the protocol's
        """The build as it is now."""
        requested_at = self._clock.now()
        build, date = await self._source.get_dated(self._build_uuid)
        return Seen(build, date, requested_at)


class Board:
    """Requests the states of many builds with few requests.

    With a single build on the board, each lookup is a `get`, as if there were no board. With several, a
    lookup is one request for the latest builds of up to 20 Workers: the Worker of the build, and those with
    the oldest states. A caller that needs one of these states meanwhile waits for the same request, or takes
    its result if that is not older than the caller's `max_age`.

    A build is requested by `get` while its Worker is unknown, when a newer build of its Worker hides it, and
    when it has stopped: only `get` returns all fields. A state never moves backwards, although a response may
    come from a copy that lags.

    Each waiting caller gets its own copy of an error. A request continues while at least one caller waits for
    it; the board has no other task.
    """

    def __init__(self, source: BoardSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._builds: WeakValueDictionary[str, _Build] = WeakValueDictionary()  # alive while it has askers

    def asker(self, build_uuid: str) -> "Asker":
        """A source of one build's state, for one follower or waiter, until it is dropped."""
        key = normalized_id(build_uuid)
        build = self._builds.get(key)
        if build is None:
            build = self._builds[key] = _Build(build_uuid)
        asker = Asker(self, build)
        build.askers.add(asker)
        return asker

    async def aclose(self) -> None:
        """End the requests in flight."""
        for build in tuple(self._builds.values()):
            if build.request is not None:
                await build.request.aclose()

    async def state(self, build: "_Build", *, max_age: float) -> Seen:
        """The build as it is now, or as a shared request saw it at most `max_age` seconds ago."""
        now = build.wanted_at = self._clock.now()
        if self._is_alone(build):
            found, date = await self._source.get_dated(build.build_uuid)
            return build.take(found, date, now)
        while True:
            request = build.request
            if request is None or request.is_done:
                # The age is measured at the time of the call. A state that came while the caller waited is
                # fresh enough, however slow the response was. Otherwise a slow API would cause endless
                # requests.
                if (seen := build.seen_since(now - max_age)) is not None:
                    return seen
                request = self._send(build)
            await request.wait()
            if (errors := request.result()) and build.build_uuid in errors:
                raise with_call(errors[build.build_uuid])

    def _is_alone(self, build: "_Build") -> bool:
        if len(build.askers) > 1 or build.is_requested:
            return False
        since = self._clock.now() - _IDLE
        return not any(it.is_active(since) for it in self._builds.values() if it is not build)

    def _send(self, build: "_Build") -> "_Request":
        """Send the next request for a build, and note it in each build that it covers."""
        covered = [build]
        if build.can_share:
            since = self._clock.now() - _IDLE
            others = (
                it for it in self._builds.values() if it is not build and it.can_share and it.is_active(since)
            )
            covered += sorted((it for it in others if not it.is_requested), key=_Build.urgency)
        if len(covered) > 1:
            # The limit counts Workers, not builds: several builds of one Worker share its place.
            tags = dict.fromkeys(str(it.tag) for it in covered)
            first = set(list(tags)[:MAX_IDS])
            covered = [it for it in covered if it.tag in first]
            request: _Request = SharedTask(self._look_up(covered))
        else:
            request = SharedTask(self._get(build))
        for it in covered:
            it.request = request
        return request

    async def _get(self, build: "_Build") -> Mapping[str, BuildsError]:
        found, date = await self._source.get_dated(build.build_uuid)
        build.take(found, date, self._clock.now())
        return {}

    async def _look_up(self, builds: "Iterable[_Build]") -> Mapping[str, BuildsError]:
        """Request the latest builds of these builds' Workers; the errors, by the UUID of the build."""
        by_tag: dict[str, list[_Build]] = {}
        for build in builds:
            by_tag.setdefault(str(build.tag), []).append(build)
        result, date = await self._source.latest_dated(by_tag)
        errors: dict[str, BuildsError] = {}
        for tag, waiting in by_tag.items():
            for build in waiting:
                if (error := result.failed.get(tag)) is None:
                    build.take_latest(result.found.get(tag), date, self._clock.now())
                elif concerns_all(error):
                    errors[build.build_uuid] = error
                else:
                    # Another Worker in the same request may have caused it: `get` shows whether this build
                    # can be read.
                    build.is_hidden = build.must_get = True
        return errors


_Request = SharedTask[Mapping[str, BuildsError]]


class Asker:
    """One follower or waiter of a build. The build is on the board while it has askers."""

    def __init__(self, board: Board, build: "_Build") -> None:
        self._board = board
        self._build = build

    async def state(self, *, max_age: float) -> Seen:
        """The build as it is now, or was at most `max_age` seconds ago."""
        return await self._board.state(self._build, max_age=max_age)


class _Build:
    """The known state of one build."""

    def __init__(self, build_uuid: str) -> None:
        self.build_uuid = build_uuid
        self.askers: WeakSet[Asker] = WeakSet()
        self.seen: Seen | None = None
        self.wanted_at: float = 0.0
        self.request: _Request | None = None  # the last one that covered it
        self.tag: str | None = None  # its Worker
        self.is_hidden: bool = False  # a newer build of its Worker hides it, or the Worker can't be requested
        self.must_get: bool = False  # the last response for its Worker did not have its full state

    @property
    def is_requested(self) -> bool:
        return self.request is not None and not self.request.is_done

    @property
    def can_share(self) -> bool:
        """Whether a request for its Worker's latest build can show it."""
        has_finished = self.seen is not None and self.seen.build.is_finished
        return self.tag is not None and not (self.is_hidden or self.must_get or has_finished)

    def is_active(self, since: float) -> bool:
        return self.wanted_at >= since and not (self.seen is not None and self.seen.build.is_finished)

    def urgency(self) -> tuple[bool, float]:
        """The order in which builds join a request: queued ones first, then by the age of their state."""
        if self.seen is None:
            return False, 0.0
        return self.seen.build.status != BuildStatus.QUEUED, self.seen.at

    def seen_since(self, moment: float) -> Seen | None:
        if self.seen is None or self.must_get or self.seen.at < moment:
            return None
        return self.seen

    def take(self, found: Build, date: datetime | None, at: float) -> Seen:
        """Take the response of a `get`, and return the newest state known."""
        self.must_get = False
        self.tag = _worker_of(found) or self.tag
        return self._see(found, date, at)

    def take_latest(self, latest: Build | None, date: datetime | None, at: float) -> None:
        """Take the latest build of its Worker, which may be another one."""
        if latest is None or normalized_id(latest.build_uuid) != normalized_id(self.build_uuid):
            # An older build comes from a copy that lags: it says nothing about this one, which the next
            # response may show again.
            self.is_hidden = (
                latest is None or self.seen is None or created(latest) >= created(self.seen.build)
            )
            self.must_get = True
        elif latest.is_stopped:
            self.must_get = True  # the response lacks fields that a finished build has
        else:
            self._see(latest, date, at)

    def _see(self, found: Build, date: datetime | None, at: float) -> Seen:
        if self.seen is not None and is_before(found, self.seen.build):
            found, date = self.seen.build, self.seen.date
        self.seen = Seen(found, date, at)
        return self.seen


def _worker_of(build: Build) -> str | None:
    tag = build.trigger.external_script_id if build.trigger is not None else None
    return normalized_id(tag) if tag and is_tag(tag) else None
