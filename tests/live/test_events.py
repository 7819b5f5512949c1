"""`client.events`: what a message says, and when it is acknowledged, extended, handed back or dropped."""

import asyncio
import gc
import logging
import weakref
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildEvent,
    BuildEventType,
    BuildOutcome,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    BuildStatus,
    BuildsTimeoutError,
    BuildTriggerMetadata,
    BuildTriggerSource,
    EventStream,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    ProviderType,
    QueueBatch,
    QueueMessage,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.live.events import MEMORY
from builds_async.live.leases import Leases
from builds_async.live.queue_poller import MAX_FAILURES
from builds_async.models.events import read_event
from builds_async.models.queues import QueueAcks, QueueExtension
from builds_async.simulator import (
    BuildsSimulator,
    Fault,
    SimulatedBuild,
    SimulatedQueue,
    TokenKind,
    VirtualClock,
    build_script,
)
from tests.support import nothing_left, settle, tasks

T = TypeVar("T")

PREFIX = "cf.workersBuilds.worker.build."


def wire(
    kind: str = "failed", status: Any = "failed", outcome: Any = "failure", **payload: Any
) -> dict[str, Any]:
    """An event as the documents show it."""
    return {
        "type": PREFIX + kind,
        "source": {"type": "workersBuilds.worker", "workerName": "shop"},
        "payload": {
            "buildUuid": "b-1",
            "status": status,
            "buildOutcome": outcome,
            "createdAt": "2026-08-13T02:33:54.080Z",
            "initializingAt": "2026-08-13T02:33:55.000Z",
            "runningAt": "2026-08-13T02:33:58.000Z",
            "stoppedAt": "2026-08-13T02:34:40.500Z",
            "buildTriggerMetadata": {
                "buildTriggerSource": "push_event",
                "branch": "main",
                "commitHash": "",
                "commitMessage": "Fix",
                "author": "ada",
                "buildCommand": "npm run build",
                "deployCommand": "npx wrangler deploy",
                "rootDirectory": "/",
                "repoName": "shop",
                "providerAccountName": "acme",
                "providerType": "github",
            },
            **payload,
        },
        "metadata": {
            "accountId": "0123456789abcdef0123456789abcdef",
            "eventSubscriptionId": "fedcba9876543210fedcba9876543210",
            "eventSchemaVersion": 1,
            "eventTimestamp": "2026-08-13T02:34:41.000Z",
        },
    }


def text(event: Any) -> str:
    return msgspec.json.encode(event).decode()


def base64(event: Any) -> str:
    return b64encode(msgspec.json.encode(event)).decode()


def read(body: Any, **message: Any) -> BuildEvent | None:
    return read_event(QueueMessage(id="m-1", lease_id="l-1", body=body, **message))


