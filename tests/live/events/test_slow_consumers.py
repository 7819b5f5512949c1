"""Leases are extended while a consumer works, and no event is delivered without a lease."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from builds_async import (
    BuildsTimeoutError,
    InternalServerError,
    QueueMessage,
)
from builds_async.live.leases import Leases
from builds_async.simulator import (
    BuildsSimulator,
    VirtualClock,
)
from tests.live.events.support import Source, ended, stream_of, taken, within
from tests.support import tasks


class TestSlowConsumer:
    @pytest.mark.slow
    @pytest.mark.parametrize("extended_leases", ["same", "listed", "hidden"])
    @pytest.mark.parametrize("warnings", ["map", "list"])
    async def test_once_each(
        self, extended_leases: str, warnings: str, sim: BuildsSimulator, clock: VirtualClock
    ) -> None:
        """At ten minutes per event and a visibility of 30 s, each event is delivered once."""
        options: Any = {"extended_leases": extended_leases, "warnings": warnings, "max_retries": 100}
        source = Source(sim, sim.add_queue(**options))
        uuids = ended(sim, 12)
        got = []
        async with stream_of(source, visibility_timeout=30) as stream:
            for _ in uuids:
                got.append((await anext(stream)).build_uuid)
                await clock.sleep(600)
            assert await within(1000, stream) is None
        assert sorted(got) == sorted(uuids)
        assert source.queue.backlog == 0

    async def test_first_attempt(self, source: Source, clock: VirtualClock) -> None:
        """An event that is delivered within the hour is on its first attempt: it was never handed back."""
        ended(source.sim, 5)
        async with stream_of(source, visibility_timeout=30) as stream:
            for _ in range(5):
                assert (await anext(stream)).attempts == 1
                await clock.sleep(600)

    async def test_pace(self, source: Source, clock: VirtualClock) -> None:
        """All leases are extended in one request when half of the visibility timeout has passed."""
        ended(source.sim, 5)
        async with stream_of(source, visibility_timeout=40) as stream:
            await anext(stream)
            await clock.sleep(99)
        assert source.when("extend") == [20, 40, 60, 80]
        assert [len(body["extend"]) for body in source.of("extend")] == [5] * 4
        assert {body["visibility_timeout_ms"] for body in source.of("extend")} == {40_000}

    async def test_quick(self, source: Source) -> None:
        """A quick consumer extends no lease."""
        ended(source.sim, 30)
        async with stream_of(source) as stream:
            await taken(stream, 30)
        assert source.of("extend") == []

    async def test_an_hour(self, source: Source, clock: VirtualClock) -> None:
        """No event is held longer than an hour, and its late acknowledgement still counts."""
        ended(source.sim)
        async with stream_of(source, visibility_timeout=60) as stream:
            event = await anext(stream)
            await clock.sleep(7200)
            assert 3540 <= source.when("extend")[-1] <= 3600
            assert len(tasks()) == 1
            async with stream_of(source) as other:
                again = await anext(other)
                assert (again.build_uuid, again.attempts) == (event.build_uuid, 2)
            assert await within(100, stream) is None
        assert source.queue.backlog == 0

    async def test_failing_extension(self, source: Source) -> None:
        """A failed extension is retried before the lease expires, and no other consumer gets the event."""
        uuids = ended(source.sim, 2)
        source.fail("extend", BuildsTimeoutError("slow"), InternalServerError("oh", status=500))
        async with stream_of(source, visibility_timeout=40) as stream, stream_of(source) as other:
            assert await taken(stream, 1) == uuids[:1]
            assert await within(100, other) is None
            assert await taken(stream, 1) == uuids[1:]
        assert source.when("extend")[:4] == [20, 25, 30, 50]

    async def test_new_lease_ids(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """New lease ids in the response replace the old ones."""
        source = Source(sim, sim.add_queue(extended_leases="listed"))
        ended(sim, 2)
        async with stream_of(source, visibility_timeout=40) as stream:
            for left in (1, 0):
                event = await anext(stream)
                await clock.sleep(99)
                await stream.ack(event)
                assert source.queue.backlog == left

    async def test_refused_extension(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An event whose extension draws a warning is not delivered without a lease."""
        source = Source(sim, sim.add_queue(extended_leases="hidden"))
        ended(sim, 2)
        async with stream_of(source, visibility_timeout=40) as stream:
            assert (await anext(stream)).attempts == 1
            await clock.sleep(70)
            assert (await anext(stream)).attempts == 2

    async def test_lost_lease(self, source: Source, clock: VirtualClock) -> None:
        """An event whose lease was lost is not delivered until it is pulled again."""
        uuids = ended(source.sim, 2)
        source.fail("extend", *[InternalServerError("oh", status=500)] * 10)
        async with stream_of(source, visibility_timeout=40) as stream:
            assert await taken(stream, 1) == uuids[:1]
            await clock.sleep(50)
            async with stream_of(source) as other:
                assert await taken(other, 2) == uuids
                assert await within(50, stream) is None
            event = await anext(stream)
            assert (event.build_uuid, event.attempts) == (uuids[1], 3)


class TestLeases:
    """States that a stream never reaches by itself."""

    def leases(self, source: Source) -> Leases:
        return Leases(source, source.queue_id, visibility=60, clock=source.sim.clock)

    async def test_ages(self, source: Source, clock: VirtualClock) -> None:
        """The hour is counted separately for each message."""
        leases = self.leases(source)
        leases.hold(QueueMessage(id="old", lease_id="old"), clock.now())
        await clock.sleep(1800)
        leases.hold(QueueMessage(id="new", lease_id="new"), clock.now())
        await clock.sleep(1000)
        assert source.of("extend")[-1]["extend"] == [{"lease_id": "old"}, {"lease_id": "new"}]
        await clock.sleep(1000)
        assert source.of("extend")[-1]["extend"] == [{"lease_id": "new"}]
        await leases.aclose()

    async def test_not_in_hand(self, source: Source) -> None:
        """Nothing is sent for a message that is not in hand."""
        leases = self.leases(source)
        leases.acknowledge("m")
        leases.hand_back("m")
        leases.forget("m")
        assert not leases.is_leased("m")
        await leases.aclose()
        assert source.calls == []

    async def test_delivered_during_a_flush(self, source: Source, clock: VirtualClock) -> None:
        """A message that arrives while its request fails is not requested again."""
        leases, message = self.leases(source), QueueMessage(id="m", lease_id="l")
        source.latency = 5.0
        source.fail("ack", BuildsTimeoutError("slow"))
        leases.hold(message, clock.now())
        leases.hand_back("m")
        telling = asyncio.ensure_future(leases.try_flush())
        await clock.sleep(1)
        leases.hold(message, clock.now())
        assert not await telling
        leases.acknowledge("m")
        await leases.aclose()
        assert [len(body["retries"]) for body in source.of("ack")] == [1, 0]


class TestWarnings:
    @pytest.mark.parametrize("shape", ["map", "list"])
    async def test_logged(
        self, shape: Any, sim: BuildsSimulator, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The queue's warnings are logged and are not an error."""
        source = Source(sim, sim.add_queue(warnings=shape))
        ended(sim)
        async with stream_of(source) as stream:
            event = await anext(stream)
            assert source.queue.ack(
                msgspec.json.encode({"acks": [{"lease_id": source.queue._messages.waiting[0].leases[0]}]})
            )
            with caplog.at_level(logging.WARNING, "builds_async"):
                await clock.sleep(61)
                await stream.ack(event)
        assert caplog.messages == [
            f"Warnings of queue {source.queue_id} on {what}: there is no such lease"
            for what in ("extending leases", "acknowledging")
        ]
