"""Closing a stream hands back the events in hand and leaves no task."""

import asyncio

import pytest

from builds_async import (
    BuildEvent,
    BuildsConnectionError,
)
from builds_async.simulator import (
    VirtualClock,
)
from tests.live.events.support import Source, ended, stream_of, taken, within
from tests.support import nothing_left, tasks


class TestClosing:
    async def test_hands_back(self, source: Source) -> None:
        """Closing acknowledges the processed events and hands back the others at once."""
        uuids = ended(source.sim, 5)
        async with nothing_left():
            async with stream_of(source) as stream:
                await taken(stream, 2)
            (sent,) = source.of("ack")
            assert (len(sent["acks"]), len(sent["retries"])) == (1, 4)
            assert {retry["delay_seconds"] for retry in sent["retries"]} == {0}
            await stream.aclose()
            assert len(source.of("ack")) == 1
        async with stream_of(source) as other:
            assert sorted(await taken(other, 4)) == sorted(uuids[1:])

    async def test_ends_the_loop(self, source: Source, clock: VirtualClock) -> None:
        """Closing ends a waiting loop at once."""
        async with nothing_left():
            stream = stream_of(source)

            async def consume() -> list[BuildEvent]:
                return [event async for event in stream]

            consumer = asyncio.ensure_future(consume())
            await clock.sleep(3)
            await stream.aclose()
            assert await consumer == []
            assert clock.now() == 3
            assert [event async for event in stream] == []
        assert repr(stream) == f"<EventStream {source.queue_id} closed>"

    async def test_while_it_pulls(self, source: Source, clock: VirtualClock) -> None:
        """Closing cancels a pull in flight and ends the reader's loop."""
        source.latency = 5.0
        ended(source.sim)
        async with nothing_left():
            stream = stream_of(source)
            asking = asyncio.ensure_future(anext(stream))
            await clock.sleep(1)
            await stream.aclose()
            with pytest.raises(StopAsyncIteration):
                await asking

    async def test_pull_without_a_reader(self, source: Source, clock: VirtualClock) -> None:
        """Events of a pull whose reader was canceled are handed back as well."""
        source.latency = 1.0
        ended(source.sim)
        async with nothing_left():
            stream = stream_of(source)
            assert await within(0.5, stream) is None
            await clock.sleep(5)
            await stream.aclose()
        async with stream_of(source) as other:
            await anext(other)
            assert clock.now() < 20

    async def test_failing(self, source: Source, clock: VirtualClock) -> None:
        """Closing does not fail: an error is logged, and the queue redelivers the events."""
        ended(source.sim, 2)
        source.fail("ack", BuildsConnectionError("reset"))
        async with nothing_left():
            stream = stream_of(source)
            await taken(stream, 2)
            with clock.hold():
                await stream.aclose()
                assert len(tasks()) == 1
        assert source.queue.backlog == 2

    async def test_while_the_keeper_works(self, source: Source, clock: VirtualClock) -> None:
        """Closing waits for the keeper's request and does not repeat it."""
        ended(source.sim, 3)
        async with nothing_left():
            stream = stream_of(source, visibility_timeout=40)
            await taken(stream, 2)
            source.latency = 3.0
            await clock.sleep(24)  # extends at 20, flushes from 23 on
            assert source.when("ack") == [23]
            await stream.aclose()
            assert clock.now() == 29
        assert [(len(body["acks"]), len(body["retries"])) for body in source.of("ack")] == [(1, 0), (0, 2)]
        assert source.queue.backlog == 2

    async def test_while_the_reader_flushes(self, source: Source, clock: VirtualClock) -> None:
        """A reader that is canceled after closing leaves no keeper behind."""
        ended(source.sim, 1)
        async with nothing_left():
            stream = stream_of(source)
            await anext(stream)
            source.latency = 3.0
            asking = asyncio.ensure_future(anext(stream))
            await clock.sleep(1)
            await stream.aclose()
            asking.cancel()
            await asyncio.wait({asking})
