"""The states of the builds that one client follows and waits for, requested together."""

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
"""Seconds for which live verbs use a state that was requested with others. A little less than the interval
between two looks at a queued build, so that a look never takes the result of the one before."""

_IDLE = 60.0
"""Seconds after which a build that nobody has asked about is left out."""


class OwnState:
    """The state of one build, requested by a request of its own each time."""

    def __init__(self, source: DatedSource, build_uuid: str, clock: Clock) -> None:
        self._source = source
        self._build_uuid = build_uuid
        self._clock = clock

    async def state(self, *, max_age: float) -> Seen:  # noqa: ARG002  # the protocol's
        """The build as it is now."""
        asked_at = self._clock.now()
        build, date = await self._source.get_dated(self._build_uuid)
        return Seen(build, date, asked_at)


class Board:
    """Asks for the states of many builds in few requests.

    Where one build alone is asked about, each look is a `get`, as if there were no board. Where several are,
    a look is one request for the latest builds of up to 20 Workers: that of the build, and those whose states
    are the oldest. Those who ask for one of them meanwhile wait for the same request, or take its result if
    that is not too old for them.

    A build is requested by `get` as long as its Worker is not known, where a newer build of the Worker hides
    it, and when it has stopped: only `get` has all fields. A state never moves backwards, although responses
    may come from copies that lag.

    An error reaches those who have asked, an error of its own each. A request goes on as long as one of them
    waits; there is no other task.
    """

    def __init__(self, source: BoardSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._builds: WeakValueDictionary[str, _Build] = WeakValueDictionary()  # kept by those who ask

    def asker(self, build_uuid: str) -> "Asker":
        """The state of a build for one follower or waiter, who is on the board until this is dropped."""
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
        """The build as it is now, or was at most `max_age` seconds ago if others are asked about too."""
        now = build.wanted_at = self._clock.now()
        if self._is_alone(build):
            found, date = await self._source.get_dated(build.build_uuid)
            return build.take(found, date, now)
        while True:
            request = build.request
            if request is None or request.is_done:
                # From the moment of the call: what has come since then is good, however long it took.
                if (seen := build.seen_since(now - max_age)) is not None:
                    return seen
                request = self._send(build)
            await request.wait()
            if (errors := request.result()) and build.build_uuid in errors:
                raise with_call(errors[build.build_uuid])

    def _is_alone(self, build: "_Build") -> bool:
        if len(build.askers) > 1 or build.is_asked_for:
            return False
        since = self._clock.now() - _IDLE
        return not any(it.is_active(since) for it in self._builds.values() if it is not build)

    def _send(self, build: "_Build") -> "_Request":
        """Send the request that is the next for a build, and have all that it asks for wait for it."""
        asked = [build]
        if build.can_share:
            since = self._clock.now() - _IDLE
            others = (
                it for it in self._builds.values() if it is not build and it.can_share and it.is_active(since)
            )
            asked += sorted((it for it in others if not it.is_asked_for), key=_Build.urgency)
        if len(asked) > 1:
            tags = dict.fromkeys(str(it.tag) for it in asked)
            first = set(list(tags)[:MAX_IDS])
            asked = [it for it in asked if it.tag in first]
            request: _Request = SharedTask(self._look_up(asked))
        else:
            request = SharedTask(self._look_at(build))
        for it in asked:
            it.request = request
        return request

    async def _look_at(self, build: "_Build") -> Mapping[str, BuildsError]:
        found, date = await self._source.get_dated(build.build_uuid)
        build.take(found, date, self._clock.now())
        return {}

    async def _look_up(self, builds: "Iterable[_Build]") -> Mapping[str, BuildsError]:
        """Ask for the latest builds of these builds' Workers; the errors by the UUID of the build."""
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
                else:  # it may be this one Worker's, or that of another in the same request
                    build.is_hidden = build.must_get = True
        return errors


_Request = SharedTask[Mapping[str, BuildsError]]


class Asker:
    """A follower or waiter of one build, on the board for as long as it is referred to."""

    def __init__(self, board: Board, build: "_Build") -> None:
        self._board = board
        self._build = build

    async def state(self, *, max_age: float) -> Seen:
        """The build as it is now, or was at most `max_age` seconds ago."""
        return await self._board.state(self._build, max_age=max_age)


class _Build:
    """What is known of one build."""

    def __init__(self, build_uuid: str) -> None:
        self.build_uuid = build_uuid
        self.askers: WeakSet[Asker] = WeakSet()
        self.seen: Seen | None = None
        self.wanted_at: float = 0.0
        self.request: _Request | None = None  # the last one that requested it
        self.tag: str | None = None  # its Worker
        self.is_hidden: bool = False  # a newer build of its Worker hides it, or the Worker can't be requested
        self.must_get: bool = False  # the last response for its Worker did not say enough

    @property
    def is_asked_for(self) -> bool:
        return self.request is not None and not self.request.is_done

    @property
    def can_share(self) -> bool:
        """Whether it can be requested by its Worker."""
        over = self.seen is not None and self.seen.build.is_finished
        return self.tag is not None and not (self.is_hidden or self.must_get or over)

    def is_active(self, since: float) -> bool:
        return self.wanted_at >= since and not (self.seen is not None and self.seen.build.is_finished)

    def urgency(self) -> tuple[bool, float]:
        """The order in which builds are added to a request: queued ones first, then the oldest state."""
        if self.seen is None:
            return False, 0.0
        return self.seen.build.status != BuildStatus.QUEUED, self.seen.at

    def seen_since(self, moment: float) -> Seen | None:
        if self.seen is None or self.must_get or self.seen.at < moment:
            return None
        return self.seen

    def take(self, found: Build, date: datetime | None, at: float) -> Seen:
        """Take what a `get` gave; the state as it is known then."""
        self.must_get = False
        self.tag = _worker_of(found) or self.tag
        return self._see(found, date, at)

    def take_latest(self, latest: Build | None, date: datetime | None, at: float) -> None:
        """Take the latest build of its Worker, which may be another one."""
        if latest is None or normalized_id(latest.build_uuid) != normalized_id(self.build_uuid):
            # An older one comes from a copy that lags: that hides nothing.
            self.is_hidden = (
                latest is None or self.seen is None or created(latest) >= created(self.seen.build)
            )
            self.must_get = True
        elif latest.is_stopped:
            self.must_get = True  # to see it whole
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
