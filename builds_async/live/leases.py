"""Holding messages of a queue: leases are extended while a message is held, and given up in batches."""

import asyncio
import logging
import weakref
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Protocol

from builds_async.errors import BuildsError
from builds_async.live.background import take_note
from builds_async.models.queues import QueueAcks, QueueBatch, QueueExtension, QueueMessage
from builds_async.session.clock import Clock

MAX_HELD = 3600.0
"""How many seconds a message is held at the most; after that its lease is not extended."""

_AT_ONCE = 100
"""How many messages one request acknowledges. No limit is documented; a pull gives no more."""

_TRIES = 4
"""How often a failed extension is tried again before the lease ends."""

logger = logging.getLogger("builds_async")


class QueueSource(Protocol):
    """What is asked of a queue."""

    async def pull(self, queue_id: str, *, batch_size: int, visibility_timeout_ms: int) -> QueueBatch:
        """Messages that wait now, leased."""
        ...

    async def ack(
        self, queue_id: str, *, acks: Iterable[str], retries: Iterable[tuple[str, float]]
    ) -> QueueAcks:
        """Acknowledge messages, ask for others again after some seconds."""
        ...

    async def extend(
        self, queue_id: str, lease_ids: Iterable[str], *, visibility_timeout_ms: int
    ) -> QueueExtension:
        """Lease messages anew."""
        ...


class _Lease:
    __slots__ = ("delay", "lease_id", "message_id", "since", "until")

    def __init__(self, message: QueueMessage, since: float, until: float) -> None:
        self.message_id = message.id
        self.lease_id = message.lease_id
        self.since = since
        self.until = until
        self.delay = 0.0


