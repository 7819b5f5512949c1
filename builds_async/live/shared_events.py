"""The build events of a queue, which one member of a fleet pulls at a time."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Self, TypeAlias

import msgspec

from builds_async.errors import ConfigurationError
from builds_async.live.background import Tasks
from builds_async.live.closing import ClosedAtExit
from builds_async.live.events import EventStream
from builds_async.live.ownership import Ownership
from builds_async.live.single_reader import SingleReader
from builds_async.models.events import BuildEvent
from builds_async.session.clock import Clock

REMEMBERED = 100
"""How many processed events the next member recognizes."""

_EVENT = "event"

_Key: TypeAlias = tuple[str, str]


class SharedEvents(ClosedAtExit):
    """The build events of a queue, as an async iterator. One member of a fleet pulls them at a time.

    Events come, and are acknowledged, as from `EventStream`. Only one member pulls, so more members cost no
    more requests. When it leaves or dies, another member continues. That one knows the last 100 events that
    were processed, and drops them if the queue delivers them again.

    `async with`, `aclose()` and closing the client hand over the queue. After `await fleet.leave()` the loop
    ends by itself.
    """

    def __init__(
        self,
        queue_id: str,
        make: Callable[[Iterable[_Key]], EventStream],
        *,
        fleet: Ownership,
        clock: Clock,
    ) -> None:
        self._key = f"queue:{queue_id}"
        self._make = make
        self._store = fleet.store
        self._tasks = Tasks(clock)
        self._clock = clock
        self._share = fleet.share([self._key], self._tasks.wake)
        self._stream: EventStream | None = None
        self._fence = self._seq = 0
        self._done: list[_Key] = []
        self._current: BuildEvent | None = None
        self._ready: BuildEvent | None = None
        self._single = SingleReader("these events")
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BuildEvent:
        """Acknowledge the last event, and return the next one. Canceling it is safe."""
        with self._single:
            await self._settle()
            while not self._closed and not (self._share.ended and self._stream is None):
                await self._reconcile()
                if self._ready is not None and self._share.is_sure(self._key):
                    self._current, self._ready = self._ready, None
                    return self._current
                if self._stream is not None and self._ready is None and not len(self._tasks):
                    self._tasks.start(_EVENT, self._pull(self._stream))
                await self._tasks.wait_until(self._clock.now() + 1.0)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Return unfinished events to the queue, and let another member pull."""
        self._closed = True
        await self._drop()
        await self._share.aclose()

    async def _settle(self) -> None:
        """Save that the last event was processed, for the member that pulls next."""
        event = self._current
        if event is None:
            return
        done = [*self._done, (event.build_uuid, str(event.type))][-REMEMBERED:]
        position = msgspec.json.encode(done).decode()
        if self._stream is not None:
            if await self._store.save(self._key, self._fence, self._seq + 1, position):
                self._seq, self._done = self._seq + 1, done
            else:  # another member pulls now, or a response was lost: begin again at the saved position
                await self._drop()
        self._current = None

    async def _reconcile(self) -> None:
        fence = self._share.held().get(self._key)
        if self._stream is not None and (fence != self._fence or self._share.leaving()):
            await self._drop()
            if fence == self._fence:
                await self._share.give_up([self._key])
            return
        if self._stream is None and fence is not None and not self._share.leaving():
            saved = await self._store.open(self._key, fence)
            if saved is None:
                await self._share.give_up([self._key])
                return
            done = _decoded(saved.position)
            self._fence, self._seq, self._done = fence, saved.seq, done
            self._stream = self._make(done)

    async def _pull(self, stream: EventStream) -> None:
        try:
            self._ready = await anext(stream)
        except StopAsyncIteration:
            self._closed = True  # with the client

    async def _drop(self) -> None:
        await self._tasks.aclose()
        stream, self._stream, self._ready = self._stream, None, None
        if stream is not None:
            await asyncio.shield(stream.aclose())


def _decoded(position: str | None) -> list[_Key]:
    if position is None:
        return []
    try:
        return msgspec.json.decode(position, type=list[_Key])
    except (msgspec.DecodeError, UnicodeError):
        raise ConfigurationError("the position in the store is not that of events") from None
