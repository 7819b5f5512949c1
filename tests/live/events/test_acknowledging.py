"""When an event is acknowledged, automatically or by hand, and when it is redelivered."""

import gc
import logging
import weakref

import pytest

from builds_async import (
    BuildsTimeoutError,
    InternalServerError,
)
from builds_async.simulator import (
    VirtualClock,
)
from tests.live.events.support import Source, ended, stream_of, taken, within
from tests.support import nothing_left, settle, tasks


class TestAcknowledging:
    async def test_acknowledged_with_the_next_request(self, source: Source, clock: VirtualClock) -> None:
        """An event is acknowledged when the next one is requested, and not before, however long it takes."""
        ended(source.sim)
        async with stream_of(source) as stream:
            await anext(stream)
            await clock.sleep(1000)
            assert source.of("ack") == []
            assert source.queue.backlog == 1
            assert await within(1, stream) is None
            assert source.acked == [1]
            assert source.queue.backlog == 0

    async def test_all(self, source: Source) -> None:
        """Every event is delivered once, and nothing is left in the queue."""
        uuids = ended(source.sim, 25)
        async with stream_of(source) as stream:
            assert await taken(stream, 25) == uuids
            assert await within(100, stream) is None
        assert source.queue.backlog == 0

    async def test_in_batches(self, source: Source) -> None:
        """Acknowledgements go out in one request per pulled batch."""
        ended(source.sim, 25)
        async with stream_of(source) as stream:
            await taken(stream, 25)
            assert source.acked == [10, 10]
            assert await within(1, stream) is None
            assert source.acked == [10, 10, 5]

    async def test_not_too_late(self, source: Source, clock: VirtualClock) -> None:
        """An acknowledgement waits no longer than half the visibility timeout."""
        ended(source.sim, 10)
        async with stream_of(source, visibility_timeout=30) as stream:
            asked = []
            for _ in range(10):
                asked.append(clock.now())
                await anext(stream)
                await clock.sleep(7)
        done = asked[1:]  # when each event was done
        sent = [
            when for when, number in zip(source.when("ack"), source.acked, strict=True) for _ in range(number)
        ]
        assert len(sent) == 9  # the last event was handed back
        assert all(0 <= at - since <= 15 for at, since in zip(sent, done, strict=True))
        assert len(source.of("ack")) <= 6

    async def test_raise(self, source: Source) -> None:
        """An event whose consumer raises is delivered again in the next loop, as another attempt."""
        uuids = ended(source.sim, 3)
        stream = stream_of(source)
        seen: list[tuple[str, int]] = []

        async def consume() -> None:
            async for event in stream:
                seen.append((event.build_uuid, event.attempts))
                if len(seen) == 2:
                    raise ZeroDivisionError
                if len(seen) == 4:
                    break

        with pytest.raises(ZeroDivisionError):
            await consume()
        assert source.acked == []
        await consume()
        assert seen == [(uuids[0], 1), (uuids[1], 1), (uuids[2], 1), (uuids[1], 2)]
        assert source.of("ack")[0]["retries"] == [
            {"lease_id": source.of("ack")[0]["retries"][0]["lease_id"], "delay_seconds": 0}
        ]
        await stream.aclose()

    async def test_break_and_drop(self, source: Source, clock: VirtualClock) -> None:
        """A dropped stream leaves no task, and its events are redelivered."""
        uuids = ended(source.sim, 3)

        async def consume() -> None:
            async for _ in stream_of(source):
                break

        with clock.hold():  # the keeper can't just wake up and notice
            async with nothing_left():
                await consume()
        async with stream_of(source) as other:
            start = clock.now()
            assert await within(119, other) is None
            again = [await anext(other) for _ in range(3)]
        assert [event.build_uuid for event in again] == uuids
        assert [event.attempts for event in again] == [2, 2, 2]
        assert clock.now() - start <= 135

    async def test_drop_a_slow_consumer(self, source: Source, clock: VirtualClock) -> None:
        """The keeper of a stream that is dropped late ends and extends nothing more."""
        ended(source.sim, 3)
        async with nothing_left():
            stream = stream_of(source, visibility_timeout=30)
            await anext(stream)
            await clock.sleep(200)
            assert len(tasks()) == 2
            extended = len(source.of("extend"))
            assert extended > 10
            with clock.hold():
                del stream
                gc.collect()
                await settle()
                assert len(tasks()) == 1
        await clock.sleep(200)
        assert len(source.of("extend")) == extended

    @pytest.mark.usefixtures("_no_collector")
    @pytest.mark.parametrize("action", ["pull", "ack", "extend"])
    async def test_drop_after_an_error(
        self, action: str, source: Source, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No tolerated error keeps a dropped stream alive, not even until the next collection."""
        caplog.set_level(logging.INFO, "builds_async")  # the records are kept
        ended(source.sim, 30)
        source.fail(action, BuildsTimeoutError("slow"), lost=True)
        stream = stream_of(source, visibility_timeout=30)
        await taken(stream, 15)
        await clock.sleep(50)
        assert "slow; " in caplog.text
        alive = weakref.ref(stream), weakref.ref(stream._leases)
        del stream
        assert [reference() for reference in alive] == [None, None]

    async def test_keeper_ends(self, source: Source, clock: VirtualClock) -> None:
        """The keeper ends by itself when no event is in hand."""
        ended(source.sim)
        stream = stream_of(source)
        event = await anext(stream)
        before = tasks()
        await stream.ack(event)
        await clock.sleep(61)
        assert len(tasks()) == len(before) - 1
        await stream.aclose()

    async def test_two_consumers(self, source: Source) -> None:
        """Two streams of one queue share its events, and each event goes to one of them."""
        uuids = ended(source.sim, 20)
        async with stream_of(source, batch_size=5) as one, stream_of(source, batch_size=5) as other:
            got = [uuid for _ in range(10) for stream in (one, other) for uuid in await taken(stream, 1)]
        assert sorted(got) == sorted(uuids)


class TestByHand:
    async def test_ack(self, source: Source) -> None:
        """`ack` acknowledges at once, and requesting the next event does not acknowledge it again."""
        uuids = ended(source.sim, 3)
        async with stream_of(source) as stream:
            first = await anext(stream)
            await stream.ack(first)
            assert source.acked == [1]
            assert source.queue.backlog == 2
            second = await anext(stream)
            assert [first.build_uuid, second.build_uuid] == uuids[:2]
            await stream.ack(second)
            await stream.ack(second)  # a second call does nothing
            assert source.acked == [1, 1]

    async def test_ack_of_the_one_before(self, source: Source) -> None:
        """`ack` of an earlier event sends the pending acknowledgements."""
        ended(source.sim, 3)
        async with stream_of(source) as stream:
            first = await anext(stream)
            await anext(stream)
            assert source.acked == []
            await stream.ack(first)
            assert source.acked == [1]

    async def test_not_handed_back(self, source: Source) -> None:
        """A new loop does not hand back an event that was acknowledged by hand."""
        ended(source.sim, 1)
        async with stream_of(source) as stream:
            async for event in stream:
                await stream.ack(event)
                break
            aiter(stream)
            assert await within(300, stream) is None
        assert source.queue.backlog == 0

    async def test_retry(self, source: Source, clock: VirtualClock) -> None:
        """After `retry`, an event is redelivered after the delay, and not before."""
        uuids = ended(source.sim, 2)
        async with stream_of(source) as stream:
            first = await anext(stream)
            start = clock.now()
            await stream.retry(first, delay=300)
            assert source.of("ack")[0]["retries"][0]["delay_seconds"] == 300
            assert await taken(stream, 1) == uuids[1:]
            again = await anext(stream)
            assert (again.build_uuid, again.attempts) == (uuids[0], 2)
            assert 300 <= clock.now() - start <= 316

    async def test_retry_at_once(self, source: Source, clock: VirtualClock) -> None:
        """`retry` without a delay redelivers the event with the next pull."""
        ended(source.sim, 1)
        async with stream_of(source) as stream:
            await stream.retry(await anext(stream))
            assert (await anext(stream)).attempts == 2
            assert clock.now() <= 2

    async def test_misuse(self, source: Source) -> None:
        """Only the most recently delivered event can be acknowledged or retried."""
        ended(source.sim, 3)
        async with stream_of(source) as stream:
            first = await anext(stream)
            with pytest.raises(ValueError, match="delay must be 0 to 86400 seconds, not -1"):
                await stream.retry(first, delay=-1)
            with pytest.raises(ValueError, match="delay must be 0 to 86400 seconds, not 86401"):
                await stream.retry(first, delay=86401)
            second = await anext(stream)
            with pytest.raises(ValueError, match=f"not message '{first.message_id}'"):
                await stream.retry(first)
            await stream.retry(second)
            with pytest.raises(ValueError, match=f"last delivered one.*not message '{second.message_id}'"):
                await stream.ack(second)
            with pytest.raises(ValueError, match="and unacknowledged"):
                await stream.retry(second)

    async def test_error(self, source: Source) -> None:
        """An error of `ack` is raised; the event counts as done and is acknowledged with the next one."""
        ended(source.sim, 1)
        source.fail("ack", InternalServerError("oh", status=500))
        async with stream_of(source) as stream:
            event = await anext(stream)
            with pytest.raises(InternalServerError):
                await stream.ack(event)
            assert source.queue.backlog == 1
            assert await within(300, stream) is None
            assert source.queue.backlog == 0

    async def test_error_of_retry(self, source: Source) -> None:
        """An error of `retry` is raised, and the event is still redelivered."""
        ended(source.sim, 1)
        source.fail("ack", BuildsTimeoutError("slow"))
        async with stream_of(source) as stream:
            with pytest.raises(BuildsTimeoutError):
                await stream.retry(await anext(stream))
            assert (await anext(stream)).attempts == 2


class TestLostAcks:
    @pytest.mark.parametrize("lost", [True, False], ids=["response lost", "request lost"])
    async def test_sent_again(self, lost: bool, source: Source) -> None:
        """A failed acknowledgement is sent with the next one, and causes no duplicate event."""
        uuids = ended(source.sim, 30)
        source.fail("ack", BuildsTimeoutError("slow"), BuildsTimeoutError("slow"), lost=lost)
        async with stream_of(source) as stream:
            assert await taken(stream, 30) == uuids
            assert source.acked == [10, 20]
            assert await within(500, stream) is None
        assert source.queue.backlog == 0

    async def test_by_the_keeper(self, source: Source, clock: VirtualClock) -> None:
        """The keeper repeats a failed acknowledgement while the consumer works."""
        ended(source.sim, 2)
        source.fail("ack", BuildsTimeoutError("slow"), BuildsTimeoutError("slow"))
        async with stream_of(source, visibility_timeout=40) as stream:
            await taken(stream, 2)
            await clock.sleep(100)
            assert source.when("ack") == [20, 25, 30]
            assert source.queue.backlog == 1

    async def test_redelivered(self, source: Source) -> None:
        """An event that the queue redelivers after long-failing acknowledgements is not delivered again."""
        uuids = ended(source.sim, 2)
        source.fail("ack", *[InternalServerError("oh", status=500)] * 12)
        async with stream_of(source, visibility_timeout=10) as stream:
            assert await taken(stream, 2) == uuids
            assert await within(1000, stream) is None
        assert source.queue.backlog == 0
        assert len(source.acked) < 40

    async def test_redelivered_by_the_queue(self, source: Source) -> None:
        """An event that the queue redelivered is not requested again."""
        ended(source.sim, 1)
        source.fail("ack", *[BuildsTimeoutError("slow")] * 1000)
        async with stream_of(source, visibility_timeout=5) as stream:
            with pytest.raises(BuildsTimeoutError):
                await stream.retry(await anext(stream))
            again = await anext(stream)
            assert again.attempts == 2
            source._plan.clear()
            await stream.ack(again)
            assert source.of("ack")[-1]["retries"] == []

    async def test_cancelled(self, source: Source, clock: VirtualClock) -> None:
        """A stream that is canceled during an acknowledgement completes it later by itself."""
        ended(source.sim, 1)
        source.latency = 5.0
        async with stream_of(source, visibility_timeout=40) as stream:
            await anext(stream)
            assert await within(1, stream) is None
            assert source.queue.backlog == 1
            await clock.sleep(100)
            assert source.queue.backlog == 0

    async def test_bounded(self, source: Source, clock: VirtualClock) -> None:
        """Failing acknowledgements are not repeated forever while no consumer reads."""
        ended(source.sim, 1)
        source.fail("ack", *[InternalServerError("oh", status=500)] * 1000)
        async with nothing_left():
            stream = stream_of(source)
            event = await anext(stream)
            with pytest.raises(InternalServerError):
                await stream.ack(event)
            await clock.sleep(3700)
            assert len(tasks()) == 1
            await stream.aclose()
        assert len(source.of("ack")) < 300
