"""The live verbs for many Workers: watch, tail, events."""

from collections.abc import Iterable
from functools import partial
from typing import TypedDict, Unpack, overload

from builds_async.build_verbs import BuildVerbs
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.batches import TailBatches
from builds_async.live.events import EventStream
from builds_async.live.ownership import Ownership
from builds_async.live.shared_events import SharedEvents
from builds_async.live.shared_watch import SharedWatcher
from builds_async.live.stores import PositionStore
from builds_async.live.tail import BuildTail
from builds_async.live.watch import BuildWatcher
from builds_async.models.changes import WatchPosition
from builds_async.models.tail import TailPosition
from builds_async.resources.queues import Queues
from builds_async.resources.workers import Workers
from builds_async.session.ids import checked_tags, segment


class _TailOptions(TypedDict):
    tail: int | None
    interval: float
    poll_interval: float
    max_poll_interval: float


class LiveVerbs(BuildVerbs):
    """All live verbs of a client. Only `BuildsClient` inherits them."""

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
        self, external_script_ids: Iterable[str] | None = None, *, fleet: Ownership, interval: float = 15.0
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
        `start` is the `position` of an earlier watch. `BuildWatcher` lists the guarantees. Needs "Workers CI
        Read"; without ids "Workers Scripts Read" as well.

        With `fleet` each Worker is watched by one member of the fleet, and positions are stored in the
        fleet's engine: see `SharedWatcher`. A fleet allows no `start`: ValueError.
        """
        if fleet is not None and start is not None:
            raise ValueError("with a fleet, pass no start: the fleet has the positions")
        ids = () if external_script_ids is None else checked_tags(external_script_ids)
        account = self._all_workers_unless(external_script_ids)
        watcher = BuildWatcher(
            self._polls,
            ids if fleet is None else (),
            interval=interval,
            clock=self._clock,
            start=start,
            account=account if fleet is None else None,
            patience=self._patience_of("watch"),
        )
        if fleet is None:
            return watcher
        shared = SharedWatcher(
            ids, watcher, fleet=fleet, clock=self._clock, account=account, observer=self._observer
        )
        return self._register(shared)

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
        external_script_ids: Iterable[str] | None = None,
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
        external_script_ids: Iterable[str] | None = None,
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
        by its build events; the queue must have no other consumer. Each log is polled every `poll_interval`
        seconds (1), and the pauses grow up to `max_poll_interval` (5) while there are no new lines, or
        further if the rate budget runs low. `start` is the `position` of an earlier tail. `BuildTail` lists
        the guarantees. Needs "Workers CI Read"; without ids "Workers Scripts Read" as well, and with `events`
        "Queues Write".

        With `store` the lines come in batches of one Worker, at most `max_lines` (100), and the position of
        each Worker is stored: `async for batch in client.tail(tags, store=FileStore("bot.json"))` continues
        where the last run ended. With `fleet` each Worker is read by one member of the fleet; without
        `store`, the fleet stores the positions. `TailBatches` lists the guarantees. Neither allows `start` or
        `events`: ValueError.
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
        if start is not None or events is not None:
            raise ValueError("with a store or a fleet, pass neither start nor events")
        make = partial(
            self._tail,
            tail=tail,
            interval=interval,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )
        batches = TailBatches(
            () if external_script_ids is None else external_script_ids,
            make,
            store=store,
            fleet=fleet,
            clock=self._clock,
            max_lines=max_lines,
            account=self._all_workers_unless(external_script_ids),
            observer=self._observer,
        )
        return self._register(batches)

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
            account=self._all_workers_unless(external_script_ids),
            events=None if events is None else self._events_for_tail(events),
            **options,
        )
        return self._register(stream)

    def _events_for_tail(self, queue_id: str) -> EventStream:
        # The largest batch and short pauses: events should find builds sooner than lookups, each 10 s, would.
        return self.events(queue_id, batch_size=100, poll_interval=4.0, max_poll_interval=5.0)

    def _all_workers_unless(self, external_script_ids: Iterable[str] | None) -> AccountWorkers | None:
        """The Workers of the account, for a verb without ids; None with ids."""
        if external_script_ids is not None:
            return None
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
        hours. `EventStream` lists the guarantees. The queue needs an event subscription to Workers Builds and
        an HTTP pull consumer. Needs "Queues Write" ("Queues Edit" in the dashboard).

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
            return self._register(make())
        return self._register(SharedEvents(queue_id, make, fleet=fleet, clock=self._clock))