class TestReading:
    @pytest.mark.parametrize(
        "encoded",
        [
            lambda event: event,
            text,
            base64,
            lambda event: text(text(event)),
            lambda event: base64(text(event)),
            lambda event: text(base64(event)),
            lambda event: base64(event).rstrip("="),
            lambda event: f"  {text(event)}\n",
            lambda event: "\n".join(base64(event)[at : at + 76] for at in range(0, 9999, 76)),
        ],
        ids=[
            "object",
            "JSON",
            "base64",
            "JSON in JSON",
            "JSON in base64",
            "base64 in JSON",
            "unpadded",
            "spaces",
            "lines",
        ],
    )
    @pytest.mark.parametrize("content_type", ["json", "text", "bytes", None])
    def test_encodings(self, encoded: Callable[[Any], Any], content_type: str | None) -> None:
        """The same event is read out of every encoding, whatever the message says of its content."""
        metadata = {"CF-Content-Type": content_type} if content_type else None
        assert read(encoded(wire()), metadata=metadata, attempts=3) == BuildEvent(
            type=BuildEventType.FAILED,
            build_uuid="b-1",
            status=BuildStatus.STOPPED,
            build_outcome=BuildOutcome.FAIL,
            worker_name="shop",
            created_on=datetime(2026, 8, 13, 2, 33, 54, 80_000, tzinfo=UTC),
            initializing_on=datetime(2026, 8, 13, 2, 33, 55, tzinfo=UTC),
            running_on=datetime(2026, 8, 13, 2, 33, 58, tzinfo=UTC),
            stopped_on=datetime(2026, 8, 13, 2, 34, 40, 500_000, tzinfo=UTC),
            event_timestamp=datetime(2026, 8, 13, 2, 34, 41, tzinfo=UTC),
            account_id="0123456789abcdef0123456789abcdef",
            event_subscription_id="fedcba9876543210fedcba9876543210",
            build_trigger_metadata=BuildTriggerMetadata(
                build_trigger_source=BuildTriggerSource.PUSH_EVENT,
                branch="main",
                commit_hash="",
                commit_message="Fix",
                author="ada",
                build_command="npm run build",
                deploy_command="npx wrangler deploy",
                root_directory="/",
                repo_name="shop",
                provider_account_name="acme",
                provider_type=ProviderType.GITHUB,
            ),
            message_id="m-1",
            attempts=3,
        )

    @pytest.mark.parametrize(
        ("kind", "status", "outcome", "expected"),
        [
            # QDOC
            ("started", "running", None, ("running", None)),
            ("succeeded", "success", "success", ("stopped", "success")),
            ("failed", "failed", "failure", ("stopped", "fail")),
            ("canceled", "canceled", "canceled", ("stopped", "cancelled")),
            # TPL
            ("queued", "queued", None, ("queued", None)),
            ("succeeded", "stopped", "success", ("stopped", "success")),
            ("failed", "stopped", "failure", ("stopped", "fail")),
            ("failed", "stopped", "cancelled", ("stopped", "cancelled")),
            ("failed", "stopped", "canceled", ("stopped", "cancelled")),
            ("cancelled", "cancelled", "cancelled", ("stopped", "cancelled")),
            # REST
            ("failed", "stopped", "fail", ("stopped", "fail")),
            ("failed", "stopped", "terminated", ("stopped", "terminated")),
            ("failed", "stopped", "skipped", ("stopped", "skipped")),
            # The outcome before the type, the type before the status
            ("succeeded", "success", "failed", ("stopped", "fail")),
            ("failed", "failed", None, ("stopped", "fail")),
            ("canceled", "failed", None, ("stopped", "cancelled")),
            ("cancelled", None, "", ("stopped", "cancelled")),
            ("succeeded", None, None, ("stopped", "success")),
            ("finished", "cancelled", None, ("stopped", "cancelled")),
            ("finished", "success", None, ("stopped", "success")),
            # An outcome implies the end
            ("failed", "running", "failure", ("stopped", "fail")),
            ("paused", None, "exploded", ("stopped", "exploded")),
            # Nothing, or nothing known
            ("started", None, None, ("running", None)),
            ("queued", None, None, ("queued", None)),
            ("started", "initializing", None, ("initializing", None)),
            ("paused", "resting", None, ("resting", None)),
            ("paused", None, None, (None, None)),
            ("paused", 7, {}, (None, None)),
        ],
        ids=str,
    )
    def test_words(self, kind: str, status: Any, outcome: Any, expected: tuple[Any, Any]) -> None:
        """Both dialects come out in the words of the REST API; unknown words are kept."""
        event = read(wire(kind, status, outcome))
        assert event
        assert (event.status, event.build_outcome) == expected
        assert event.type == PREFIX + kind
        assert event.status is None or isinstance(event.status, BuildStatus)
        assert event.build_outcome is None or isinstance(event.build_outcome, BuildOutcome)

    def test_types(self) -> None:
        """The members of the type are the API's own words."""
        assert [str(kind) for kind in BuildEventType] == [
            PREFIX + word for word in ("queued", "started", "succeeded", "failed", "canceled")
        ]

    @pytest.mark.parametrize(
        "body",
        [
            None,
            "",
            "hello world",
            "{",
            "eyJ0",
            "\x00\ud800",
            "éé",
            7,
            [],
            [wire()],
            text(text(text(text(text(wire()))))),
            {},
            "null",
            '"' * 9,
            "[" * 100_000,
            '{"a":' * 100_000,
            b64encode(b"\xff\xfe").decode(),
            {"type": PREFIX + "failed"},
            {"type": PREFIX + "failed", "payload": {"buildUuid": ""}},
            {"type": PREFIX + "failed", "payload": {"buildUuid": 7}},
            {"type": PREFIX + "failed", "payload": "text"},
            {"type": 7, "payload": {"buildUuid": "b"}},
            {"payload": {"buildUuid": "b"}},
            {"type": "cf.r2.object.created", "payload": {"key": "k"}},
        ],
        ids=lambda body: str(body)[:40],
    )
    def test_none(self, body: Any) -> None:
        """What is no build event, or can't be read, is none, and no error."""
        assert read(body) is None

    def test_bare(self) -> None:
        """A type and the build are enough."""
        event = read({"type": PREFIX + "started", "payload": {"buildUuid": "b"}})
        assert event == BuildEvent(
            type=BuildEventType.STARTED, build_uuid="b", status=BuildStatus.RUNNING, message_id="m-1"
        )

    @pytest.mark.parametrize("junk", [None, 7, "x", [], {}, {"branch": 7}], ids=str)
    @pytest.mark.parametrize(
        "field", ["createdAt", "stoppedAt", "buildTriggerMetadata", "status", "initializingAt"]
    )
    def test_odd_parts(self, field: str, junk: Any) -> None:
        """A part that can't be read is missing; the event is read all the same."""
        event = read(wire(**{field: junk}))
        assert event
        assert (event.build_uuid, event.build_outcome) == ("b-1", BuildOutcome.FAIL)

    def test_time(self) -> None:
        """A time may be a number of seconds as well; what is no time is None."""
        event = read(wire(createdAt=1786588434, runningAt="yesterday"))
        assert event
        assert event.created_on == datetime(2026, 8, 13, 2, 33, 54, tzinfo=UTC)
        assert event.running_on is None

    @pytest.mark.parametrize("part", ["source", "metadata"])
    def test_odd_objects(self, part: str) -> None:
        """A missing or odd object takes only its own fields along."""
        odd: tuple[object, ...] = (None, 7, "x", [], {})
        for junk in odd:
            event = read({**wire(), part: junk})
            assert event
            assert (event.worker_name if part == "source" else event.account_id) is None


