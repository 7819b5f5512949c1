"""Watching many Workers: every change of status or outcome, once."""

from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Self

from builds_async.errors import BuildsError
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.background import together
from builds_async.live.pace import Pace
from builds_async.live.patience import Patience
from builds_async.live.single_reader import SingleReader
from builds_async.live.sources import WatchSource
from builds_async.live.tracker import AT_ONCE, Tracker
from builds_async.models.builds import Build
from builds_async.models.changes import BuildChange, WatchedBuild, WatchPosition
from builds_async.session.clock import Clock
from builds_async.session.ids import checked_tags, normalized_id
from builds_async.session.numbers import seconds

REQUESTS_AT_ONCE = 9
"""The maximum number of requests of a watch in flight: as many as a client allows for polls."""


class BuildWatcher:
    """The changes of the builds of many Workers, as an endless async iterator of `BuildChange`.

    The first pass reports the present state: the latest build of each Worker that has one. From then on, each
    change is reported once and in order: a new build, another status, the outcome. Passes are `interval`
    seconds apart. One request covers 20 Workers, and at most nine requests are in flight. A change is
    reported as soon as a response shows it. A status that lasts less than one interval may be missed, but a
    build or an outcome never is, even if the Worker has begun other builds since: up to 200 builds of one
    Worker in one interval.

    `position` is a value that can be stored as JSON. A watch that starts with it reports all changes since
    then, including those of builds that began or ended while no watch was running. `current` is the present
    state.

    Workers may be added and removed at any time. Without ids a watch takes all Workers of the account. It
    lists them once a minute, which is one request, and adds new ones with all of their builds.

    It is not a generator: after a `break`, a timeout, a cancellation or an error, the next loop continues and
    misses nothing, and a canceled pass continues where it stopped. Between two changes nothing is open. A
    second task that reads at the same time gets a RuntimeError.

    Wrong credentials, and errors that are not temporary (such as a certificate), are raised at once. An error
    that affects all Workers is raised when every pass has failed for the client's `patience` (300 s). After
    any other error, the affected Workers are in `failures` until the next pass, which requests them again.
    The other Workers continue.
    """

    def __init__(
        self,
        source: WatchSource,
        external_script_ids: Iterable[str],
        *,
        interval: float,
        clock: Clock,
        patience: Patience | None = None,
        start: WatchPosition | None = None,
        account: AccountWorkers | None = None,
    ) -> None:
        start = WatchPosition() if start is None else start
        if not isinstance(start, WatchPosition):
            raise TypeError(
                f"start must be a WatchPosition, not {type(start).__name__}: decode it with msgspec"
            )
        self._patience = Patience(clock, inf) if patience is None else patience
        self._pace = Pace(clock, seconds("interval", interval, above_zero=True))
        ids = start.workers if account is not None else external_script_ids
        self._tracker = Tracker(source, ids, clock, start.workers)
        self._account = account
        self._pending: dict[str, None] = {}  # Workers that this pass has yet to look up
        self._following: dict[str, None] = {}  # Workers that this pass has yet to follow up
        self._added: list[str] = []
        self._began: float | None = None  # when this pass began; None between two passes
        self._clock = clock
        self._single = SingleReader("this watch")
        self._builds: dict[str, WatchedBuild] = {}  # delivered builds that may still change
        self._listing: set[str] = set()  # Workers whose older builds were delivered in part
        self._restore(start)

    def _restore(self, start: WatchPosition, *, only: str | None = None) -> None:
        open_builds: dict[str, list[Build]] = {}
        for uuid, watched in start.builds.items():
            tag = normalized_id(watched.external_script_id)
            if tag in self._tracker.marks and only in {None, tag}:
                self._builds[uuid] = watched
                if watched.build.is_finished:
                    self._listing.add(tag)
                open_builds.setdefault(tag, []).append(watched.build)
        self._tracker.restore(open_builds, only=only)

    @property
    def failures(self) -> Mapping[str, BuildsError]:
        """The error of each Worker that the last pass could not look up, by tag."""
        return self._tracker.failures

    @property
    def current(self) -> Mapping[str, Build | None]:
        """The newest build of each Worker as it was last seen, by tag; None for a Worker without builds.

        A Worker that was not requested yet is absent.
        """
        return {self._tracker.spelling(tag): self._tracker.latest(tag) for tag in self._tracker.marks}

    @property
    def position(self) -> WatchPosition:
        """The position after the last delivered change."""
        return WatchPosition(self._tracker.taken_marks, self._open_builds())

    def position_of(self, external_script_id: str) -> WatchPosition:
        """The part of `position` that belongs to one Worker; empty as long as it is uncertain."""
        tag = normalized_id(external_script_id)
        mark = self._tracker.taken_mark(tag)
        if mark is False:
            return WatchPosition()
        return WatchPosition({tag: mark}, self._open_builds(only=tag))

    def _open_builds(self, *, only: str | None = None) -> dict[str, WatchedBuild]:
        """The delivered builds, of one Worker or of all, that may change or have a change to deliver."""
        pending = {change.build.build_uuid for change in self._tracker.changes}
        builds = {}
        for uuid, watched in self._builds.items():
            tag = normalized_id(watched.external_script_id)
            is_listed = watched.build.is_finished and self._tracker.is_listing(tag)
            if only in {None, tag} and (is_listed or uuid in pending or self._tracker.is_open(tag, uuid)):
                builds[uuid] = watched
        return builds

    async def add(self, external_script_id: str, *, start: WatchPosition | None = None) -> None:
        """Watch another Worker, from the next requests on. Does nothing if it is watched already.

        With `start`, the Worker continues at that position. A reader that is waiting now sees the Worker with
        its next pass, after at most `interval` seconds.

        ValueError for anything but a tag.
        """
        (checked,) = checked_tags([external_script_id])
        if self._tracker.add(checked, {} if start is None else start.workers):
            tag = normalized_id(checked)
            if start is not None:
                self._restore(start, only=tag)
            self._added.append(tag)

    async def remove(self, external_script_id: str) -> None:
        """Stop watching a Worker, and drop its changes that were not delivered.

        Does nothing if it is not watched. ValueError for anything but a tag.
        """
        (checked,) = checked_tags([external_script_id])
        tag = normalized_id(checked)
        self._tracker.remove(tag)
        self._listing.discard(tag)
        for waiting in (self._pending, self._following):
            waiting.pop(tag, None)
        self._builds = {
            uuid: it for uuid, it in self._builds.items() if normalized_id(it.external_script_id) != tag
        }

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BuildChange:
        with self._single:
            while not self._tracker.changes:
                if not self._tracker and self._account is None:
                    raise StopAsyncIteration
                await self._continue()
        return self._next_buffered()

    def _next_buffered(self) -> BuildChange:
        change = self._tracker.take()
        tag, uuid = normalized_id(change.external_script_id), change.build.build_uuid
        self._builds[uuid] = WatchedBuild(change.external_script_id, change.build)
        # If only a part of a Worker's older builds was delivered, a restart lists all of them again. So the
        # finished ones of that part stay in the position until the rest is delivered.
        if self._tracker.is_listing(tag):
            self._listing.add(tag)
        elif tag in self._listing:
            self._listing.discard(tag)
            self._builds = {
                key: it
                for key, it in self._builds.items()
                if not it.build.is_finished or normalized_id(it.external_script_id) != tag
            }
        elif change.build.is_finished:
            del self._builds[uuid]
        return change

    async def _continue(self) -> None:
        """Wait until the next pass is due, or send the next requests of this one."""
        if self._added:
            self._pending = dict.fromkeys([*self._added, *self._pending])
            self._added.clear()
        elif self._began is None:
            self._began = await self._pace.turn(not_before=self._patience.due)
            if not self._pending and not self._following:  # else the last pass was cut short by an error
                self._pending = dict.fromkeys(self._tracker.ids)
        began = self._clock.now() if self._began is None else self._began
        try:
            if requests := tuple(self._requests()):  # none if a cancellation came just after the last ones
                await together(*requests)
        except BuildsError:
            self._began = None
            self._pace.next_after(began)  # a caller that retries in a loop is throttled too
            raise
        # Not after a cancellation, which does not get here: a pass that was cut short continues at once.
        if self._began is not None and not self._pending and not self._following:
            self._pace.next_after(self._began)
            self._began = None
            self._patience.weigh(self._tracker.failures.values(), parts=len(self._tracker))

    def _requests(self) -> Iterator[Coroutine[object, object, None]]:
        """The next requests of a pass, to be sent at the same time.

        Follow-ups come first: only they show which builds are new. One place is left for lookups, so that a
        flood of new builds at some Workers does not hide the others.
        """
        follow_ups = list(islice(self._following, REQUESTS_AT_ONCE - 1))
        yield from map(self._follow_up, follow_ups)
        pending = iter(tuple(self._pending))
        for _ in range(REQUESTS_AT_ONCE - len(follow_ups)):
            if tags := tuple(islice(pending, AT_ONCE)):
                yield self._look_up(tags)
        if self._account is not None and self._account.pace.pause <= 0:
            yield self._list_workers(self._account)

    async def _look_up(self, tags: Sequence[str]) -> None:
        await self._tracker.look_up(tags)
        for tag in tags:
            self._pending.pop(tag, None)
            if tag in self._tracker.unfinished:
                self._following[tag] = None

    async def _follow_up(self, tag: str) -> None:
        await self._tracker.follow_up(tag)
        self._following.pop(tag, None)

    async def _list_workers(self, account: AccountWorkers) -> None:
        self._pending |= dict.fromkeys(await account.find(self._tracker))