class Leases:
    """The messages of one queue that are in hand, and those given up of which the queue is not told yet.

    While there are any, one task (the keeper) extends leases and tells the queue, both when half of the
    visibility timeout is over; what fails is tried again. It holds this object by a weak reference only and
    ends with it: who drops it gets its messages again when their leases end. No message is held for
    longer than an hour.
    """

    def __init__(self, source: QueueSource, queue_id: str, *, visibility: float, clock: Clock) -> None:
        self._source = source
        self._queue_id = queue_id
        self._visibility = visibility
        self._clock = clock
        self._held: dict[str, _Lease] = {}
        self._acks: dict[str, _Lease] = {}
        self._retries: dict[str, _Lease] = {}
        self._due = clock.now()
        self._telling: asyncio.Future[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    def hold(self, message: QueueMessage, since: float) -> bool:
        """Take a message in hand that was asked for at `since`; False if it just has a new lease."""
        until = since + self._visibility
        known = self._held.get(message.id)
        if known is not None:
            known.lease_id, known.until = message.lease_id, until
            return False
        self._retries.pop(message.id, None)  # here it is again
        if not self._held:
            self._due = since + self._visibility / 2
        self._held[message.id] = _Lease(message, since, until)
        self._awake(self._due)
        return True

    def is_leased(self, message_id: str) -> bool:
        """Whether the message is in hand and surely nobody else's."""
        lease = self._held.get(message_id)
        return lease is not None and self._clock.now() < lease.until

    def done(self, message_id: str) -> None:
        """Give a message up for good: it is acknowledged with the next `tell`."""
        if lease := self._held.pop(message_id, None):
            self._acks[message_id] = lease

    def hand_back(self, message_id: str, delay: float = 0.0) -> None:
        """Give a message up for now: it is asked for again with the next `tell`."""
        if lease := self._held.pop(message_id, None):
            lease.delay = delay
            self._retries[message_id] = lease

    def forget(self, message_id: str) -> None:
        """Give a message up whose lease has ended: it comes again by itself."""
        self._held.pop(message_id, None)

    async def tell(self) -> None:
        """Tell the queue what was given up. After an error it is told again the next time.

        A request goes on when this call is cancelled: who asks for events with a short time-out would never
        get to the end of one.
        """
        while self._telling is not None or self._acks or self._retries:
            if self._telling is None:
                self._telling = asyncio.ensure_future(self._tell_some())
                self._telling.add_done_callback(take_note)
            telling = self._telling
            await asyncio.wait({telling})
            if self._telling is telling:
                self._telling = None
            try:
                telling.result()
            finally:
                del telling  # else an error would keep this object alive, by way of its own traceback

    async def try_to_tell(self) -> bool:
        """The same, but an error is only logged; False if there was one."""
        try:
            await self.tell()
        except BuildsError as error:
            # Its text: a record that is kept would keep this object alive, by way of the traceback.
            logger.warning("%s; what was acknowledged will be so with the next request", str(error))
            return False
        return True

    async def aclose(self) -> None:
        """Hand back what is held, tell the queue, and end the keeper. What can't be told now never is."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        for message_id in tuple(self._held):
            self.hand_back(message_id)
        await self.try_to_tell()
        self._acks.clear()
        self._retries.clear()

    @property
    def next_duty(self) -> float | None:
        """When leases are to be extended and the queue is to be told; None if there is nothing to do."""
        oldest = self._clock.now() - MAX_HELD
        waiting = (*self._held.values(), *self._acks.values(), *self._retries.values())
        return self._due if any(lease.since > oldest for lease in waiting) else None

    async def tend(self) -> None:
        """Do what is due."""
        now = self._clock.now()
        if now < self._due:
            return
        self._due = now + self._visibility / 2
        extended, told = await self._extend(), await self.try_to_tell()
        if not (extended and told):
            self._due = self._next_try()

    async def _tell_some(self) -> None:
        acks, retries = _first(self._acks), _first(self._retries)
        try:
            answer = await self._source.ack(
                self._queue_id,
                acks=[lease.lease_id for lease in acks],
                retries=[(lease.lease_id, lease.delay) for lease in retries],
            )
        except BuildsError:
            self._put_back(acks, retries)
            raise
        self._warn("acknowledging", answer.warnings)

    async def _extend(self) -> bool:
        now = self._clock.now()
        leases = [lease for lease in self._held.values() if lease.since > now - MAX_HELD]
        if not leases:
            return True
        try:
            answer = await self._source.extend(
                self._queue_id,
                [lease.lease_id for lease in leases],
                visibility_timeout_ms=round(self._visibility * 1000),
            )
        except BuildsError as error:
            logger.warning("%s; leases could not be extended", str(error))
            return False
        self._warn("extending leases", answer.warnings)
        for lease in leases:
            if lease.lease_id not in (answer.warnings or ()):
                lease.until = now + self._visibility
            # The old id goes on to be used unless the answer names another.
            lease.lease_id = (answer.lease_ids or {}).get(lease.lease_id, lease.lease_id)
        return True

    def _put_back(self, acks: list[_Lease], retries: list[_Lease]) -> None:
        for lease in acks:
            self._acks.setdefault(lease.message_id, lease)
        for lease in retries:
            if lease.message_id not in self._held:  # else it has come by itself
                self._retries.setdefault(lease.message_id, lease)
        self._awake(self._next_try())

    def _next_try(self) -> float:
        return self._clock.now() + self._visibility / 2 / _TRIES

    def _awake(self, due: float) -> None:
        """Have a keeper; a new one has its first duty when it is `due`."""
        if self._closed or (self._keeper is not None and not self._keeper.done()):
            return
        self._due = due
        loop = asyncio.get_running_loop()

        def end(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(keeper.cancel)  # the collector may run in any thread

        keeper = loop.create_task(_keep(weakref.ref(self, end), self._clock))
        self._keeper = keeper

    def _warn(self, what: str, warnings: Mapping[str, str] | tuple[str, ...] | None) -> None:
        if warnings:
            texts = warnings.values() if isinstance(warnings, Mapping) else warnings
            logger.warning("Warnings of queue %s on %s: %s", self._queue_id, what, "; ".join(texts))


async def _keep(reference: weakref.ref[Leases], clock: Clock) -> None:
    while (leases := reference()) is not None and (moment := leases.next_duty) is not None:
        del leases  # not held while asleep
        await clock.sleep(moment - clock.now())
        if (leases := reference()) is not None:
            await leases.tend()


def _first(leases: dict[str, _Lease]) -> list[_Lease]:
    return [leases.pop(message_id) for message_id in tuple(islice(leases, _AT_ONCE))]
