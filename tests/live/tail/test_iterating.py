"""The iterator: loops, timeouts, a second reader, closing."""

import asyncio
from collections import defaultdict

import pytest

from builds_async import (
    BuildsClient,
    TailLine,
)
from builds_async.models.builds import BuildStatus
from builds_async.models.logs import LogPosition
from tests.live.tail.support import Got, collect, kept, next_line, script, texts, wire, within
from tests.support import ACCOUNT, nothing_left, settle, tags


class TestTheIterator:
    async def test_no_workers(self) -> None:
        """Without Workers, there is nothing to wait for, and the loop ends."""
        assert [line async for line in wire().tail([])] == []

    @pytest.mark.parametrize("name", ["interval", "poll_interval", "max_poll_interval"])
    async def test_no_interval(self, name: str) -> None:
        """An interval of 0 or less raises ValueError when the tail is created, not when it is read."""
        async with BuildsClient(account_id=ACCOUNT, api_token="t") as client:
            with pytest.raises(ValueError, match="interval"):
                client.tail(tags(2), **{name: 0.0})  # type: ignore[call-overload]

    async def test_second_loop_resumes(self) -> None:
        """The next loop resumes after a loop that ended with `break`."""
        it = wire()
        build = it.sim.add_build(script(20))
        tail = it.tail([build.external_script_id])
        got: Got = defaultdict(list)
        while len(got[build.build_uuid]) < 20:
            async for line in tail:
                assert isinstance(line, TailLine)
                got[line.build.build_uuid].append(line.line.message)
                break
        assert got == texts(build)
        await tail.aclose()

    async def test_loop_of_timeouts(self) -> None:
        """Timeouts shorter than a response lose nothing, repeat nothing and cost no request."""
        it = wire(latency=0.7)
        builds = [it.sim.add_build(script(20)) for _ in range(3)]
        tail = it.tail([build.external_script_id for build in builds])
        got: Got = defaultdict(list)
        while it.sim.clock.now() < 60:
            if (line := await within(tail, 0.1)) is not None:
                got[line.build.build_uuid].append(line.line.message)
        assert got == texts(*builds)
        assert it.asked()["look"] <= 7
        await tail.aclose()

    async def test_second_reader(self) -> None:
        """A second concurrent reader gets a RuntimeError, and the first one gets its line."""
        it = wire(latency=0.5)
        build = it.sim.add_build(script(20))
        tail = it.tail([build.external_script_id])
        first, second = (asyncio.ensure_future(tail.__anext__()) for _ in range(2))
        await asyncio.wait({first, second})
        assert type(second.exception()) is RuntimeError
        line = first.result()
        assert isinstance(line, TailLine)
        assert line.line == build.lines[0]
        await tail.aclose()


class TestClosing:
    @pytest.mark.parametrize("kind", ["look", "logs"])
    async def test_reader_that_waits(self, kind: str) -> None:
        """A reader that is waiting when the tail closes gets a RuntimeError and is not canceled."""
        it = wire(latency=0.6)
        build = it.sim.add_build([(0.0, BuildStatus.RUNNING)])
        async with nothing_left():
            tail = it.tail([build.external_script_id])
            reader = asyncio.ensure_future(tail.__anext__())
            while not it.under_way[kind]:
                await it.sim.clock.sleep(0.1)
            await tail.aclose()
            await asyncio.wait({reader}, timeout=1)
            assert reader.done()
            assert not reader.cancelled()
            assert type(reader.exception()) is RuntimeError
            assert not it.under_way.total()

    async def test_reader_that_pauses(self) -> None:
        """A reader that is pausing between polls when the tail closes gets a RuntimeError at once."""
        it = wire()
        build = it.sim.add_build([(0.0, BuildStatus.RUNNING)])
        before = asyncio.all_tasks()
        tail = it.tail([build.external_script_id])
        assert await within(tail, 2.5) is None
        with it.sim.clock.hold():  # type: ignore[attr-defined]  # no sleep ends by itself
            reader = asyncio.ensure_future(tail.__anext__())
            await settle()
            assert not it.under_way.total()
            await tail.aclose()
            await settle()
            assert asyncio.all_tasks() == before
            assert type(reader.exception()) is RuntimeError

    async def test_break_and_forget(self) -> None:
        """A tail that is dropped after a `break` ends when its requests in flight are done."""
        it = wire(latency=0.6)
        builds = [it.sim.add_build(script(20)) for _ in range(12)]
        async with nothing_left():
            async for _ in it.tail([build.external_script_id for build in builds]):
                break
            await it.sim.clock.sleep(10)
            assert not it.under_way.total()

    async def test_async_with(self) -> None:
        """After an `async with` block, no request is in flight, and the position stays valid."""
        it = wire(latency=0.6)
        build = it.sim.add_build(script(20))
        async with nothing_left():
            async with it.tail([build.external_script_id]) as tail:
                line = await next_line(tail)
            assert not it.under_way.total()
        assert tail.position.logs[build.build_uuid].position != LogPosition()
        assert line.line == build.lines[0]

    async def test_close_twice(self) -> None:
        """Closing again does nothing, and the position stays valid."""
        it = wire()
        build = it.sim.add_build(script(20))
        tail = it.tail([build.external_script_id])
        before = asyncio.all_tasks()
        got = await collect(tail, 5)
        with it.sim.clock.hold():  # type: ignore[attr-defined]  # no sleep ends by itself
            await tail.aclose()
            await tail.aclose()
            await settle()
            assert asyncio.all_tasks() == before
        tail = it.tail([build.external_script_id], kept(tail.position))
        await collect(tail, 60, got)
        assert got == texts(build)
        await tail.aclose()
