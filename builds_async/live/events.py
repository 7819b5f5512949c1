"""Build events out of a queue, each acknowledged when its consumer is done with it."""

import asyncio
import logging
from collections import deque
from types import TracebackType
from typing import Self, TypeVar

from builds_async.errors import APIError, BuildsConnectionError, BuildsError, ResponseDecodeError
from builds_async.live.background import take_note
from builds_async.live.leases import Leases, QueueSource
from builds_async.models.events import BuildEvent, read_event
from builds_async.models.queues import QueueBatch, QueueMessage
from builds_async.resources.queues import MAX_BATCH, MAX_DELAY, MAX_VISIBILITY
from builds_async.session.clock import Clock

K = TypeVar("K")

MEMORY = 1000
"""How many acknowledged events are remembered, so that a repeat of one is known."""

MAX_FAILURES = 5
"""How many pulls in a row may fail before the error is raised."""

_SLOW_DOWN = 1.5

_Key = tuple[str, str]

logger = logging.getLogger("builds_async")


class EventStream:
    """The build events of a queue, as an endless async iterator of `BuildEvent`.

    **At least once.** An event is acknowledged when the next one is asked for, never before. A consumer
    that raises, stops or is killed leaves it unacknowledged, and it comes again: at once when the next loop
    begins or the stream is closed, else when its lease ends. The queue counts each delivery and gives up
    after its `max_retries`. `await stream.ack(event)` acknowledges at once, `await stream.retry(event,
    delay=60)` asks for it again later. Acknowledgements go out in batches, no later than half a
    `visibility_timeout` after they were due.

    **Slow consumers.** While events are in hand, a task extends their leases, for at most an hour each; after
    that, an event that was not given out yet comes again, and the one that was may. The task ends
    when nothing is in hand, with `aclose()`, and when the stream is dropped.

    **Repeats.** An event that equals one of the last 1,000 acknowledged in `build_uuid` and `type` is
    acknowledged and dropped. The order is the queue's, which promises none.

    A message that is no build event, or can't be read, is logged once and left in the queue, for its dead
    letter queue.

    A class, not a generator: after a `break`, a time-out, a cancel or an error the next loop goes on.
    Connection errors, time-outs, 5xx and answers that can't be read are tolerated five times in a row, with
    growing pauses; then, like all others at once, they are raised. A failed acknowledgement or extension is
    logged and made up for.

    `async with` or `aclose()` ends the stream: what is in hand is handed back, no task is left, and the loop
    of whoever still waits ends. Closing the client does the same.
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
    ) -> None:
        if not 1 <= batch_size <= MAX_BATCH:
            raise ValueError(f"batch_size is 1 to {MAX_BATCH}, not {batch_size}")
        if not 1 <= visibility_timeout <= MAX_VISIBILITY:
            raise ValueError(f"visibility_timeout is 1 to {MAX_VISIBILITY} seconds, not {visibility_timeout}")
        if poll_interval <= 0 or max_poll_interval <= 0:
            raise ValueError(
                f"poll intervals are seconds above 0, not {poll_interval} and {max_poll_interval}"
            )
        self._source = source
        self._queue_id = queue_id
        self._clock = clock
        self._batch_size = batch_size
        self._visibility = visibility_timeout
        self._leases = Leases(source, queue_id, visibility=visibility_timeout, clock=clock)
        self._reading = False
        self._closed = False

        # What is in hand, and what was.
        self._buffer: deque[BuildEvent] = deque()
        self._current: BuildEvent | None = None
        self._acknowledged: dict[_Key, None] = {}
        self._left: dict[str, None] = {}

        # When: not before `_due`.
        self._min_interval = self._interval = poll_interval
        self._max_interval = max(poll_interval, max_poll_interval)
        self._due = self._asked_at = clock.now()
        self._failures = 0
        self._alarm: asyncio.Future[None] | None = None
        self._pulling: asyncio.Future[QueueBatch] | None = None

    def __repr__(self) -> str:
        return f"<EventStream {self._queue_id} {'closed' if self._closed else 'open'}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        """Begin a loop. The event that an interrupted one left unacknowledged is handed back."""
        if self._current is not None:
            self._leases.hand_back(self._current.message_id)
            self._current = None
        return self

    async def __anext__(self) -> BuildEvent:
        """Acknowledge the event given out before, and give the next. Waits while there is none.

        Cancelling it is safe.
        """
        if self._reading:
            raise RuntimeError("another task is already reading this stream; give each its own")
        self._reading = True
        try:
            self._finish_current()
            while not self._closed:
                if (event := self._next_in_hand()) is not None:
                    self._current = event
                    return event
                await self._fetch()
        finally:
            self._reading = False
        raise StopAsyncIteration

    async def ack(self, event: BuildEvent) -> None:
        """Acknowledge the event given out last, now, along with what else is due.

        ValueError if it is neither that one nor acknowledged already. Raises what the call raises; the event
        is done all the same, and its acknowledgement goes out with the next one.
        """
        if self._is_current(event):
            self._finish_current()
        elif _key(event) not in self._acknowledged:
            raise ValueError(f"only the event given out last can be acknowledged, not {event.message_id!r}")
        await self._leases.tell()

    async def retry(self, event: BuildEvent, *, delay: float = 0.0) -> None:
        """Ask for the event given out last to come again, after `delay` seconds, at most 24 hours.

        It counts as another delivery. ValueError if it is not the event given out last, or was acknowledged.
        Raises what the call raises; then it goes out with the next acknowledgements.
        """
        if not self._is_current(event):
            raise ValueError(
                f"only the event given out last can be asked for again, not {event.message_id!r}"
            )
        if not 0 <= delay <= MAX_DELAY:
            raise ValueError(f"delay is 0 to {MAX_DELAY} seconds, not {delay}")
        self._current = None
        self._leases.hand_back(event.message_id, delay)
        await self._leases.tell()

    async def aclose(self) -> None:
        """Send the acknowledgements that are due, hand back what is in hand, and end the stream."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._end_pull()
        self._current = None
        await self._leases.aclose()

    def _is_current(self, event: BuildEvent) -> bool:
        return self._current is not None and self._current.message_id == event.message_id

    def _finish_current(self) -> None:
        if self._current is not None:
            self._acknowledge(self._current)
            self._current = None

    def _acknowledge(self, event: BuildEvent) -> None:
        self._leases.done(event.message_id)
        _remember(self._acknowledged, _key(event))

    def _next_in_hand(self) -> BuildEvent | None:
        while self._buffer:
            event = self._buffer.popleft()
            if _key(event) in self._acknowledged:
                self._acknowledge(event)
            elif self._leases.is_leased(event.message_id):
                return event
            else:
                self._leases.forget(event.message_id)
        return None

    async def _fetch(self) -> None:
        """Tell the queue what is done, wait until the next pull is due, and make it."""
        await self._leases.try_to_tell()
        if not await self._wait():
            return
        try:
            batch = await self._pull()
        except BuildsError as error:
            if not self._tolerates(error):
                raise
            return
        self._failures = 0
        if batch is not None:
            self._absorb(batch)

    async def _wait(self) -> bool:
        """Until the next pull is due; False if the stream was closed meanwhile."""
        if (pause := self._due - self._clock.now()) > 0 and not self._closed:
            alarm = self._alarm = asyncio.ensure_future(self._clock.sleep(pause))
            try:
                await asyncio.wait({alarm})
            finally:
                alarm.cancel()
        return not self._closed

    async def _pull(self) -> QueueBatch | None:
        """One pull; None if closing the stream has ended it, or taken it over.

        It goes on when this call is cancelled, and the next call takes it over: cut short, it would lease
        messages that nobody sees.
        """
        if self._pulling is None:
            self._asked_at = self._clock.now()
            self._pulling = asyncio.ensure_future(
                self._source.pull(
                    self._queue_id,
                    batch_size=self._batch_size,
                    visibility_timeout_ms=round(self._visibility * 1000),
                )
            )
            self._pulling.add_done_callback(take_note)
        pulling = self._pulling
        await asyncio.wait({pulling})
        if self._pulling is not pulling:
            return None
        self._pulling = None
        try:
            return pulling.result()
        finally:
            del pulling  # else an error would keep this stream alive, by way of its own traceback

    async def _end_pull(self) -> None:
        pulling, self._pulling = self._pulling, None
        if pulling is None:
            return
        pulling.cancel()
        await asyncio.wait({pulling})
        if not pulling.cancelled() and pulling.exception() is None:
            for message in pulling.result().messages:
                self._leases.hold(message, self._asked_at)

    def _absorb(self, batch: QueueBatch) -> None:
        """Take messages in hand, and set the time of the next pull."""
        for message in batch.messages:
            event = read_event(message)
            if event is None:
                self._leave(message)
            elif self._leases.hold(message, self._asked_at):
                self._buffer.append(event)
        if batch.messages:
            self._interval = self._min_interval
        is_full = len(batch.messages) >= self._batch_size and bool(self._buffer)
        self._due = self._asked_at + (0 if is_full else self._interval)
        if not batch.messages:
            self._interval = min(self._interval * _SLOW_DOWN, self._max_interval)

    def _leave(self, message: QueueMessage) -> None:
        if message.id not in self._left:
            _remember(self._left, message.id)
            logger.warning(
                "Message %s of queue %s is no build event that can be read; it is left there",
                message.id,
                self._queue_id,
            )

    def _tolerates(self, error: BuildsError) -> bool:
        """Whether to go on after a failed pull. Sets the time of the next one, also if it is not."""
        self._failures += 1
        pause = min(self._min_interval * 2.0 ** (self._failures - 1), self._max_interval)
        self._due = self._clock.now() + pause  # who tries again in a loop is paced as well
        if self._failures <= MAX_FAILURES and _is_passing(error):
            logger.info("%s; pulling again in %.1f s", str(error), pause)
            return True
        self._failures = 0
        return False


def _is_passing(error: BuildsError) -> bool:
    if isinstance(error, APIError):
        return error.status >= 500 or error.status == 408
    if isinstance(error, BuildsConnectionError):
        return error.transient
    return isinstance(error, ResponseDecodeError)


def _key(event: BuildEvent) -> _Key:
    return event.build_uuid, event.type


def _remember(memory: dict[K, None], key: K) -> None:
    memory[key] = None
    if len(memory) > MEMORY:
        del memory[next(iter(memory))]