class Source:
    """A simulated queue without HTTP. `calls` are (action, when, body); failures may be planned.

    `fail(action, error, ...)` makes the next calls fail: before they are carried out, or, with `lost`,
    after. None stands for a call that goes well.
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
        """The bodies of the calls of one kind."""
        return [body for it, _, body in self.calls if it == action]

    def when(self, action: str) -> list[float]:
        """The moments of the calls of one kind."""
        return [when for it, when, _ in self.calls if it == action]

    @property
    def acked(self) -> list[int]:
        """How many each request acknowledged."""
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
            del error  # no cycle of error, traceback and this frame, for dropped streams go at once
        return result


@pytest.fixture
def clock() -> VirtualClock:
    """A clock on which many may sleep."""
    return VirtualClock()


@pytest.fixture
def sim(clock: VirtualClock) -> BuildsSimulator:
    return BuildsSimulator(clock=clock)


@pytest.fixture
def source(sim: BuildsSimulator) -> Source:
    """A queue that is subscribed to the builds of `sim`."""
    return Source(sim, sim.add_queue())


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """Only what nobody refers to goes."""
    gc.disable()
    yield
    gc.enable()


def stream_of(source: Source, **options: Any) -> EventStream:
    return EventStream(source, source.queue_id, clock=source.sim.clock, **options)


def ended(sim: BuildsSimulator, number: int = 1) -> list[str]:
    """So many builds end now; their UUIDs."""
    builds = [sim.add_build() for _ in range(number)]
    for build in builds:
        build.finish()
    return [build.build_uuid for build in builds]


async def taken(stream: EventStream, number: int) -> list[str]:
    """The builds of the next events; the last of them is not acknowledged."""
    return [(await anext(stream)).build_uuid for _ in range(number)]


async def within(seconds: float, stream: EventStream) -> BuildEvent | None:
    """The next event, if it comes within so many seconds of the virtual clock."""
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


class TestAcknowledging:
    async def test_when_the_next_is_asked_for(self, source: Source, clock: VirtualClock) -> None:
        """An event is acknowledged when the next one is asked for, and not before, however long it takes."""
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
        """Every event comes once, as long as each is asked for, and nothing is left in the queue."""
        uuids = ended(source.sim, 25)
        async with stream_of(source) as stream:
            assert await taken(stream, 25) == uuids
            assert await within(100, stream) is None
        assert source.queue.backlog == 0

    async def test_in_batches(self, source: Source) -> None:
        """Acknowledgements go out with one request for each batch that was pulled."""
        ended(source.sim, 25)
        async with stream_of(source) as stream:
            await taken(stream, 25)
            assert source.acked == [10, 10]
            assert await within(1, stream) is None
            assert source.acked == [10, 10, 5]

    async def test_not_too_late(self, source: Source, clock: VirtualClock) -> None:
        """An acknowledgement waits for no longer than half a visibility timeout."""
        ended(source.sim, 10)
        async with stream_of(source, visibility_timeout=30) as stream:
            asked = []
            for _ in range(10):
                asked.append(clock.now())
                await anext(stream)
                await clock.sleep(7)
        done = asked[1:]  # when each was done with
        told = [
            when for when, number in zip(source.when("ack"), source.acked, strict=True) for _ in range(number)
        ]
        assert len(told) == 9  # the last one was handed back
        assert all(0 <= at - since <= 15 for at, since in zip(told, done, strict=True))
        assert len(source.of("ack")) <= 6

    async def test_raise(self, source: Source) -> None:
        """An event whose consumer raises comes again in the next loop, as another attempt."""
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
        """A stream that is dropped holds nothing: no task is left, and its events come again."""
        uuids = ended(source.sim, 3)

        async def consume() -> None:
            async for _ in stream_of(source):
                break

        with clock.hold():  # the keeper does not just wake and see
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
        """The keeper of a stream that is dropped after a long time ends, and extends no more."""
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
        """No error that was tolerated keeps a dropped stream alive, not even until the next collection."""
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
        """The keeper ends by itself when nothing is in hand."""
        ended(source.sim)
        stream = stream_of(source)
        event = await anext(stream)
        before = tasks()
        await stream.ack(event)
        await clock.sleep(61)
        assert len(tasks()) == len(before) - 1
        await stream.aclose()

    async def test_two_consumers(self, source: Source) -> None:
        """Two streams of one queue share its events, and each event comes to one of them."""
        uuids = ended(source.sim, 20)
        async with stream_of(source, batch_size=5) as one, stream_of(source, batch_size=5) as other:
            got = [uuid for _ in range(10) for stream in (one, other) for uuid in await taken(stream, 1)]
        assert sorted(got) == sorted(uuids)


class TestSlowConsumer:
    @pytest.mark.parametrize("extended_leases", ["same", "told", "secret"])
    @pytest.mark.parametrize("warnings", ["map", "list"])
    async def test_once_each(
        self, extended_leases: str, warnings: str, sim: BuildsSimulator, clock: VirtualClock
    ) -> None:
        """Ten minutes for each event with a visibility of 30 s: each comes once, whatever extending does."""
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
        """What is given out within the hour was never given back: it comes with its first attempt."""
        ended(source.sim, 5)
        async with stream_of(source, visibility_timeout=30) as stream:
            for _ in range(5):
                assert (await anext(stream)).attempts == 1
                await clock.sleep(600)

    async def test_pace(self, source: Source, clock: VirtualClock) -> None:
        """Leases are extended when half of the visibility timeout is over, all in one request."""
        ended(source.sim, 5)
        async with stream_of(source, visibility_timeout=40) as stream:
            await anext(stream)
            await clock.sleep(99)
        assert source.when("extend") == [20, 40, 60, 80]
        assert [len(body["extend"]) for body in source.of("extend")] == [5] * 4
        assert {body["visibility_timeout_ms"] for body in source.of("extend")} == {40_000}

    async def test_quick(self, source: Source) -> None:
        """A quick consumer extends nothing."""
        ended(source.sim, 30)
        async with stream_of(source) as stream:
            await taken(stream, 30)
        assert source.of("extend") == []

    async def test_an_hour(self, source: Source, clock: VirtualClock) -> None:
        """No event is held for longer than an hour; its late acknowledgement still counts."""
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
        """An extension that fails is tried again before the lease ends, and the event stays where it is."""
        uuids = ended(source.sim, 2)
        source.fail("extend", BuildsTimeoutError("slow"), InternalServerError("oh", status=500))
        async with stream_of(source, visibility_timeout=40) as stream, stream_of(source) as other:
            assert await taken(stream, 1) == uuids[:1]
            assert await within(100, other) is None
            assert await taken(stream, 1) == uuids[1:]
        assert source.when("extend")[:4] == [20, 25, 30, 50]

    async def test_new_lease_ids(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """Where the answer names new lease ids, those are used."""
        source = Source(sim, sim.add_queue(extended_leases="told"))
        ended(sim, 2)
        async with stream_of(source, visibility_timeout=40) as stream:
            for left in (1, 0):
                event = await anext(stream)
                await clock.sleep(99)
                await stream.ack(event)
                assert source.queue.backlog == left

    async def test_refused_extension(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An event whose lease could not be extended, as the answer warns, is not given out without one."""
        source = Source(sim, sim.add_queue(extended_leases="secret"))
        ended(sim, 2)
        async with stream_of(source, visibility_timeout=40) as stream:
            assert (await anext(stream)).attempts == 1
            await clock.sleep(70)
            assert (await anext(stream)).attempts == 2

    async def test_lost_lease(self, source: Source, clock: VirtualClock) -> None:
        """An event whose lease could not be held is not given out; it comes when it is pulled again."""
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


