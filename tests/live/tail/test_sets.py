"""Sets of Workers that change while a tail runs, and builds that are found through events."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from builds_async import EventStream, TailEnd, TailLine
from builds_async.live.tail import BuildTail
from builds_async.simulator import Fault
from tests.live.tail.support import collect, item_within, kept, script, simulated, texts, wire

T = TypeVar("T")


class TestSets:
    async def test_add_while_another_task_reads(self) -> None:
        """A Worker that is added while a reader waits is looked at within two seconds."""
        it = wire()
        first, second = it.sim.add_worker(), it.sim.add_build(script(30))
        tail = it.tail([first])
        reader = asyncio.ensure_future(tail.__anext__())
        await it.sim.clock.sleep(5)
        await tail.add(second.external_script_id)
        await tail.add(second.external_script_id.upper())
        item = await reader
        assert isinstance(item, TailLine)
        assert item.line == second.lines[0]
        assert it.sim.clock.now() < 7
        await tail.aclose()

    async def test_remove_while_another_task_reads(self) -> None:
        """A removed Worker delivers nothing more, and the position drops it."""
        it = wire()
        gone, kept_build = (it.sim.add_build(script(30)) for _ in range(2))
        tail = it.tail([gone.external_script_id, kept_build.external_script_id])
        got = await collect(tail, 5)
        reader = asyncio.ensure_future(collect(tail, 60, got))
        await asyncio.sleep(0)
        seen = len(got[gone.build_uuid])
        await tail.remove(gone.external_script_id)
        await reader
        assert len(got[gone.build_uuid]) == seen
        assert got[kept_build.build_uuid] == texts(kept_build)[kept_build.build_uuid]
        assert list(tail.position.workers) == [kept_build.external_script_id]
        assert tail.position.logs == {}
        await tail.aclose()

    async def test_all_workers_of_the_account(self) -> None:
        """Without ids, all Workers are tailed, and a new Worker with all of its builds, finished or not."""
        sim, client = simulated()
        async with client:
            old = sim.add_build(script(3))
            tail = client.tail()
            got = await collect(tail, 20)
            tag = sim.add_worker()
            builds = [sim.add_build(script(3, every=0.1), external_script_id=tag) for _ in range(2)]
            await collect(tail, 120, got)
            assert got == texts(old, *builds)
            assert sum(seen.path.endswith("/workers/scripts") for seen in sim.requests) <= 3
            again = client.tail(start=kept(tail.position))
            assert await collect(again, 180) == {}

    async def test_list_of_workers_that_takes_time(self) -> None:
        """A reader sleeps while the list of Workers is retried, and does not spin."""
        sim, client = simulated()
        async with client:
            sim.add_build(script(60))
            sim.fault(Fault("server_error", path="/workers/scripts", times=3))
            async with client.tail() as tail:
                assert isinstance(await turns_at_most(1000, anext(tail)), TailLine)
                assert sim.clock.now() < 30


async def turns_at_most(turns: int, reading: Awaitable[T]) -> T:
    """Return the result of `reading` within `turns` of the event loop. Virtual time has no other limit."""
    task = asyncio.ensure_future(reading)
    for _ in range(turns):
        if task.done():
            break
        await asyncio.sleep(0)
    try:
        assert task.done(), "it spins"
        return task.result()
    finally:
        task.cancel()


class TestEvents:
    async def test_builds_and_their_ends(self) -> None:
        """With events, new builds and ends arrive within seconds, and Workers are looked at only once."""
        sim, client = simulated()
        async with client:
            ids = [sim.add_finished_build(1).external_script_id for _ in range(100)]
            tail = client.tail(ids, events=sim.add_queue())
            assert await collect(tail, 30) == {}
            builds = [sim.add_build(script(5), external_script_id=tag) for tag in ids[:3]]
            assert await collect(tail, 60) == texts(*builds)
            assert sum("/latest" in seen.path for seen in sim.requests) == 5
            await tail.aclose()

    async def test_event_that_is_lost(self) -> None:
        """A build whose events were lost is found by the look that runs every 10 minutes."""
        sim, client = simulated()
        async with client:
            tag, queue = sim.add_worker(), sim.add_queue()
            tail = client.tail([tag], events=queue)
            await collect(tail, 30)
            build = sim.add_build(script(5), external_script_id=tag)
            await sim.clock.sleep(20)
            async with sim.client(clock=sim.clock) as thief:
                batch = await thief.queues.pull(queue, batch_size=100, visibility_timeout_ms=1000)
                await thief.queues.ack(queue, acks=[message.lease_id for message in batch.messages])
            assert await collect(tail, 650) == texts(build)
            await tail.aclose()

    async def test_build_that_can_not_be_read(self) -> None:
        """A build whose event arrives in an outage is delivered soon after it, not after 10 minutes."""
        sim, client = simulated()
        async with client:
            tag, other, queue = sim.add_worker(), sim.add_worker(), sim.add_queue()
            tail = client.tail([tag, other], events=queue)
            await collect(tail, 30)
            build = sim.add_build(script(5), external_script_id=tag)
            sim.fault(Fault("server_error", path=f"/builds/{build.build_uuid}", times=12))
            running = sim.add_build(script(5), external_script_id=other)
            assert await collect(tail, 120) == texts(build, running)
            await tail.aclose()

    async def test_restarts(self) -> None:
        """A tail that is restarted repeatedly neither loses nor repeats a line or an end."""
        sim, client = simulated()
        async with client:
            ids, queue = [sim.add_worker() for _ in range(5)], sim.add_queue()
            tail: BuildTail = client.tail(ids, events=queue)
            await collect(tail, 10)
            got: dict[str, list[str]] = {}
            ends: Counter[str] = Counter()
            builds = []
            for turn in range(12):
                if turn < 8:
                    builds.append(sim.add_build(script(6), external_script_id=ids[turn % 5]))
                until = sim.clock.now() + 4 + turn
                while (left := until - sim.clock.now()) > 0:
                    item = await item_within(tail, left)
                    if isinstance(item, TailLine):
                        got.setdefault(item.build.build_uuid, []).append(item.line.message)
                    elif isinstance(item, TailEnd):
                        ends[item.build.build_uuid] += 1
                position = kept(tail.position)
                await tail.aclose()
                tail = client.tail(ids, start=position, events=queue)
            assert got == texts(*builds)
            assert ends == {build.build_uuid: 1 for build in builds}
            await tail.aclose()

    async def test_stream_that_is_closed(self) -> None:
        """When the client closes the events first, the reader of the tail sleeps until it is closed."""
        sim, client = simulated()
        async with client:
            tail = client.tail([sim.add_worker()], events=sim.add_queue())
            reading = asyncio.ensure_future(tail.read())
            await sim.clock.sleep(10)
            (stream,) = (it for it in client._closables[0] if isinstance(it, EventStream))
            await stream.aclose()
            await turns_at_most(1000, sim.clock.sleep(5))
            await tail.aclose()
            with pytest.raises(RuntimeError, match="closed"):
                await reading
