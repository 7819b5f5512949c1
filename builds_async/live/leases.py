"""Holding messages of a queue: leases are extended while a message is held, and released in batches."""

import asyncio
import logging
import weakref
from collections.abc import Mapping
from itertools import islice

from builds_async.errors import BuildsError
from builds_async.live.background import SharedRequest
from builds_async.live.sources import QueueSource
from builds_async.models.queues import QueueMessage
from builds_async.session.clock import Clock

MAX_HELD = 3600.0
"""Seconds after which the lease of a held message is not extended any more."""

_AT_ONCE = 100
"""How many messages one request acknowledges. No limit is documented; a pull returns at most as many."""

_TRIES = 4
"""How many times a failed extension is retried before the lease ends."""

logger: logging.Logger = logging.getLogger("builds_async")


class _Lease:
    __slots__ = ("delay", "lease_id", "message_id", "since", "until")

    def __init__(self, message: QueueMessage, since: float, until: float) -> None:
        self.message_id = message.id
        self.lease_id = message.lease_id
        self.since = since
        self.until = until
        self.delay = 0.0


class Leases:
    """The held messages of one queue, and the released ones that have yet to be flushed.

    `acknowledge`, `hand_back` and `forget` release a message. `flush` sends the first two to the queue.

    While there are any messages, one task (the keeper) extends leases and flushes each time that half of the
    visibility timeout has passed; it retries failed requests. The keeper has only a weak reference to this
    object and ends with it: the messages of a dropped object come again when their leases end. No message is
    held for longer than an hour.
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
        self._flushing: SharedRequest[None] = SharedRequest()
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    def hold(self, message: QueueMessage, since: float) -> bool:
        """Hold a message that was requested at `since`; False if it was held already.

        Its lease counts from the request, not from the response: the server may have begun it then. A message
        that was held already has a new lease, and only that one is valid.
        """
        until = since + self._visibility
        known = self._held.get(message.id)
        if known is not None:
            known.lease_id, known.until = message.lease_id, until
            return False
        self._retries.pop(message.id, None)  # delivered again already: no retry is needed
        if not self._held:
            self._due = since + self._visibility / 2
        self._held[message.id] = _Lease(message, since, until)
        self._ensure_keeper(self._due)
        return True

    def is_leased(self, message_id: str) -> bool:
        """Whether the message is held, and no other consumer can have it."""
        lease = self._held.get(message_id)
        return lease is not None and self._clock.now() < lease.until

    def acknowledge(self, message_id: str) -> None:
        """Release a message for good, with the next `flush`."""
        if lease := self._held.pop(message_id, None):
            self._acks[message_id] = lease

    def hand_back(self, message_id: str, delay: float = 0.0) -> None:
        """Release a message for now: the next `flush` has it delivered again after `delay` seconds."""
        if lease := self._held.pop(message_id, None):
            lease.delay = delay
            self._retries[message_id] = lease

    def forget(self, message_id: str) -> None:
        """Drop a message whose lease has ended: the queue delivers it again by itself."""
        self._held.pop(message_id, None)

    async def flush(self) -> None:
        """Send acknowledgements and retries. After an error the next flush sends them again.

        A request continues when this call is canceled; the next call takes it over.
        """
        while self._flushing.is_running or self._acks or self._retries:
            await self._flushing.result(self._flush_some)

    async def try_flush(self) -> bool:
        """Flush, but only log an error; False if there was one."""
        try:
            await self.flush()
        except BuildsError as error:
            # Only its text: a handler that keeps the record would keep this object alive through the
            # traceback, and the keeper with it.
            logger.warning("%s; acknowledgements are sent again with the next request", str(error))
            return False
        return True

    async def aclose(self) -> None:
        """Hand back the held messages, flush, and end the keeper.

        If that flush fails there is no other: the leases then end by themselves.
        """
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        for message_id in tuple(self._held):
            self.hand_back(message_id)
        await self.try_flush()
        self._acks.clear()
        self._retries.clear()

    @property
    def next_due(self) -> float | None:
        """When the keeper has to extend and flush next; None if there is nothing to do."""
        # Nothing older than an hour keeps the task alive, not even an acknowledgement that always fails.
        oldest = self._clock.now() - MAX_HELD
        waiting = (*self._held.values(), *self._acks.values(), *self._retries.values())
        return self._due if any(lease.since > oldest for lease in waiting) else None

    async def renew_due(self) -> None:
        """Extend leases and flush, if that is due. A failed request is due again before the leases end."""
        now = self._clock.now()
        if now < self._due:
            return
        self._due = now + self._visibility / 2
        # Extending comes first: a late acknowledgement costs a repeat, a late extension all held messages.
        extended, flushed = await self._extend(), await self.try_flush()
        if not (extended and flushed):
            self._due = self._next_try()

    async def _flush_some(self) -> None:
        acks, retries = _take(self._acks), _take(self._retries)
        try:
            response = await self._source.ack(
                self._queue_id,
                acks=[lease.lease_id for lease in acks],
                retries=[(lease.lease_id, lease.delay) for lease in retries],
            )
        except BuildsError:
            self._put_back(acks, retries)
            raise
        self._warn("acknowledging", response.warnings)

    async def _extend(self) -> bool:
        now = self._clock.now()
        leases = [lease for lease in self._held.values() if lease.since > now - MAX_HELD]
        if not leases:
            return True
        try:
            response = await self._source.extend(
                self._queue_id,
                [lease.lease_id for lease in leases],
                visibility_timeout_ms=round(self._visibility * 1000),
            )
        except BuildsError as error:
            logger.warning("%s; leases could not be extended", str(error))
            return False
        self._warn("extending leases", response.warnings)
        for lease in leases:
            if lease.lease_id not in (response.warnings or ()):
                lease.until = now + self._visibility  # from the request, as in `hold`
            # The old id stays in use unless the response names a new one.
            lease.lease_id = (response.lease_ids or {}).get(lease.lease_id, lease.lease_id)
        return True

    def _put_back(self, acks: list[_Lease], retries: list[_Lease]) -> None:
        """Keep the messages of a failed flush. They may have arrived all the same: a repeat does no harm."""
        for lease in acks:
            self._acks.setdefault(lease.message_id, lease)
        for lease in retries:
            if lease.message_id not in self._held:  # else it was delivered again during the request
                self._retries.setdefault(lease.message_id, lease)
        self._ensure_keeper(self._next_try())

    def _next_try(self) -> float:
        # Leases are extended when half of their time has passed, which leaves the other half for retries.
        return self._clock.now() + self._visibility / 2 / _TRIES

    def _ensure_keeper(self, due: float) -> None:
        """Start a keeper that is first due at `due`, unless there is one."""
        if self._closed or (self._keeper is not None and not self._keeper.done()):
            return
        self._due = due
        loop = asyncio.get_running_loop()

        def end(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(keeper.cancel)  # the garbage collector may run in any thread

        keeper = loop.create_task(_keep(weakref.ref(self, end), self._clock))
        self._keeper = keeper

    def _warn(self, what: str, warnings: Mapping[str, str] | tuple[str, ...] | None) -> None:
        if warnings:
            texts = warnings.values() if isinstance(warnings, Mapping) else warnings
            logger.warning("Warnings of queue %s on %s: %s", self._queue_id, what, "; ".join(texts))


async def _keep(reference: weakref.ref[Leases], clock: Clock) -> None:
    while (leases := reference()) is not None and (moment := leases.next_due) is not None:
        del leases  # no reference while asleep: a dropped stream must end at once
        await clock.sleep(moment - clock.now())
        if (leases := reference()) is not None:
            await leases.renew_due()


def _take(leases: dict[str, _Lease]) -> list[_Lease]:
    """Remove the first leases, as many as one request may name."""
    return [leases.pop(message_id) for message_id in tuple(islice(leases, _AT_ONCE))]
