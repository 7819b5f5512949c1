"""The verbs that take longer than one call: follow, broadcast, wait, wait_for_commit, watch, tail, events."""

from collections.abc import Iterable
from functools import partial
from typing import Protocol, TypedDict, TypeVar, Unpack, overload
from weakref import WeakSet, WeakValueDictionary

from builds_async.live import wait
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.batches import TailBatches
from builds_async.live.board import Board
from builds_async.live.broadcast import LogBroadcast
from builds_async.live.demand import Demand
from builds_async.live.deployed import DeploymentWait
from builds_async.live.events import EventStream
from builds_async.live.follow import LogFollower
from builds_async.live.outages import Outages
from builds_async.live.ownership import Ownership
from builds_async.live.patience import Patience
from builds_async.live.shared_events import SharedEvents
from builds_async.live.shared_watch import SharedWatcher
from builds_async.live.stores import PositionStore
from builds_async.live.tail import BuildTail
from builds_async.live.watch import BuildWatcher
from builds_async.models.builds import Build
from builds_async.models.changes import WatchPosition
from builds_async.models.logs import LogPosition
from builds_async.models.tail import TailPosition
from builds_async.resources.builds import DatedBuilds
from builds_async.resources.queues import Queues
from builds_async.resources.served import ServedBuilds
from builds_async.resources.workers import Workers
from builds_async.session.budget import Budget
from builds_async.session.clock import Clock
from builds_async.session.ids import checked_tags, normalized_id, segment, tag
from builds_async.session.numbers import seconds
from builds_async.session.observe import Observer
from builds_async.session.session import ApiSession


class _FollowOptions(TypedDict, total=False):
    start: LogPosition | None
    tail: int | None
    poll_interval: float
    max_poll_interval: float


class _TailOptions(TypedDict):
    tail: int | None
    interval: float
    poll_interval: float
    max_poll_interval: float


class _Closable(Protocol):
    async def aclose(self) -> None: ...


_C = TypeVar("_C", bound=_Closable)


