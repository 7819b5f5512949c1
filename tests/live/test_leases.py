"""Messages in hand, and which of their leases counts."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from builds_async import QueueAcks, QueueExtension, QueueMessage
from builds_async.live.leases import Leases
from builds_async.models.queues import QueueBatch
from tests.support import FakeClock


class Queue:
    """A queue that records its requests."""

    def __init__(self) -> None:
        self.acks: list[str] = []
        self.retries: list[str] = []
        self.extended: list[list[str]] = []

    async def pull(self, queue_id: str, *, batch_size: int, visibility_timeout_ms: int) -> QueueBatch:
        raise NotImplementedError

    async def ack(
        self, _queue_id: str, *, acks: Iterable[str], retries: Iterable[tuple[str, float]]
    ) -> QueueAcks:
        self.acks += acks
        self.retries += [lease for lease, _ in retries]
        return QueueAcks()

    async def extend(
        self, _queue_id: str, lease_ids: Iterable[str], *, visibility_timeout_ms: int
    ) -> QueueExtension:
        assert visibility_timeout_ms == 100_000
        self.extended.append([*lease_ids])
        return QueueExtension()


class StillClock(FakeClock):
    """A clock that wakes no sleeper, because the test calls `renew_due` itself."""

    async def sleep(self, _: float) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def still() -> StillClock:
    return StillClock()


@pytest.fixture
async def leases(queue: Queue, still: StillClock) -> AsyncIterator[Leases]:
    held = Leases(queue, "q", visibility=100.0, clock=still)
    yield held
    await held.aclose()


async def test_message_that_is_pulled_again(leases: Leases, queue: Queue, still: StillClock) -> None:
    """A message that is redelivered while held is not delivered twice, and its new lease counts."""
    assert leases.hold(QueueMessage(id="m", lease_id="old"), since=0.0)
    still.advance(60)
    assert not leases.hold(QueueMessage(id="m", lease_id="new"), since=60.0)
    still.advance(60)  # the old lease has expired
    assert leases.is_leased("m")
    await leases.renew_due()
    assert queue.extended == [["new"]]
    leases.acknowledge("m")
    await leases.flush()
    assert queue.acks == ["new"]
    still.advance(200)
    assert not leases.is_leased("m")


async def test_new_lease_that_expires(leases: Leases, still: StillClock) -> None:
    """A new lease starts with its request."""
    leases.hold(QueueMessage(id="m", lease_id="old"), since=0.0)
    leases.hold(QueueMessage(id="m", lease_id="new"), since=60.0)
    still.advance(159)
    assert leases.is_leased("m")
    still.advance(2)
    assert not leases.is_leased("m")


async def test_message_that_was_handed_back(leases: Leases, queue: Queue) -> None:
    """A message that returns after it was handed back is held again and not handed back twice."""
    leases.hold(QueueMessage(id="m", lease_id="old"), since=0.0)
    leases.hand_back("m")
    assert leases.hold(QueueMessage(id="m", lease_id="new"), since=1.0)
    leases.acknowledge("m")
    await leases.flush()
    assert (queue.acks, queue.retries) == (["new"], [])
