"""Build events from a queue, each acknowledged after its consumer has processed it."""

import logging
from collections import deque
from collections.abc import Iterable
from typing import Generic, Self, TypeVar

from builds_async.live.closing import ClosedAtExit
from builds_async.live.leases import Leases
from builds_async.live.patience import Patience
from builds_async.live.queue_poller import QueuePoller
from builds_async.live.single_reader import SingleReader
from builds_async.live.sources import QueueSource
from builds_async.models.events import BuildEvent, read_event
from builds_async.models.queues import MAX_BATCH, MAX_DELAY, MAX_VISIBILITY, QueueBatch, QueueMessage
from builds_async.session.clock import Clock
from builds_async.session.numbers import seconds

K = TypeVar("K")

MEMORY = 1000
"""How many acknowledged events are remembered, to recognize repeats."""

logger: logging.Logger = logging.getLogger("builds_async")


class EventStream(ClosedAtExit):
    """The build events of a queue, as an endless async iterator of `BuildEvent`.

    **At least once.** An event is acknowledged when the consumer requests the next one, never before. If the
    consumer raises, stops or is killed, its event is not acknowledged, and comes again: at once when the next
    loop begins or the stream is closed, otherwise when its lease ends. The queue counts each delivery and
    gives up after its `max_retries`. `await stream.ack(event)` acknowledges at once, and
    `await stream.retry(event, delay=60)` lets the queue deliver it again later. Acknowledgements are sent in
    batches, at most half a `visibility_timeout` after they were due.

    **Slow consumers.** While events are buffered, a task extends their leases, each for at most an hour.
    After that, an event that was not delivered comes again, and a delivered event may come again. The task
    ends when nothing is buffered, with `aclose()`, and when the stream is dropped.

    **Repeats.** An event with the same `build_uuid` and `type` as one of the last 1,000 acknowledged events
    is acknowledged and dropped. Events come in the order of the queue, which guarantees none.

    A message that is not a build event, or is unreadable, is logged once and left in the queue, which finally
    moves it to its dead letter queue.

    It is not a generator: after a `break`, a timeout, a cancellation or an error, the next loop continues.
    A `transient` error of a pull is raised when every pull has failed for the client's `patience` (300 s),
    and any other error at once. A failed acknowledgement or extension is logged and repeated.

    `async with` or `aclose()` ends the stream: it hands back the buffered events, leaves no task, and ends a
    loop that is waiting for an event. Closing the client does the same.
    """

    def __init__(
        self,
        source: QueueSource,
        queue_id: str,
        *,
        clock: Clock,
        batch_size: int = 10,
        visibility_timeout: float = 120.0,
        poll_interval: float = 2.0,
        max_poll_interval: float = 15.0,
        patience: Patience | None = None,
        acknowledged: Iterable[tuple[str, str]] = (),
    ) -> None:
        if not 1 <= batch_size <= MAX_BATCH:
            raise ValueError(f"batch_size must be 1 to {MAX_BATCH}, not {batch_size}")
        if not 1 <= visibility_timeout <= MAX_VISIBILITY:
            raise ValueError(
                f"visibility_timeout must be 1 to {MAX_VISIBILITY} seconds, not {visibility_timeout}"
            )
        self._queue_id = queue_id
        self._leases = Leases(source, queue_id, visibility=visibility_timeout, clock=clock)
        self._poller = QueuePoller(
            source,
            queue_id,
            clock=clock,
            batch_size=batch_size,
            visibility_timeout=visibility_timeout,
            poll_interval=seconds("poll_interval", poll_interval, above_zero=True),
            max_poll_interval=seconds("max_poll_interval", max_poll_interval, above_zero=True),
            patience=Patience(clock) if patience is None else patience,
        )
        self._buffer: deque[BuildEvent] = deque()
        self._current: BuildEvent | None = None  # delivered last, and not acknowledged
        self._acknowledged: _Recent[tuple[str, str]] = _Recent(MEMORY)
        for key in acknowledged:
            self._acknowledged.add(key)
        self._unreadable: _Recent[str] = _Recent(MEMORY)
        self._single = SingleReader("this stream")
        self._closed = False

    def __repr__(self) -> str:
        return f"<EventStream {self._queue_id} {'closed' if self._closed else 'open'}>"

    def __aiter__(self) -> Self:
        """Begin a loop. It hands back the event that an interrupted loop left unacknowledged."""
        if self._current is not None:
            self._leases.hand_back(self._current.message_id)
            self._current = None
        return self

    async def __anext__(self) -> BuildEvent:
        """Acknowledge the last event, and return the next one; waits until there is one.

        Canceling it is safe.
        """
        with self._single:
            # A consumer that requests the next event has processed the one before.
            self._finish_current()
            while not self._closed:
                if (event := self._next_buffered()) is not None:
                    self._current = event
                    return event
                await self._fetch()
        raise StopAsyncIteration

    async def ack(self, event: BuildEvent) -> None:
        """Acknowledge the last delivered event now, together with all acknowledgements that are due.

        ValueError for any other event that is not acknowledged already. An error of the request is raised,
        but the event counts as acknowledged, and the next request sends the acknowledgement again.
        """
        if self._is_current(event):
            self._finish_current()
        elif _key(event) not in self._acknowledged:
            raise ValueError(f"event must be the last delivered one, not message {event.message_id!r}")
        await self._leases.flush()

    async def retry(self, event: BuildEvent, *, delay: float = 0.0) -> None:
        """Let the queue deliver the last event again, after `delay` seconds, at most 24 hours.

        The queue counts that as another delivery. ValueError for any event but the last delivered one, and
        for that one once it is acknowledged. An error of the request is raised, and the retry is sent again
        with the next acknowledgements.
        """
        if not self._is_current(event):
            raise ValueError(
                f"event must be the last delivered one and unacknowledged, not message {event.message_id!r}"
            )
        if not 0 <= delay <= MAX_DELAY:
            raise ValueError(f"delay must be 0 to {MAX_DELAY} seconds, not {delay}")
        self._current = None
        self._leases.hand_back(event.message_id, delay)
        await self._leases.flush()

    async def aclose(self) -> None:
        """Send the acknowledgements that are due, hand back the buffered events, and end the stream."""
        self._closed = True
        # A pull that completes while it is canceled has leased its messages. They are handed back too, since
        # they would be invisible until their leases end.
        if (batch := await self._poller.aclose()) is not None:
            for message in batch.messages:
                self._leases.hold(message, self._poller.requested_at)
        self._current = None
        await self._leases.aclose()

    def _is_current(self, event: BuildEvent) -> bool:
        return self._current is not None and self._current.message_id == event.message_id

    def _finish_current(self) -> None:
        if self._current is not None:
            self._acknowledge(self._current)
            self._current = None

    def _acknowledge(self, event: BuildEvent) -> None:
        self._leases.acknowledge(event.message_id)
        self._acknowledged.add(_key(event))

    def _next_buffered(self) -> BuildEvent | None:
        while self._buffer:
            event = self._buffer.popleft()
            if _key(event) in self._acknowledged:  # a repeat under another message id: its message goes too
                self._acknowledge(event)
            elif self._leases.is_leased(event.message_id):
                return event
            else:  # another consumer may have it by now
                self._leases.forget(event.message_id)
        return None

    async def _fetch(self) -> None:
        """Flush acknowledgements, and then pull when that is due.

        In this order, because a pull may wait, and acknowledgements must not wait with it.
        """
        await self._leases.try_flush()
        batch = await self._poller.pull()
        if batch is not None:
            self._take(batch)

    def _take(self, batch: QueueBatch) -> None:
        """Buffer the messages of a batch."""
        for message in batch.messages:
            event = read_event(message)
            if event is None:
                self._leave(message)
            elif self._leases.hold(message, self._poller.requested_at):
                self._buffer.append(event)
        self._poller.taken(batch, useful=bool(self._buffer))

    def _leave(self, message: QueueMessage) -> None:
        """Leave a message in the queue, and log that once: it comes again until it is a dead letter.

        It is not acknowledged, because that would delete it, and another program may be able to read it.
        """
        if message.id not in self._unreadable:
            self._unreadable.add(message.id)
            logger.warning(
                "Message %s of queue %s is not a readable build event; it is left in the queue",
                message.id,
                self._queue_id,
            )


class _Recent(Generic[K]):
    """The last keys added, at most `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._keys: dict[K, None] = {}  # in the order in which they were first added

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: K) -> bool:
        return key in self._keys

    def add(self, key: K) -> None:
        self._keys[key] = None
        if len(self._keys) > self._size:
            del self._keys[next(iter(self._keys))]


def _key(event: BuildEvent) -> tuple[str, str]:
    # Not the message id: the same event may be sent in two messages.
    return event.build_uuid, event.type
