"""The logs of many Workers as one stream."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Self

from builds_async.errors import BuildsError
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.backlog import Backlog
from builds_async.live.closing import ClosedAtExit
from builds_async.live.events import EventStream
from builds_async.live.open_logs import OpenLogs
from builds_async.live.patience import Patience
from builds_async.live.schedule import Schedule
from builds_async.live.single_reader import SingleReader
from builds_async.live.sources import TailSource
from builds_async.live.tail_requests import SAFETY_NET, TailRequests
from builds_async.live.tracker import Tracker
from builds_async.models.tail import TailItem, TailPosition
from builds_async.session.budget import Budget
from builds_async.session.clock import Clock
from builds_async.session.ids import checked_tags, normalized_id
from builds_async.session.numbers import seconds, whole


class BuildTail(ClosedAtExit):
    """The lines and the ends of all builds of many Workers, merged, as an endless async iterator.

    It begins with the builds that run now, from their first line or, with `tail`, from their last `tail`
    lines. Then it follows each new build by itself. If the latest build of a Worker stopped before the tail
    began, older builds are not searched. Every line of a build comes once and in order, as a `TailLine`.
    After the last line comes a `TailEnd`, even for a build without lines, which was skipped or canceled.
    Lines of different builds come in the order in which they are fetched.

    Most requests are for lines. The states of all builds come from lookups of the latest builds, every
    `interval` seconds, with 20 Workers in a request. The log of a queued build is not requested, but its
    Worker is looked up every 2.5 s. A log is opened as soon as a lookup shows its build. The next request is
    chosen only when the rate budget allows one, so an urgent request never waits behind another one.

    With `events`, builds and their ends are found by the events of a queue, and lookups become a safety net:
    one at the beginning, then one every 10 minutes. An event is acknowledged once the tail knows its build.
    A tail that starts with a `position` looks up all Workers first, so no event is needed twice.

    Back-pressure: no request starts while lines are buffered, and at most 10 are in flight. So a slow reader
    slows the polling, and memory stays bounded.

    `position` is a value that can be stored as JSON, at any moment, even during the first lookup. A tail that
    starts with it delivers exactly the remaining lines and ends, including those of builds that began or
    ended while no tail was running. A Worker that is not in the position starts with its latest build. That
    build is skipped if it ended before the newest build in the position began.

    Workers may be added and removed at any time. Without ids a tail takes all Workers of the account. It
    lists them once a minute, which is one request, and adds new ones with all of their builds.

    It is not a generator: after a `break`, a timeout, a cancellation or an error, the next loop continues and
    loses nothing. Requests in flight continue meanwhile; `async with`, `aclose()` and closing the client end
    them.

    Wrong credentials, and errors that are not temporary (such as a certificate), are raised at once. Other
    errors are raised when all requests have failed for the client's `patience` (300 s). Until then, they are
    in `failures`, by the tag of the Worker or the UUID of the build, until a request for it succeeds. The
    other Workers and builds continue.
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
        start = _checked(start)
        if tail is not None:
            Backlog(tail)  # raises ValueError now, not when the first log opens
        interval = seconds("interval", interval, above_zero=True)
        self._clock = clock
        self._account = account
        self._tracker = Tracker(
            source, start.workers if account is not None else external_script_ids, clock, start.workers
        )
        self._schedule = Schedule(
            interval if events is None else max(SAFETY_NET, interval), lookups_find=events is None
        )
        for tag in self._tracker.ids:
            self._schedule.add_worker(tag, clock.now())
        self._logs = OpenLogs(
            source,
            self._tracker,
            self._schedule,
            clock,
            start=start,
            tail=tail,
            poll_interval=seconds("poll_interval", poll_interval, above_zero=True),
            max_poll_interval=seconds("max_poll_interval", max_poll_interval, above_zero=True),
        )
        self._requests = TailRequests(
            source,
            self._logs,
            self._tracker,
            self._schedule,
            clock=clock,
            interval=interval,
            patience=Patience(clock, inf) if patience is None else patience,
            budget=budget,
            account=account,
            events=events,
        )
        self._single = SingleReader("this tail")
        self._closed = False

    @property
    def failures(self) -> Mapping[str, BuildsError]:
        """The error of each Worker and each log whose last request failed, by tag or build UUID."""
        return {**self._tracker.failures, **self._logs.failed}

    @property
    def position(self) -> TailPosition:
        """The position after the last delivered line or end, in all logs."""
        # First open the logs of builds that the marks cover already: otherwise the position would lack them.
        self._logs.take_changes()
        return TailPosition(dict(self._tracker.marks), dict(self._logs.position))

    def position_of(self, external_script_id: str) -> TailPosition:
        """The part of `position` that belongs to one Worker; empty if the Worker is not in it."""
        self._logs.take_changes()
        tag = normalized_id(external_script_id)
        marks = self._tracker.marks
        logs = {uuid: log for uuid, log in self._logs.position.items() if log.external_script_id == tag}
        return TailPosition({tag: marks[tag]} if tag in marks else {}, logs)

    async def add(self, external_script_id: str, *, start: TailPosition | None = None) -> None:
        """Add another Worker, with the builds that run now. Does nothing if it was added before.

        With `start`, the Worker continues at that position. `add` may be called while another task reads.
        ValueError for anything but a tag.
        """
        (checked,) = checked_tags([external_script_id])
        tag = normalized_id(checked)
        if not self._tracker.add(checked, {} if start is None else start.workers):
            return
        if start is not None:
            self._logs.restore(start, only=tag)
        self._schedule.add_worker(tag, self._clock.now())
        self._requests.wake()

    async def remove(self, external_script_id: str) -> None:
        """Remove a Worker. No more of its lines come, and `position` no longer has it.

        Does nothing if it was not added. `remove` may be called while another task reads. ValueError for
        anything but a tag.
        """
        (checked,) = checked_tags([external_script_id])
        tag = normalized_id(checked)
        self._logs.take_changes()
        self._tracker.remove(tag)
        self._schedule.remove_worker(tag)
        self._logs.remove_worker(tag)
        self._requests.wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TailItem:
        await self._fetch()
        item = self._logs.next_item()
        if item is None:
            raise StopAsyncIteration
        return item

    async def ready(self) -> bool:
        """Wait until `read` would return items at once; False without Workers. Canceling it is safe.

        Then `position` is the place before these items.
        """
        await self._fetch()
        return self._logs.has_next

    async def read(self, *, most: int | None = None) -> tuple[TailItem, ...]:
        """All lines and ends that are buffered, but at most `most` of them; `()` without Workers.

        It waits until there is at least one. Canceling it is safe.
        """
        if most is not None:
            whole("most", most, at_least=1)
        await self._fetch()
        items = list[TailItem]()
        while (most is None or len(items) < most) and (item := self._logs.next_item()) is not None:
            items.append(item)
        return tuple(items)

    async def aclose(self) -> None:
        """End the requests in flight. The position stays valid. Another read is a RuntimeError."""
        self._closed = True
        await self._requests.aclose()

    async def _fetch(self) -> None:
        """Wait until something can be delivered; without Workers, return at once."""
        with self._single:
            while not self._logs.has_next:
                if not self._tracker and self._account is None:
                    return
                if self._closed:
                    raise RuntimeError("this tail is closed")
                await self._requests.start_due()
                if not self._logs.has_next:
                    await self._requests.wait()


def _checked(start: TailPosition | None) -> TailPosition:
    start = TailPosition() if start is None else start
    if not isinstance(start, TailPosition):
        raise TypeError(f"start must be a TailPosition, not {type(start).__name__}: decode it with msgspec")
    return start
