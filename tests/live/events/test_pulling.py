"""When a queue is pulled, which failures are tolerated, and the fate of a canceled pull."""

import asyncio
from typing import Any

import pytest

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildEvent,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.simulator import (
    VirtualClock,
)
from tests.live.events.support import Source, ended, stream_of, taken, within
from tests.support import nothing_left, settle
from tests.support.case import cases


class TestPace:
    async def test_empty(self, source: Source) -> None:
        """An empty queue is pulled at growing intervals up to the maximum; a message resets the pace."""
        async with stream_of(source, poll_interval=2, max_poll_interval=8) as stream:
            assert await within(40, stream) is None
            assert source.when("pull") == [0, 2, 5, 9.5, 16.25, 24.25, 32.25]
            ended(source.sim)
            await anext(stream)
            del source.calls[:]
            assert await within(7, stream) is None
            assert [round(when - 40.25, 2) for when in source.when("pull")] == [2, 4]

    async def test_full(self, source: Source, clock: VirtualClock) -> None:
        """The next pull follows at once after a full batch, and one interval later after any other."""
        ended(source.sim, 25)
        async with stream_of(source, poll_interval=7) as stream:
            await taken(stream, 25)
            assert clock.now() == 0
            ended(source.sim, 1)
            await anext(stream)
            assert clock.now() == 7

    async def test_slow_reader(self, source: Source, clock: VirtualClock) -> None:
        """A consumer that took longer than the interval does not wait."""
        ended(source.sim, 2)
        async with stream_of(source, batch_size=5) as stream:
            await taken(stream, 2)
            await clock.sleep(3)
            ended(source.sim, 1)
            await anext(stream)
            assert clock.now() == 3

    @cases(
        ("options", "said"),
        [
            ({"batch_size": 0}, "batch_size must be 1 to 100, not 0"),
            ({"batch_size": 101}, "batch_size must be 1 to 100, not 101"),
            ({"visibility_timeout": 0.5}, "visibility_timeout must be 1 to 43200 seconds, not 0.5"),
            ({"visibility_timeout": 43201}, "seconds, not 43201"),
            ({"poll_interval": 0}, "poll_interval must be above 0 s and finite, not 0"),
            ({"max_poll_interval": -1}, "max_poll_interval must be above 0 s and finite, not -1"),
        ],
        ids=str,
    )
    def test_misuse(self, options: Any, said: str, source: Source) -> None:
        """Values out of range raise a ValueError that names the argument."""
        with pytest.raises(ValueError, match=said):
            stream_of(source, **options)


class TestErrors:
    @pytest.mark.parametrize(
        "error",
        [
            AuthenticationError("no", status=401),
            PermissionDeniedError("no", status=403),
            NotFoundError("no", status=404),
            BadRequestError("no", status=400),
            BuildsConnectionError("not trusted", sent=False, transient=False),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_raised(self, error: BuildsError, source: Source) -> None:
        """A refusal is raised at once, and the loop can continue at the stream's pace."""
        uuids = ended(source.sim)
        source.fail("pull", error)
        async with stream_of(source) as stream:
            with pytest.raises(type(error)) as caught:
                await anext(stream)
            assert caught.value is error
            assert await taken(stream, 1) == uuids
            assert source.when("pull") == [0, 2]

    @pytest.mark.parametrize(
        "error",
        [
            BuildsConnectionError("reset"),
            BuildsTimeoutError("slow"),
            InternalServerError("oh", status=500),
            APIError("slow", status=408),
            ResponseDecodeError("<html>", status=200, transient=True),
            RateLimitError("blocked", retry_after=300),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_outage(self, error: BuildsError, source: Source, clock: VirtualClock) -> None:
        """Transient errors are retried with growing pauses, until they outlast the patience."""
        uuids = ended(source.sim)
        source.fail("pull", *[error] * 5, None, *[error] * 50)
        async with stream_of(source, patience=60) as stream:
            assert await taken(stream, 1) == uuids
            assert source.when("pull") == [0, 2, 4, 8, 16, 31]
            start = clock.now()
            with pytest.raises(type(error)):
                await anext(stream)
            assert [when - start for when in source.when("pull")[6:]] == [2, 4, 6, 10, 18, 33, 48, 62]
            with pytest.raises(type(error)):
                await anext(stream)
            assert [when - start for when in source.when("pull")[14:]] == [77]

    async def test_in_a_row(self, source: Source) -> None:
        """A successful pull resets the patience."""
        error = BuildsConnectionError("reset")
        source.fail("pull", *[error, error, error, None] * 5)
        async with stream_of(source, patience=40) as stream:
            assert await within(500, stream) is None

    async def test_lost_response(self, source: Source) -> None:
        """Events of a pull whose response was lost are delivered when their lease expires."""
        uuids = ended(source.sim, 3)
        source.fail("pull", BuildsTimeoutError("slow"), lost=True)
        async with stream_of(source) as stream:
            events = [await anext(stream) for _ in range(3)]
        assert [event.build_uuid for event in events] == uuids
        assert [event.attempts for event in events] == [2, 2, 2]


class TestCancelling:
    async def test_timeouts(self, source: Source) -> None:
        """A timeout around each event loses no event and uses up no attempt."""
        source.latency = 1.0
        uuids = ended(source.sim, 4)
        got: list[BuildEvent] = []
        async with stream_of(source, batch_size=2) as stream:
            for _ in range(100):
                if event := await within(0.3, stream):
                    got.append(event)
        assert [event.build_uuid for event in got] == uuids
        assert [event.attempts for event in got] == [1] * 4

    async def test_taken_over_too_late(self, source: Source, clock: VirtualClock) -> None:
        """An event from a canceled pull is not delivered after its lease has expired."""
        source.latency = 1.0
        ended(source.sim)
        async with stream_of(source, visibility_timeout=10) as stream:
            assert await within(0.5, stream) is None
            await clock.sleep(60)
            assert (await anext(stream)).attempts == 2

    @pytest.mark.parametrize("action", ["pull", "ack"])
    async def test_caller_that_never_returns(
        self, action: str, source: Source, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An error of a request whose caller never returns is not logged by asyncio."""
        ended(source.sim)
        async with nothing_left():
            stream = stream_of(source)
            if action == "ack":
                await anext(stream)
            source.latency = 1.0
            source.fail(action, BuildsTimeoutError("slow"))
            assert await within(0.5, stream) is None
            del stream
            await clock.sleep(5)
        assert [record for record in caplog.records if record.name == "asyncio"] == []

    async def test_two_readers(self, source: Source) -> None:
        """A second task that reads while another waits gets a RuntimeError."""
        async with stream_of(source) as stream:
            first = asyncio.ensure_future(anext(stream))
            await settle()
            with pytest.raises(RuntimeError, match="another task is already reading this stream"):
                await anext(stream)
            first.cancel()
            await asyncio.wait({first})
