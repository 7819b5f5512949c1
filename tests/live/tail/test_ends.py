"""The end of each build: its content, and its delivery exactly once."""

import asyncio

import msgspec
import pytest

from builds_async import LogPosition, TailEnd, TailItem, TailLine, TailPosition
from builds_async.live.tail import BuildTail
from builds_async.models.builds import BuildOutcome, BuildStatus
from tests.live.tail.support import item_within, kept, script, wire


async def items(tail: BuildTail, until: float) -> list[TailItem]:
    """All items that arrive before a point in time."""
    got: list[TailItem] = []
    while (left := until - tail._clock.now()) > 0:
        if (item := await item_within(tail, left)) is not None:
            got.append(item)
    return got


def ends(got: list[TailItem]) -> list[str]:
    return [item.build.build_uuid for item in got if isinstance(item, TailEnd)]


class TestEnds:
    @pytest.mark.parametrize("outcome", [BuildOutcome.SUCCESS, BuildOutcome.FAIL])
    async def test_end_follows_the_last_line(self, outcome: BuildOutcome) -> None:
        """The end follows the last line once, with the final build; lines are numbered from 1."""
        it = wire()
        build = it.sim.add_build([*script(5)[:-1], (7.0, outcome)])
        tail = it.tail([build.external_script_id])
        got = await items(tail, 60)
        *lines, end = got
        assert [item.number for item in lines if isinstance(item, TailLine)] == [1, 2, 3, 4, 5]
        assert isinstance(end, TailEnd)
        assert (end.external_script_id, end.build.build_outcome) == (build.external_script_id, outcome)
        assert end.complete
        await tail.aclose()

    @pytest.mark.parametrize("outcome", [BuildOutcome.SKIPPED, BuildOutcome.CANCELLED])
    async def test_without_a_line(self, outcome: BuildOutcome) -> None:
        """A build that was skipped or canceled while queued has an end, too."""
        it = wire()
        tag = it.sim.add_worker()
        tail = it.tail([tag])
        await items(tail, 5)
        build = it.sim.add_build([(20.0, outcome)], external_script_id=tag)
        (end,) = await items(tail, 60)
        assert isinstance(end, TailEnd)
        assert (end.build.build_uuid, end.build.build_outcome) == (build.build_uuid, outcome)
        await tail.aclose()

    async def test_no_request_for_the_log_of_a_queued_build(self) -> None:
        """The log of a queued build is not requested, and its start is seen within 3 s."""
        it = wire()
        build = it.sim.add_build(script(5, start=61.0))
        tail = it.tail([build.external_script_id])
        assert await items(tail, 60) == []
        assert it.asked()["logs"] == 0
        item = await item_within(tail, 60)
        assert isinstance(item, TailLine)
        assert it.sim.clock.now() <= 64
        await tail.aclose()

    async def test_last_lines_say_that_it_stopped(self) -> None:
        """Lines that arrive after the build has stopped carry the stopped build."""
        it = wire(page_size=3)
        tag = it.sim.add_worker()
        tail = it.tail([tag])
        await items(tail, 5)
        it.sim.add_build([*script(9, every=0.1)[:-1], (1.0, BuildOutcome.FAIL)], external_script_id=tag)
        await it.sim.clock.sleep(10)
        got = await items(tail, 40)
        assert {item.build.build_outcome for item in got} == {BuildOutcome.FAIL}
        assert len(got) == 10
        await tail.aclose()

    async def test_build_that_is_deleted(self) -> None:
        """The end of a build that was deleted while running has the last known state and is not complete."""
        it = wire()
        build = it.sim.add_build(script(3, end=500.0))
        tail = it.tail([build.external_script_id])
        await items(tail, 10)
        del it.sim._account.builds[build.build_uuid]
        it.sim._account._by_worker[build.external_script_id].pop()
        (end,) = await items(tail, 60)
        assert isinstance(end, TailEnd)
        assert (end.build.status, end.complete) == (BuildStatus.RUNNING, False)
        assert tail.position.logs == {}
        await tail.aclose()


class TestPosition:
    async def test_end_that_was_not_given(self) -> None:
        """A restart between the last line and the end neither loses nor repeats the end."""
        it = wire()
        builds = [it.sim.add_build(script(2)) for _ in range(3)]
        ids = [build.external_script_id for build in builds]
        start, got = TailPosition(), list[TailItem]()
        while len(got) < 9:
            tail = it.tail(ids, start)
            item = await item_within(tail, 60)
            assert item is not None
            got.append(item)
            start = kept(tail.position)
            await tail.aclose()
        assert sorted(ends(got)) == sorted(build.build_uuid for build in builds)
        tail = it.tail(ids, start)
        assert await items(tail, 200) == []
        await tail.aclose()

    async def test_worker_that_is_new(self) -> None:
        """A build of a Worker that the position does not know is delivered, even if it has finished."""
        it = wire()
        old, new = it.sim.add_build(script(3)), it.sim.add_worker()
        tail = it.tail([old.external_script_id])
        await items(tail, 30)
        await tail.aclose()
        build = it.sim.add_build(script(4), external_script_id=new)
        await it.sim.clock.sleep(60)
        tail = it.tail([old.external_script_id, new], kept(tail.position))
        got = await items(tail, it.sim.clock.now() + 60)
        assert [item.build.build_uuid for item in got] == [build.build_uuid] * 5
        assert ends(got) == [build.build_uuid]
        await tail.aclose()

    async def test_worker_that_is_new_with_an_old_build(self) -> None:
        """A build that finished before the newest build in the position is not delivered."""
        it = wire()
        past = it.sim.add_build(script(3))
        await it.sim.clock.sleep(60)
        known = it.sim.add_build(script(3))
        tail = it.tail([known.external_script_id])
        await items(tail, 120)
        await tail.aclose()
        tail = it.tail([known.external_script_id, past.external_script_id], kept(tail.position))
        assert await items(tail, 200) == []
        await tail.aclose()

    async def test_old_position(self) -> None:
        """A position without line numbers is accepted; on the first page, the offset is the number."""
        stored = (
            b'{"workers":{},"logs":{"b":{"external_script_id":"t","position":{"cursor":null,"offset":2}}}}'
        )
        position = msgspec.json.decode(stored, type=TailPosition)
        assert position.logs["b"].position == LogPosition(None, 2)
        it = wire()
        build = it.sim.add_build(script(5))
        await it.sim.clock.sleep(3)
        async with it.sim.client(clock=it.sim.clock) as client:
            log = client.follow(build.build_uuid, start=position.logs["b"].position)
            assert len(await log.read()) >= 1
            assert log.position.number == log.position.offset >= 3


class TestRead:
    async def test_batches(self) -> None:
        """`read` returns all buffered lines and ends, and waits while there are none."""
        it = wire()
        build = it.sim.add_finished_build(5)
        running = it.sim.add_build(script(4, every=0.0, end=30.0))
        tail = it.tail([build.external_script_id, running.external_script_id])
        assert [type(item) for item in await tail.read()] == [TailLine] * 4
        waiting = asyncio.ensure_future(tail.read())
        batch = await waiting
        assert [type(item) for item in batch] == [TailEnd]
        await tail.aclose()

    async def test_no_workers(self) -> None:
        """Without Workers, there is nothing to read."""
        assert await wire().tail([]).read() == ()
