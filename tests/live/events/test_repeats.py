"""Which messages are not delivered: duplicates, and messages that are not build events."""

import logging

import pytest

from builds_async import (
    BuildEventType,
)
from builds_async.live.events import MEMORY
from builds_async.simulator import (
    BuildsSimulator,
)
from tests.live.events.support import Source, ended, stream_of, taken, within
from tests.support.events import wire


class TestRepeats:
    @pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
    async def test_at_least_once(self, batch_size: int, sim: BuildsSimulator) -> None:
        """An event that the queue delivers twice reaches the consumer once."""
        source = Source(sim, sim.add_queue(duplicate_every=2, max_retries=9))
        uuids = ended(sim, 20)
        async with stream_of(source, batch_size=batch_size) as stream:
            assert await taken(stream, 20) == uuids
            assert await within(1000, stream) is None
        assert source.queue.backlog == 0

    async def test_newest_lease(self, sim: BuildsSimulator) -> None:
        """A message that is redelivered while in hand is acknowledged with its newest lease."""
        source = Source(sim, sim.add_queue(duplicate_every=1))
        ended(sim)
        async with stream_of(source) as stream:
            await stream.ack(await anext(stream))
        assert [message.number for message in source.queue._messages.waiting] == [
            0
        ]  # the second message was acknowledged

    async def test_other_message(self, source: Source) -> None:
        """Another message of the same build and type is acknowledged and dropped; another type is not."""
        started, failed = wire("started", "running", None), wire()
        for event in (started, failed, failed, started):
            source.queue.send(event)
        async with stream_of(source) as stream:
            kinds = [(await anext(stream)).type for _ in range(2)]
            assert await within(500, stream) is None
        assert kinds == [BuildEventType.STARTED, BuildEventType.FAILED]
        assert source.queue.backlog == 0

    @pytest.mark.slow
    async def test_later(self, source: Source) -> None:
        """A duplicate that arrives much later is recognized as well."""
        source.queue.send(wire())
        async with stream_of(source) as stream:
            await anext(stream)
            assert await within(5000, stream) is None
            source.queue.send(wire())
            assert await within(5000, stream) is None
        assert source.queue.backlog == 0

    async def test_not_acknowledged(self, source: Source) -> None:
        """A duplicate of an event that was handed back is delivered, because one of the two must be."""
        source.queue.send(wire())
        source.queue.send(wire())
        async with stream_of(source) as stream:
            first = await anext(stream)
            await stream.retry(first, delay=100)
            second = await anext(stream)
            assert first.message_id != second.message_id
            assert await within(500, stream) is None
        assert source.queue.backlog == 0

    async def test_bounded(self, source: Source) -> None:
        """The stream remembers the last thousand events, and no more."""
        numbers = range(MEMORY + 1)
        for number in numbers:
            source.queue.send(wire(buildUuid=f"b-{number}"))
        async with stream_of(source, batch_size=100) as stream:
            await taken(stream, len(numbers))
            assert await within(1, stream) is None
            assert len(stream._acknowledged) == MEMORY
            for number in (1, 0):
                source.queue.send(wire(buildUuid=f"b-{number}"))
            assert await taken(stream, 1) == ["b-0"]


class TestUnreadable:
    async def test_left(self, source: Source, caplog: pytest.LogCaptureFixture) -> None:
        """A message that is not a build event becomes a dead letter, is logged once and blocks no other."""
        source.queue.send("hello")
        uuids = ended(source.sim, 2)
        with caplog.at_level(logging.WARNING, "builds_async"):
            async with stream_of(source) as stream:
                assert await taken(stream, 2) == uuids
                assert await within(2000, stream) is None
        assert source.queue.dead_letters == ("hello",)
        assert source.queue.backlog == 0
        assert len(caplog.messages) == 1
        assert "is not a readable build event; it is left in the queue" in caplog.messages[0]
        assert "hello" not in caplog.text
        assert source.acked == [2]

    async def test_full_of_them(self, source: Source) -> None:
        """A queue full of unreadable messages does not make the stream spin."""
        for number in range(50):
            source.queue.send(f"{number}")
        async with stream_of(source, batch_size=1) as stream:
            assert await within(60, stream) is None
        assert len(source.of("pull")) <= 31
        assert source.of("extend") == []