class LiveVerbs:
    """The methods of a client that take longer than one call. Only `BuildsClient` inherits them.

    All verbs of one client share the states of builds, the demand for polls, and the report of an outage. An
    invalid argument is a ValueError or TypeError.
    """

    budget: Budget
    """The rate budget of this client; `client.budget.snapshot()` says what is left and until when."""

    _session: ApiSession
    _broadcasts: WeakValueDictionary[str, LogBroadcast]

    def _set_up_verbs(
        self, *, budget: Budget, clock: Clock, observer: Observer | None, patience: float
    ) -> None:
        self.budget, self._clock, self._observer = budget, clock, observer
        self._set_patience(patience)
        self._outages, self._demand = Outages(clock, observer), Demand(clock, budget)
        # Objects with requests in flight: one set for each client that this one derives from, its own last.
        self._closables: tuple[WeakSet[_Closable], ...] = (WeakSet(),)

    def _derive_verbs(self, patience: float | None) -> None:
        """Give the copy of a client its own closables and broadcasts."""
        if patience is not None:
            self._set_patience(patience)
        self._closables = (*self._closables, WeakSet())
        self._broadcasts = WeakValueDictionary()

    def _share_requests(self) -> None:
        """Make the parts that the verbs share and that send requests over the session."""
        self._single_calls = DatedBuilds(self._session)
        self._polls = DatedBuilds(self._session.polling())
        self._board = self._closed_with_me(Board(self._polls, self._clock))
        self._broadcasts = WeakValueDictionary()

    async def _close_verbs(self) -> None:
        for closable in tuple(self._closables[-1]):
            await closable.aclose()

    def follow(
        self,
        build_uuid: str,
        *,
        start: LogPosition | None = None,
        tail: int | None = None,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
        wait: bool = True,
    ) -> LogFollower:
        """The log of a build, line by line while it is written, until the build has finished.

        `start` is the `position` of an earlier follower of this build: no line is lost or repeated. `tail`
        skips all but the last `tail` lines that exist now; 0 gives only new ones. With `wait=False` the log
        ends after the last line that exists now; the follower does not pause, and raises each error at once.
        `follow(build_uuid, start=log.position)` gives the later lines.

        A running build is polled every `poll_interval` seconds (1). The pauses grow up to `max_poll_interval`
        (5) while there are no new lines, and further when the rate budget runs low. `LogFollower` says what
        is guaranteed and what is raised. Needs "Workers CI Read".
        """
        segment(build_uuid)
        if not wait:
            return LogFollower(
                self._single_calls, build_uuid, clock=self._clock, start=start, tail=tail, wait=False
            )
        return self._follower(
            "follow",
            build_uuid,
            start=start,
            tail=tail,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )

    def _follower(self, verb: str, build_uuid: str, **options: Unpack[_FollowOptions]) -> LogFollower:
        return LogFollower(
            self._polls,
            build_uuid,
            clock=self._clock,
            finished_source=self._single_calls,
            state=self._board.asker(build_uuid),
            patience=self._patience_of(verb),
            demand=self._demand,
            **options,
        )

    def broadcast(
        self, build_uuid: str, *, poll_interval: float = 1.0, max_poll_interval: float = 5.0
    ) -> LogBroadcast:
        """The log of a build for any number of readers: `async for line in broadcast.subscribe()`.

        All readers together cost the requests of one `follow`. Each reader gets the whole log from its first
        line, even one that starts late. While a broadcast is in use, further calls for the same build return
        it, with the intervals of the first call. The intervals are those of `follow`. `LogBroadcast` says
        what is guaranteed. Needs "Workers CI Read".
        """
        segment(build_uuid)
        key = normalized_id(build_uuid)
        broadcast = self._broadcasts.get(key)
        if broadcast is None:
            log = self._follower(
                "broadcast", build_uuid, poll_interval=poll_interval, max_poll_interval=max_poll_interval
            )
            broadcast = self._closed_with_me(LogBroadcast(log))
            self._broadcasts[key] = broadcast
        return broadcast

    async def wait(self, build_uuid: str, *, poll_interval: float = 5.0) -> Build:
        """Wait until a build has finished, and return it: `stopped`, with its outcome.

        Reads no log. Polls every `poll_interval` seconds (5), a third as often while the build is queued, and
        never faster than the rate budget allows. A build that has no outcome 30 s after it stopped is
        returned without one.

        It has no time limit of its own, and a build may be queued for hours: use
        `async with asyncio.timeout(...)`. An outage is sat out for the client's `patience`; any other error
        of `builds.get` is raised at once. Needs "Workers CI Read".
        """
        segment(build_uuid)
        return await wait.wait_for_build(
            self._board.asker(build_uuid),
            poll_interval=poll_interval,
            clock=self._clock,
            patience=self._patience_of("wait"),
        )

    async def wait_for_commit(
        self,
        external_script_id: str,
        commit_hash: str,
        *,
        branch: str | None = None,
        finished: bool = True,
        deployed: bool = False,
        poll_interval: float = 5.0,
    ) -> Build:
        """Wait until this Worker has a build of a commit, then until it has finished, and return it.

        `commit_hash` is the full hash or its beginning, at least 4 digits; ValueError if several commits
        begin with it. With `branch`, only builds of that branch count. If the commit is built more than once,
        the newest build counts, even if it starts during the wait. Only the Worker's last 200 builds are
        searched. A build that was started without a commit is never found: `wait` for it by
        its `build_uuid`. With `finished=False` the build is returned as soon as it exists, for example to
        follow its log.

        A successful build does not always deploy. With `deployed=True` the build is returned only once a
        version of it serves traffic, whatever its share. `client.live` gives the share; if it is less than
        100 percent, the logger `builds_async` gets a warning. The returned build has the outcome `fail` if a
        command after its deployment failed.

        If no version of the build serves traffic, a NotDeployedError names the versions that do, with their
        date. It is raised:

        - at once, if the build has neither succeeded nor deployed;
        - as soon as a later deployment has replaced the deployment of the build;
        - otherwise 30 s after the build has stopped. A build deploys before it stops, but the API may answer
          from a copy that lags.

        Polling, time limit and errors are those of `wait`. With `deployed=True` it needs "Workers Scripts
        Read" as well, and raises a PermissionDeniedError before it waits.
        """
        tag(external_script_id)
        wait.checked_commit(commit_hash)
        if deployed and not finished:
            raise ValueError("deployed=True waits for the end of the build: omit finished=False")
        patience = self._patience_of("wait_for_commit")
        deployment = None
        if deployed:
            served = ServedBuilds(self._session.polling())
            deployment = DeploymentWait(
                served, external_script_id, poll_interval=poll_interval, clock=self._clock, patience=patience
            )
            await deployment.prepare()
        build = await wait.wait_for_commit(
            self._polls,
            self._board.asker,
            external_script_id,
            commit_hash,
            branch=branch,
            finished=finished,
            poll_interval=poll_interval,
            clock=self._clock,
            patience=patience,
        )
        if deployment is not None:
            await deployment.until_deployed(build)
        return build

    @overload
    def watch(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        start: WatchPosition | None = None,
        interval: float = 15.0,
    ) -> BuildWatcher: ...
    @overload
    def watch(
        self, external_script_ids: Iterable[str], *, fleet: Ownership, interval: float = 15.0
    ) -> SharedWatcher: ...
    def watch(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        fleet: Ownership | None = None,
        start: WatchPosition | None = None,
        interval: float = 15.0,
    ) -> BuildWatcher | SharedWatcher:
        """The changes of the builds of these Workers, without end: `async for change in client.watch(tags)`.

        Without ids it watches all Workers of the account, including later ones. It yields the latest build of
        each Worker, then each new build, status and outcome once. All Workers are looked up every `interval`
        seconds (15), or as the rate budget allows, 20 per request: a thousand Workers take 50 requests.
        `start` is the `position` of an earlier watch. `BuildWatcher` says what is guaranteed. Needs
        "Workers CI Read"; without ids "Workers Scripts Read" as well.

        With `fleet` each Worker is watched by one member of the fleet, and positions are stored in the
        fleet's engine: see `SharedWatcher`. A fleet needs the tags of the Workers, and allows no `start`:
        otherwise ValueError.
        """
        if fleet is not None and (external_script_ids is None or start is not None):
            raise ValueError("with a fleet, pass the tags of the Workers, and no start")
        ids = () if external_script_ids is None else checked_tags(external_script_ids)
        watcher = BuildWatcher(
            self._polls,
            ids if fleet is None else (),
            interval=interval,
            clock=self._clock,
            start=start,
            account=self._all_workers() if external_script_ids is None else None,
            patience=self._patience_of("watch"),
        )
        if fleet is None:
            return watcher
        shared = SharedWatcher(ids, watcher, fleet=fleet, clock=self._clock, observer=self._observer)
        return self._closed_with_me(shared)

    @overload
    def tail(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        start: TailPosition | None = None,
        tail: int | None = None,
        events: str | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> BuildTail: ...
    @overload
    def tail(
        self,
        external_script_ids: Iterable[str],
        *,
        fleet: Ownership | None = None,
        store: PositionStore,
        max_lines: int = 100,
        tail: int | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> TailBatches: ...
    @overload
    def tail(
        self,
        external_script_ids: Iterable[str],
        *,
        fleet: Ownership,
        store: PositionStore | None = None,
        max_lines: int = 100,
        tail: int | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> TailBatches: ...
    def tail(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        fleet: Ownership | None = None,
        store: PositionStore | None = None,
        max_lines: int = 100,
        start: TailPosition | None = None,
        tail: int | None = None,
        events: str | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> BuildTail | TailBatches:
        """The log lines and ends of all builds of these Workers: `async for item in client.tail(tags)`.

        Without ids it reads all Workers of the account, including later ones. It never ends. The log of a
        build that runs now starts at its first line, or with `tail` at its last `tail` lines so far. New
        builds are looked for every `interval` seconds (10). With `events`, the id of a queue, they are found
        by its build events; the queue must have no other consumer. Each log is polled every
        `poll_interval` seconds (1), and the pauses grow up to `max_poll_interval` (5) while there are no new
        lines, or further if the rate budget runs low. `start` is the `position` of an earlier tail.
        `BuildTail` says what is guaranteed. Needs "Workers CI Read"; without ids "Workers Scripts Read", with
        `events` "Queues Write" as well.

        With `store` the lines come in batches of one Worker, at most `max_lines` (100), and the position of
        each Worker is stored: `async for batch in client.tail(tags, store=FileStore("bot.json"))` continues
        where the last run ended. With `fleet` each Worker is read by one member of the fleet; without
        `store`, the fleet stores the positions. `TailBatches` says what is guaranteed. Both need the tags of
        the
        Workers (`client.workers.names()` lists them), and allow neither `start` nor `events`: otherwise
        ValueError.
        """
        if store is None and fleet is None:
            return self._tail(
                external_script_ids,
                start,
                tail=tail,
                events=events,
                interval=interval,
                poll_interval=poll_interval,
                max_poll_interval=max_poll_interval,
            )
        if external_script_ids is None or start is not None or events is not None:
            raise ValueError(
                "with a store or a fleet, pass the tags of the Workers, and no start and no events"
            )
        make = partial(
            self._tail,
            tail=tail,
            interval=interval,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )
        batches = TailBatches(
            external_script_ids,
            make,
            store=store,
            fleet=fleet,
            clock=self._clock,
            max_lines=max_lines,
            observer=self._observer,
        )
        return self._closed_with_me(batches)

    def _tail(
        self,
        external_script_ids: Iterable[str] | None,
        start: TailPosition | None,
        *,
        events: str | None = None,
        **options: Unpack[_TailOptions],
    ) -> BuildTail:
        stream = BuildTail(
            self._polls,
            () if external_script_ids is None else checked_tags(external_script_ids),
            clock=self._clock,
            start=start,
            patience=self._patience_of("tail"),
            budget=self.budget,
            account=self._all_workers() if external_script_ids is None else None,
            events=None if events is None else self._events_for_tail(events),
            **options,
        )
        return self._closed_with_me(stream)

    def _events_for_tail(self, queue_id: str) -> EventStream:
        return self.events(queue_id, batch_size=100, poll_interval=4.0, max_poll_interval=5.0)

    def _all_workers(self) -> AccountWorkers:
        return AccountWorkers(Workers(self._session.polling()), self._clock)

    @overload
    def events(
        self,
        queue_id: str,
        *,
        batch_size: int = 10,
        visibility_timeout: float = 120.0,
        poll_interval: float = 2.0,
        max_poll_interval: float = 15.0,
    ) -> EventStream: ...
    @overload
    def events(
        self,
        queue_id: str,
        *,
        fleet: Ownership,
        batch_size: int = 10,
        visibility_timeout: float = 120.0,
        poll_interval: float = 2.0,
        max_poll_interval: float = 15.0,
    ) -> SharedEvents: ...
    def events(
        self,
        queue_id: str,
        *,
        fleet: Ownership | None = None,
        batch_size: int = 10,
        visibility_timeout: float = 120.0,
        poll_interval: float = 2.0,
        max_poll_interval: float = 15.0,
    ) -> EventStream | SharedEvents:
        """The build events of a Cloudflare Queue, without end: `async for event in client.events(queue_id)`.

        Each event is acknowledged when the next one is requested. A pull leases up to `batch_size` events
        (10) for `visibility_timeout` seconds (120). An empty queue is pulled every `poll_interval` seconds
        (2). The pauses grow up to `max_poll_interval` (15) while the queue stays empty, or further if the
        rate budget runs low. ValueError for a `batch_size` above 100 or a `visibility_timeout` above 12
        hours. `EventStream` lists the guarantees. The queue needs an event subscription to
        Workers Builds and an HTTP pull consumer. Needs "Queues Write" ("Queues Edit" in the dashboard).

        With `fleet` one member of the fleet pulls, and another takes over if it leaves: see `SharedEvents`.
        """
        segment(queue_id)

        def make(acknowledged: Iterable[tuple[str, str]] = ()) -> EventStream:
            return EventStream(
                Queues(self._session.polling()),
                queue_id,
                clock=self._clock,
                batch_size=batch_size,
                visibility_timeout=visibility_timeout,
                poll_interval=poll_interval,
                max_poll_interval=max_poll_interval,
                patience=self._patience_of("events"),
                acknowledged=acknowledged,
            )

        if fleet is None:
            return self._closed_with_me(make())
        return self._closed_with_me(SharedEvents(queue_id, make, fleet=fleet, clock=self._clock))

    def _closed_with_me(self, it: _C) -> _C:
        for closables in self._closables:
            closables.add(it)
        return it

    def _set_patience(self, patience: float) -> None:
        self._patience = seconds("patience", patience, infinite=True)

    def _patience_of(self, verb: str) -> Patience:
        return Patience(self._clock, self._patience, verb=verb, outages=self._outages)