class TestByHand:
    async def test_ack(self, source: Source) -> None:
        """`ack` acknowledges at once, and asking for the next one does not do so again."""
        uuids = ended(source.sim, 3)
        async with stream_of(source) as stream:
            first = await anext(stream)
            await stream.ack(first)
            assert source.acked == [1]
            assert source.queue.backlog == 2
            second = await anext(stream)
            assert [first.build_uuid, second.build_uuid] == uuids[:2]
            await stream.ack(second)
            await stream.ack(second)  # once more does nothing
            assert source.acked == [1, 1]

    async def test_ack_of_the_one_before(self, source: Source) -> None:
        """`ack` of an event that is done with sends what has not been sent yet."""
        ended(source.sim, 3)
        async with stream_of(source) as stream:
            first = await anext(stream)
            await anext(stream)
            assert source.acked == []
            await stream.ack(first)
            assert source.acked == [1]

    async def test_not_handed_back(self, source: Source) -> None:
        """What was acknowledged by hand is not handed back by a new loop."""
        ended(source.sim, 1)
        async with stream_of(source) as stream:
            async for event in stream:
                await stream.ack(event)
                break
            aiter(stream)
            assert await within(300, stream) is None
        assert source.queue.backlog == 0

    async def test_retry(self, source: Source, clock: VirtualClock) -> None:
        """`retry` lets an event come again after its delay, and not before."""
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
        """Without a delay it comes with the next pull."""
        ended(source.sim, 1)
        async with stream_of(source) as stream:
            await stream.retry(await anext(stream))
            assert (await anext(stream)).attempts == 2
            assert clock.now() <= 2

    async def test_misuse(self, source: Source) -> None:
        """Only the event given out last can be acknowledged or asked for again."""
        ended(source.sim, 3)
        async with stream_of(source) as stream:
            first = await anext(stream)
            with pytest.raises(ValueError, match="delay is 0 to 86400 seconds, not -1"):
                await stream.retry(first, delay=-1)
            with pytest.raises(ValueError, match="delay is 0 to 86400 seconds, not 86401"):
                await stream.retry(first, delay=86401)
            second = await anext(stream)
            with pytest.raises(ValueError, match=f"can be asked for again, not '{first.message_id}'"):
                await stream.retry(first)
            await stream.retry(second)
            with pytest.raises(ValueError, match=f"can be acknowledged, not '{second.message_id}'"):
                await stream.ack(second)
            with pytest.raises(ValueError, match="asked for again"):
                await stream.retry(second)

    async def test_error(self, source: Source) -> None:
        """An error of `ack` is raised; the event is done all the same, and told of with the next request."""
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
        """An error of `retry` is raised, and the event comes again all the same."""
        ended(source.sim, 1)
        source.fail("ack", BuildsTimeoutError("slow"))
        async with stream_of(source) as stream:
            with pytest.raises(BuildsTimeoutError):
                await stream.retry(await anext(stream))
            assert (await anext(stream)).attempts == 2


