"""`client.events` of a simulated account, over a socket where connections matter."""

import asyncio
import gc
from typing import Any

import pytest

from builds_async import (
    BuildEvent,
    BuildOutcome,
    BuildStatus,
    NotFoundError,
    PermissionDeniedError,
)
from builds_async.live.events import EventStream
from builds_async.simulator import (
    BuildsSimulator,
    Fault,
    SimulatedBuild,
    TokenKind,
    VirtualClock,
    build_script,
)
from tests.live.events.support import ended, taken, within
from tests.support import nothing_left


class TestClient:
    @pytest.mark.parametrize("words", ["documented", "template"])
    @pytest.mark.parametrize("encoding", ["base64", "plain", "object"])
    async def test_end_to_end(self, words: Any, encoding: Any, sim: BuildsSimulator) -> None:
        """Over a socket, each event of running builds is delivered once, in the REST API's vocabulary."""
        queue_id = sim.add_queue(words=words, encoding=encoding, duplicate_every=3)
        shop = sim.add_worker("shop")
        outcomes = [BuildOutcome.SUCCESS, BuildOutcome.FAIL, BuildOutcome.CANCELLED]
        builds: dict[str, SimulatedBuild] = {}
        for delay, outcome in enumerate(outcomes):
            script = build_script(20, queued=5.0 + 20 * delay, outcome=outcome)
            build = sim.add_build(script, external_script_id=shop)
            builds[build.build_uuid] = build
        seen: list[BuildEvent] = []
        async with nothing_left(), sim, sim.client(transport=None) as client:
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
        """Closing the client ends its streams, hands back the events in hand and leaves no task."""
        queue_id = sim.add_queue()
        async with nothing_left():
            async with sim.client() as client:
                ended(sim, 3)
                stream = client.events(queue_id)
                await taken(stream, 2)
            assert [event async for event in stream] == []
            pulled = sim.queues[queue_id].pull(b"{}")
        assert len(pulled["messages"]) == 2

    async def test_close_while_it_waits(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """Closing the client ends a loop that is waiting for an event."""
        queue_id = sim.add_queue()
        async with nothing_left():
            client = sim.client()

            async def consume() -> list[BuildEvent]:
                return [event async for event in client.events(queue_id)]

            consumer = asyncio.ensure_future(consume())
            await clock.sleep(9)
            await client.aclose()
            assert await consumer == []

    async def test_closed(self, sim: BuildsSimulator) -> None:
        """A stream of a closed client raises RuntimeError."""
        client = sim.client()
        await client.aclose()
        with pytest.raises(RuntimeError, match="this BuildsClient is closed"):
            await anext(client.events("q"))

    async def test_dropped(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """The client keeps no stream alive."""
        queue_id = sim.add_queue()
        async with sim.client() as client:
            ended(sim, 2)
            async for _ in client.events(queue_id):
                break
            await clock.sleep(1)
            gc.collect()
            assert not [it for it in client._closables[0] if isinstance(it, EventStream)]

    async def test_permission(self, sim: BuildsSimulator) -> None:
        """The error for a token without write access names the missing permission."""
        queue_id = sim.add_queue()
        async with sim.client(api_token=sim.add_token(TokenKind.READ_ONLY)) as client:
            with pytest.raises(PermissionDeniedError, match='give it "Queues Write"'):
                await anext(client.events(queue_id))

    async def test_unknown(self, sim: BuildsSimulator) -> None:
        """An unknown queue is a NotFoundError, and an invalid id is a ValueError before any request."""
        async with sim.client() as client:
            with pytest.raises(NotFoundError):
                await anext(client.events("0" * 32))
            with pytest.raises(ValueError, match="can't be an id"):
                client.events("a/b")

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["cut_body", "reset", "server_error", "empty_body", "not_json"])
    @pytest.mark.parametrize("action", ["pull", "ack", "extend"])
    async def test_faults(self, kind: Any, action: str, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """With any fault on the wire, each event is delivered once and none is left in the queue."""
        queue_id = sim.add_queue(max_retries=10)
        uuids = ended(sim, 8)
        sim.fault(Fault(kind, path=action, times=3))
        got = []
        async with (
            sim,
            sim.client(transport=None) as client,
            client.events(queue_id, batch_size=3, visibility_timeout=30) as stream,
        ):
            for _ in uuids:
                got.append((await anext(stream)).build_uuid)
                await clock.sleep(11)
            assert await within(100, stream) is None
        assert sorted(got) == sorted(uuids)
        assert sim.queues[queue_id].backlog == 0
