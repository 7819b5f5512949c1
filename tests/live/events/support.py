"""A simulated queue without HTTP, and streams of it."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from builds_async import (
    BuildEvent,
    BuildsError,
    EventStream,
    QueueBatch,
)
from builds_async.live.patience import Patience
from builds_async.models.queues import QueueAcks, QueueExtension
from builds_async.simulator import (
    BuildsSimulator,
    SimulatedQueue,
)

T = TypeVar("T")


class Source:
    """A simulated queue without HTTP, with planned failures.

    `calls` holds (action, time, body). `fail(action, error, ...)` makes the next calls fail before they take
    effect, or after it with `lost`. None stands for a call that succeeds.
    """

    def __init__(self, sim: BuildsSimulator, queue_id: str) -> None:
        self.sim = sim
        self.queue_id = queue_id
        self.calls: list[tuple[str, float, Any]] = []
        self.latency = 0.0
        self._plan: dict[str, deque[tuple[BuildsError | None, bool]]] = {}

    @property
    def queue(self) -> SimulatedQueue:
        return self.sim.queues[self.queue_id]

    def fail(self, action: str, *errors: BuildsError | None, lost: bool = False) -> None:
        self._plan.setdefault(action, deque()).extend((error, lost) for error in errors)

    def of(self, action: str) -> list[Any]:
        """The bodies of the calls of one action."""
        return [body for it, _, body in self.calls if it == action]

    def when(self, action: str) -> list[float]:
        """The times of the calls of one action."""
        return [when for it, when, _ in self.calls if it == action]

    @property
    def acked(self) -> list[int]:
        """The number of acknowledgements in each request."""
        return [len(body["acks"]) for body in self.of("ack")]

    async def pull(self, queue_id: str, *, batch_size: int, visibility_timeout_ms: int) -> QueueBatch:
        body = {"batch_size": batch_size, "visibility_timeout_ms": visibility_timeout_ms}
        return await self._call("pull", queue_id, body, QueueBatch)

    async def ack(
        self, queue_id: str, *, acks: Iterable[str], retries: Iterable[tuple[str, float]]
    ) -> QueueAcks:
        body = {
            "acks": [{"lease_id": lease} for lease in acks],
            "retries": [{"lease_id": lease, "delay_seconds": int(delay)} for lease, delay in retries],
        }
        return await self._call("ack", queue_id, body, QueueAcks)

    async def extend(
        self, queue_id: str, lease_ids: Iterable[str], *, visibility_timeout_ms: int
    ) -> QueueExtension:
        body = {
            "extend": [{"lease_id": lease} for lease in lease_ids],
            "visibility_timeout_ms": visibility_timeout_ms,
        }
        return await self._call("extend", queue_id, body, QueueExtension)

    async def _call(self, action: str, queue_id: str, body: Any, kind: type[T]) -> T:
        assert queue_id == self.queue_id
        self.calls.append((action, self.sim.clock.now(), body))
        plan = self._plan.get(action)
        error, lost = plan.popleft() if plan else (None, False)
        await self.sim.clock.sleep(self.latency)
        try:
            if error is not None and not lost:
                raise error
            result = msgspec.convert(getattr(self.queue, action)(msgspec.json.encode(body)), kind)
            if error is not None:
                raise error
        finally:
            del error  # no cycle of error, traceback and this frame: a dropped stream is freed at once
        return result


def stream_of(source: Source, *, patience: float = 300.0, **options: Any) -> EventStream:
    clock = source.sim.clock
    sitting_out = Patience(clock, patience, verb="events")
    return EventStream(source, source.queue_id, clock=clock, patience=sitting_out, **options)


def ended(sim: BuildsSimulator, number: int = 1) -> list[str]:
    """Add builds that end now, and return their UUIDs."""
    builds = [sim.add_build() for _ in range(number)]
    for build in builds:
        build.finish()
    return [build.build_uuid for build in builds]


async def taken(stream: EventStream, number: int) -> list[str]:
    """The build UUIDs of the next events. The last event is not acknowledged."""
    return [(await anext(stream)).build_uuid for _ in range(number)]


async def within(seconds: float, stream: EventStream) -> BuildEvent | None:
    """The next event, or None if none arrives within `seconds` of the virtual clock."""
    clock = stream._poller._clock
    asking = asyncio.ensure_future(anext(stream))
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    await asyncio.wait({asking, alarm}, return_when=asyncio.FIRST_COMPLETED)
    alarm.cancel()
    if not asking.done():
        asking.cancel()
        await asyncio.wait({asking})
        return None
    try:
        return asking.result()
    finally:
        del asking  # as in `_call`