class TestLostAcks:
    @pytest.mark.parametrize("lost", [True, False], ids=["answer", "request"])
    async def test_told_again(self, lost: bool, source: Source) -> None:
        """A failed acknowledgement goes with the next one; no event comes twice for it."""
        uuids = ended(source.sim, 30)
        source.fail("ack", BuildsTimeoutError("slow"), BuildsTimeoutError("slow"), lost=lost)
        async with stream_of(source) as stream:
            assert await taken(stream, 30) == uuids
            assert source.acked == [10, 20]
            assert await within(500, stream) is None
        assert source.queue.backlog == 0

    async def test_by_the_keeper(self, source: Source, clock: VirtualClock) -> None:
        """The keeper tells it again while the consumer works."""
        ended(source.sim, 2)
        source.fail("ack", BuildsTimeoutError("slow"), BuildsTimeoutError("slow"))
        async with stream_of(source, visibility_timeout=40) as stream:
            await taken(stream, 2)
            await clock.sleep(100)
            assert source.when("ack") == [20, 25, 30]
            assert source.queue.backlog == 1

    async def test_redelivered(self, source: Source) -> None:
        """An event that comes again because its acknowledgement failed for long is not given out again."""
        uuids = ended(source.sim, 2)
        source.fail("ack", *[InternalServerError("oh", status=500)] * 12)
        async with stream_of(source, visibility_timeout=10) as stream:
            assert await taken(stream, 2) == uuids
            assert await within(1000, stream) is None
        assert source.queue.backlog == 0
        assert len(source.acked) < 40

    async def test_came_by_itself(self, source: Source) -> None:
        """An event that came again by itself is not asked for once more."""
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
        """Cancelled while it acknowledges, the stream makes up for it by itself."""
        ended(source.sim, 1)
        source.latency = 5.0
        async with stream_of(source, visibility_timeout=40) as stream:
            await anext(stream)
            assert await within(1, stream) is None
            assert source.queue.backlog == 1
            await clock.sleep(100)
            assert source.queue.backlog == 0

    async def test_bounded(self, source: Source, clock: VirtualClock) -> None:
        """What can't be acknowledged is not tried for ever while nobody reads."""
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


class TestRepeats:
    @pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
    async def test_at_least_once(self, batch_size: int, sim: BuildsSimulator) -> None:
        """What the queue delivers twice comes once."""
        source = Source(sim, sim.add_queue(duplicate_every=2, max_retries=9))
        uuids = ended(sim, 20)
        async with stream_of(source, batch_size=batch_size) as stream:
            assert await taken(stream, 20) == uuids
            assert await within(1000, stream) is None
        assert source.queue.backlog == 0

    async def test_newest_lease(self, sim: BuildsSimulator) -> None:
        """A message that is delivered again while it is in hand is acknowledged with its newest lease."""
        source = Source(sim, sim.add_queue(duplicate_every=1))
        ended(sim)
        async with stream_of(source) as stream:
            await stream.ack(await anext(stream))
        assert [message.number for message in source.queue._messages] == [0]  # the second was acknowledged

    async def test_other_message(self, source: Source) -> None:
        """Another message with the same build and type is acknowledged and dropped, another type is not."""
        started, failed = wire("started", "running", None), wire()
        for event in (started, failed, failed, started):
            source.queue.send(event)
        async with stream_of(source) as stream:
            kinds = [(await anext(stream)).type for _ in range(2)]
            assert await within(500, stream) is None
        assert kinds == [BuildEventType.STARTED, BuildEventType.FAILED]
        assert source.queue.backlog == 0

    async def test_later(self, source: Source) -> None:
        """A repeat that comes much later is known as well."""
        source.queue.send(wire())
        async with stream_of(source) as stream:
            await anext(stream)
            assert await within(5000, stream) is None
            source.queue.send(wire())
            assert await within(5000, stream) is None
        assert source.queue.backlog == 0

    async def test_not_acknowledged(self, source: Source) -> None:
        """A repeat of an event that was handed back is given out: one of the two has to be."""
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
        """The last thousand events are remembered, and no more."""
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
        """A message that is no build event is left for the dead letters, logged once, and in nobody's way."""
        source.queue.send("hello")
        uuids = ended(source.sim, 2)
        with caplog.at_level(logging.WARNING, "builds_async"):
            async with stream_of(source) as stream:
                assert await taken(stream, 2) == uuids
                assert await within(2000, stream) is None
        assert source.queue.dead_letters == ("hello",)
        assert source.queue.backlog == 0
        assert len(caplog.messages) == 1
        assert "is no build event that can be read; it is left there" in caplog.messages[0]
        assert "hello" not in caplog.text
        assert source.acked == [2]

    async def test_full_of_them(self, source: Source) -> None:
        """A queue full of such messages makes no stream spin."""
        for number in range(50):
            source.queue.send(f"{number}")
        async with stream_of(source, batch_size=1) as stream:
            assert await within(60, stream) is None
        assert len(source.of("pull")) <= 31
        assert source.of("extend") == []


class TestPace:
    async def test_empty(self, source: Source) -> None:
        """An empty queue is asked ever more seldom, up to the maximum; a message resets that."""
        async with stream_of(source, poll_interval=2, max_poll_interval=8) as stream:
            assert await within(40, stream) is None
            assert source.when("pull") == [0, 2, 5, 9.5, 16.25, 24.25, 32.25]
            ended(source.sim)
            await anext(stream)
            del source.calls[:]
            assert await within(7, stream) is None
            assert [round(when - 40.25, 2) for when in source.when("pull")] == [2, 4]

    async def test_full(self, source: Source, clock: VirtualClock) -> None:
        """After a full batch the next pull is made at once, after another one after the interval."""
        ended(source.sim, 25)
        async with stream_of(source, poll_interval=7) as stream:
            await taken(stream, 25)
            assert clock.now() == 0
            ended(source.sim, 1)
            await anext(stream)
            assert clock.now() == 7

    async def test_slow_reader(self, source: Source, clock: VirtualClock) -> None:
        """Who took longer than the interval waits no more."""
        ended(source.sim, 2)
        async with stream_of(source, batch_size=5) as stream:
            await taken(stream, 2)
            await clock.sleep(3)
            ended(source.sim, 1)
            await anext(stream)
            assert clock.now() == 3

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"batch_size": 0}, "batch_size is 1 to 100, not 0"),
            ({"batch_size": 101}, "batch_size is 1 to 100, not 101"),
            ({"visibility_timeout": 0.5}, "visibility_timeout is 1 to 43200 seconds, not 0.5"),
            ({"visibility_timeout": 43201}, "seconds, not 43201"),
            ({"poll_interval": 0}, "poll_interval is above 0 s and finite, not 0"),
            ({"max_poll_interval": -1}, "max_poll_interval is above 0 s and finite, not -1"),
        ],
        ids=str,
    )
    def test_misuse(self, options: Any, said: str, source: Source) -> None:
        """What can't be is a ValueError."""
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
            RateLimitError("no", status=429, retry_after=300.0),
            BuildsConnectionError("not trusted", sent=False, transient=False),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_raised(self, error: BuildsError, source: Source) -> None:
        """A refusal is raised at once; the stream can be iterated on, at its pace."""
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
            ResponseDecodeError("<html>", status=200),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_tolerated(self, error: BuildsError, source: Source, clock: VirtualClock) -> None:
        """What may pass is tolerated five times in a row, with growing pauses; the sixth is raised."""
        assert MAX_FAILURES == 5
        uuids = ended(source.sim)
        source.fail("pull", *[error] * 5, None, *[error] * 11)
        async with stream_of(source) as stream:
            assert await taken(stream, 1) == uuids
            assert source.when("pull") == [0, 2, 6, 14, 29, 44]
            start = clock.now()
            with pytest.raises(type(error)):
                await anext(stream)
            assert [when - start for when in source.when("pull")[6:]] == [2, 4, 8, 16, 31, 46]
            ended(source.sim)
            await anext(stream)
            assert [when - start for when in source.when("pull")[12:]] == [61, 63, 67, 75, 90, 105]

    async def test_in_a_row(self, source: Source) -> None:
        """A pull that goes well makes the count start again."""
        error = BuildsConnectionError("reset")
        source.fail("pull", *[error, error, error, None] * 5)
        async with stream_of(source) as stream:
            assert await within(500, stream) is None

    async def test_lost_answer(self, source: Source) -> None:
        """Events whose pull was lost on its way back come when their lease ends."""
        uuids = ended(source.sim, 3)
        source.fail("pull", BuildsTimeoutError("slow"), lost=True)
        async with stream_of(source) as stream:
            events = [await anext(stream) for _ in range(3)]
        assert [event.build_uuid for event in events] == uuids
        assert [event.attempts for event in events] == [2, 2, 2]


class TestCancelling:
    async def test_time_outs(self, source: Source) -> None:
        """A time-out round each event loses none, and costs none an attempt."""
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
        """What a cancelled pull brought is not given out when its lease has ended meanwhile."""
        source.latency = 1.0
        ended(source.sim)
        async with stream_of(source, visibility_timeout=10) as stream:
            assert await within(0.5, stream) is None
            await clock.sleep(60)
            assert (await anext(stream)).attempts == 2

    @pytest.mark.parametrize("action", ["pull", "ack"])
    async def test_nobody_comes_back(
        self, action: str, source: Source, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The error of a request that nobody comes back for is no complaint of asyncio."""
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
        """A second task that reads while one waits is an error."""
        async with stream_of(source) as stream:
            first = asyncio.ensure_future(anext(stream))
            await settle()
            with pytest.raises(RuntimeError, match="another task is already reading this stream"):
                await anext(stream)
            first.cancel()
            await asyncio.wait({first})


class TestClosing:
    async def test_hands_back(self, source: Source) -> None:
        """Closing acknowledges what is done, and hands back at once what is in hand."""
        uuids = ended(source.sim, 5)
        async with nothing_left():
            async with stream_of(source) as stream:
                await taken(stream, 2)
            (told,) = source.of("ack")
            assert (len(told["acks"]), len(told["retries"])) == (1, 4)
            assert {retry["delay_seconds"] for retry in told["retries"]} == {0}
            await stream.aclose()
            assert len(source.of("ack")) == 1
        async with stream_of(source) as other:
            assert sorted(await taken(other, 4)) == sorted(uuids[1:])

    async def test_ends_the_loop(self, source: Source, clock: VirtualClock) -> None:
        """The loop of who waits for an event ends, without waiting."""
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
        """A pull on its way is ended; its reader's loop just ends."""
        source.latency = 5.0
        ended(source.sim)
        async with nothing_left():
            stream = stream_of(source)
            asking = asyncio.ensure_future(anext(stream))
            await clock.sleep(1)
            await stream.aclose()
            with pytest.raises(StopAsyncIteration):
                await asking

    async def test_pull_nobody_took(self, source: Source, clock: VirtualClock) -> None:
        """What a pull brought after its reader was cancelled is handed back as well."""
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
        """Closing does not fail: what could not be said is logged, and the events come by themselves."""
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
        """What the keeper was just telling is waited for, and not told twice."""
        ended(source.sim, 3)
        async with nothing_left():
            stream = stream_of(source, visibility_timeout=40)
            await taken(stream, 2)
            source.latency = 3.0
            await clock.sleep(24)  # extends at 20, tells from 23 on
            assert source.when("ack") == [23]
            await stream.aclose()
            assert clock.now() == 29
        assert [(len(body["acks"]), len(body["retries"])) for body in source.of("ack")] == [(1, 0), (0, 2)]
        assert source.queue.backlog == 2

    async def test_while_the_reader_tells(self, source: Source, clock: VirtualClock) -> None:
        """A reader that is cancelled by the end of everything leaves no keeper behind."""
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


class TestLeases:
    """What no stream alone gets into."""

    def leases(self, source: Source) -> Leases:
        return Leases(source, source.queue_id, visibility=60, clock=source.sim.clock)

    async def test_ages(self, source: Source, clock: VirtualClock) -> None:
        """The hour is counted for each message by itself."""
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
        """What is not in hand can't be given up: nothing is told of it."""
        leases = self.leases(source)
        leases.acknowledge("m")
        leases.hand_back("m")
        leases.forget("m")
        assert not leases.is_leased("m")
        await leases.aclose()
        assert source.calls == []

    async def test_came_while_it_was_told(self, source: Source, clock: VirtualClock) -> None:
        """A message that comes while it is being asked for again, in vain, is not asked for once more."""
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
        """The queue's warnings are logged, and are no error."""
        source = Source(sim, sim.add_queue(warnings=shape))
        ended(sim)
        async with stream_of(source) as stream:
            event = await anext(stream)
            assert source.queue.ack(
                msgspec.json.encode({"acks": [{"lease_id": source.queue._messages[0].leases[0]}]})
            )
            with caplog.at_level(logging.WARNING, "builds_async"):
                await clock.sleep(61)
                await stream.ack(event)
        assert caplog.messages == [
            f"Warnings of queue {source.queue_id} on {what}: there is no such lease"
            for what in ("extending leases", "acknowledging")
        ]


def client_of(sim: BuildsSimulator, **options: Any) -> BuildsClient:
    settings = {
        "account_id": sim.account_id,
        "api_token": sim.api_token,
        "base_url": sim.url,
        "clock": sim.clock,
    }
    return BuildsClient(**{**settings, **options})


class Walker:
    """A consumer that does what it is told with its events."""

    def __init__(self, batch_size: int, **options: Any) -> None:
        self.sim = BuildsSimulator(clock=VirtualClock())
        self.source = Source(self.sim, self.sim.add_queue(max_retries=1000, **options))
        self.source.latency = 0.1
        self.batch_size = batch_size
        self.uuids = ended(self.sim, 12)
        self.stream = self.new_stream()
        self.current: BuildEvent | None = None
        self.got: list[str] = []
        self.done: set[str] = set()  # acknowledged by this stream, which so never gives them again

    def new_stream(self) -> EventStream:
        return stream_of(self.source, batch_size=self.batch_size)

    async def walk(self, actions: list[str]) -> None:
        """Do `actions`, then read until the queue is empty."""
        for action in actions:
            await getattr(self, action)()
        while await self.take(500):
            pass
        await self.stream.aclose()
        assert set(self.got) == set(self.uuids)
        assert self.source.queue.backlog == 0

    async def take(self, seconds: float = 60.0) -> bool:
        if self.current:
            self.done.add(self.current.build_uuid)
        self.current = None
        try:
            self.current = await within(seconds, self.stream)
        except BuildsTimeoutError:  # the sixth in a row
            return True
        if self.current:
            assert self.current.build_uuid not in self.done
            self.got.append(self.current.build_uuid)
        return self.current is not None

    async def hurry(self) -> None:
        await self.take(0.15)

    async def work(self) -> None:
        await self.sim.clock.sleep(45)

    async def ack(self) -> None:
        if self.current:
            self.done.add(self.current.build_uuid)
            with suppress(BuildsError):
                await self.stream.ack(self.current)
            self.current = None

    async def retry(self) -> None:
        if self.current:
            with suppress(BuildsError):
                await self.stream.retry(self.current, delay=3)
            self.current = None

    async def loop(self) -> None:
        aiter(self.stream)
        self.current = None

    async def drop(self) -> None:
        self.current = None
        self.done.clear()  # what is not told yet comes once more
        self.stream = self.new_stream()

    async def close(self) -> None:
        await self.stream.aclose()
        await self.drop()

    async def fail(self, *, lost: bool = False) -> None:
        for call in ("pull", "ack", "extend"):
            self.source.fail(call, BuildsTimeoutError("slow"), lost=lost)

    async def lose(self) -> None:
        await self.fail(lost=True)


ACTIONS = ["take"] * 3 + ["hurry", "work", "ack", "retry", "loop", "drop", "close", "fail", "lose"]


@settings(max_examples=40, deadline=None)
@given(
    actions=st.lists(st.sampled_from(ACTIONS), max_size=25),
    batch_size=st.integers(1, 15),
    duplicate_every=st.integers(0, 3),
    extended_leases=st.sampled_from(["same", "told", "secret"]),
)
def test_no_event_is_lost(actions: list[str], batch_size: int, **options: Any) -> None:
    """Whatever a consumer does and the network loses: every event comes, none after it was acknowledged."""

    async def run() -> None:
        async with nothing_left():
            await Walker(batch_size, **options).walk(actions)

    asyncio.run(run())


class TestClient:
    @pytest.mark.parametrize("words", ["documented", "template"])
    @pytest.mark.parametrize("encoding", ["base64", "plain", "object"])
    async def test_end_to_end(self, words: Any, encoding: Any, sim: BuildsSimulator) -> None:
        """Over a socket: each event of running builds comes once, in the words of the REST API."""
        queue_id = sim.add_queue(words=words, encoding=encoding, duplicate_every=3)
        shop = sim.add_worker("shop")
        outcomes = [BuildOutcome.SUCCESS, BuildOutcome.FAIL, BuildOutcome.CANCELLED]
        builds: dict[str, SimulatedBuild] = {}
        for delay, outcome in enumerate(outcomes):
            script = build_script(20, queued=5.0 + 20 * delay, outcome=outcome)
            build = sim.add_build(script, external_script_id=shop)
            builds[build.build_uuid] = build
        seen: list[BuildEvent] = []
        async with nothing_left(), sim, client_of(sim) as client:
            async for event in client.events(queue_id):
                seen.append(event)
                if event.status == BuildStatus.STOPPED:
                    build_of_api = await client.builds.get(event.build_uuid)
                    assert event.build_outcome == build_of_api.build_outcome
                    assert event.stopped_on == build_of_api.stopped_on
                    assert event.running_on == build_of_api.running_on
                    assert event.created_on == build_of_api.created_on
                if len(seen) == 6:
                    break
            await client.aclose()
        assert [(event.build_uuid, event.build_outcome) for event in seen] == [
            (uuid, outcome) for uuid, build in builds.items() for outcome in (None, build.outcome)
        ]
        assert {event.worker_name for event in seen} == {"shop"}
        assert {event.account_id for event in seen} == {sim.account_id}
        metadata = seen[0].build_trigger_metadata
        assert metadata
        assert metadata.build_trigger_source == "push_event"
        assert metadata.branch == "main"

    async def test_close(self, sim: BuildsSimulator) -> None:
        """Closing the client ends its streams: what is in hand is handed back, no task is left."""
        queue_id = sim.add_queue()
        async with nothing_left(), sim:
            async with client_of(sim) as client:
                ended(sim, 3)
                stream = client.events(queue_id)
                await taken(stream, 2)
            assert [event async for event in stream] == []
            pulled = sim.queues[queue_id].pull(b"{}")
        assert len(pulled["messages"]) == 2

    async def test_close_while_it_waits(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """Closing the client ends the loop of who waits for an event."""
        queue_id = sim.add_queue()
        async with nothing_left(), sim:
            client = client_of(sim)

            async def consume() -> list[BuildEvent]:
                return [event async for event in client.events(queue_id)]

            consumer = asyncio.ensure_future(consume())
            await clock.sleep(9)
            await client.aclose()
            assert await consumer == []

    async def test_closed(self, sim: BuildsSimulator) -> None:
        """A stream of a closed client is a RuntimeError."""
        async with sim:
            client = client_of(sim)
            await client.aclose()
            with pytest.raises(RuntimeError, match="this BuildsClient is closed"):
                await anext(client.events("q"))

    async def test_dropped(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """The client keeps no stream alive."""
        queue_id = sim.add_queue()
        async with sim, client_of(sim) as client:
            ended(sim, 2)
            async for _ in client.events(queue_id):
                break
            await clock.sleep(1)
            gc.collect()
            assert len(client._closables) == 0

    async def test_permission(self, sim: BuildsSimulator) -> None:
        """A token that may not write is told which permission it lacks."""
        queue_id = sim.add_queue()
        async with sim, client_of(sim, api_token=sim.add_token(TokenKind.READ_ONLY)) as client:
            with pytest.raises(PermissionDeniedError, match='give it "Queues Write"'):
                await anext(client.events(queue_id))

    async def test_unknown(self, sim: BuildsSimulator) -> None:
        """An unknown queue is raised, one that can't be is refused before."""
        async with sim, client_of(sim) as client:
            with pytest.raises(NotFoundError):
                await anext(client.events("0" * 32))
            with pytest.raises(ValueError, match="can't be an id"):
                client.events("a/b")

    @pytest.mark.parametrize("kind", ["cut_body", "reset", "server_error", "empty_body", "not_json"])
    @pytest.mark.parametrize("action", ["pull", "ack", "extend"])
    async def test_faults(self, kind: Any, action: str, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """Whatever goes wrong on the wire, each event comes once and none is left."""
        queue_id = sim.add_queue(max_retries=10)
        uuids = ended(sim, 8)
        sim.fault(Fault(kind, path=action, times=3))
        got = []
        async with (
            sim,
            client_of(sim) as client,
            client.events(queue_id, batch_size=3, visibility_timeout=30) as stream,
        ):
            for _ in uuids:
                got.append((await anext(stream)).build_uuid)
                await clock.sleep(11)
            assert await within(100, stream) is None
        assert sorted(got) == sorted(uuids)
        assert sim.queues[queue_id].backlog == 0
