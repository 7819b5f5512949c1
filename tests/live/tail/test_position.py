"""A tail that starts at an earlier tail's position delivers exactly the remaining lines."""

import time
from collections import defaultdict

import msgspec
import pytest

from builds_async import (
    TailPosition,
)
from builds_async.simulator import BuildDetails
from tests.live.tail.support import Got, collect, kept, next_line, script, texts, wire, within
from tests.support import tags


class TestPosition:
    async def test_hand_over_after_each_line(self) -> None:
        """A new tail at any stored position delivers exactly the remaining lines."""
        it = wire(page_size=3)
        builds = [it.sim.add_build(script(8)) for _ in range(3)]
        ids = [build.external_script_id for build in builds]
        got: Got = defaultdict(list)
        start = None
        for _ in range(24):
            tail = it.tail(ids, start)
            line = await next_line(tail)
            got[line.build.build_uuid].append(line.line.message)
            start = kept(tail.position)
            await tail.aclose()
            assert kept(tail.position) == start
        assert got == texts(*builds)
        tail = it.tail(ids, start)
        assert await collect(tail, 60) == {}
        assert kept(tail.position).logs == {}
        await tail.aclose()

    async def test_while_it_was_away(self) -> None:
        """Builds that continued, ended, or started and ended while no tail was running are delivered."""
        it = wire()
        ids = [it.sim.add_worker() for _ in range(4)]
        done = it.sim.add_finished_build(5, external_script_id=ids[0])
        running = it.sim.add_build(script(30), external_script_id=ids[1])
        tail = it.tail(ids)
        got = await collect(tail, 11)
        await tail.aclose()
        start = kept(tail.position)
        builds = [running]
        for tag in (ids[0], ids[0], ids[1], ids[2]):  # including a Worker without builds
            builds.append(it.sim.add_build(script(5), external_script_id=tag))
            await it.sim.clock.sleep(9)
        await it.sim.clock.sleep(100)
        builds.append(it.sim.add_build(script(50), external_script_id=ids[3]))
        tail = it.tail(ids, start)
        await collect(tail, 300, got)
        assert done.build_uuid not in got
        assert got == texts(*builds)
        await tail.aclose()

    async def test_quiet_workers(self) -> None:
        """A restart for hundreds of Workers without a new build costs only looks."""
        it = wire()
        ids = [it.sim.add_finished_build(1).external_script_id for _ in range(400)]
        tail = it.tail(ids)
        assert await collect(tail, 5) == {}
        await tail.aclose()
        assert it.asked() == {"look": 20}
        tail = it.tail(ids, kept(tail.position))
        assert await collect(tail, 9) == {}
        assert it.asked() == {"look": 20}
        await tail.aclose()

    async def test_stale_response_after_a_restart(self) -> None:
        """A look that returns an older build than the one in the position repeats nothing of that build."""
        it = wire()
        first = it.sim.add_build(script(5))
        tag = first.external_script_id
        tail = it.tail([tag])
        got = await collect(tail, 20)
        second = it.sim.add_build(script(5), external_script_id=tag)
        await collect(tail, 40, got)
        await tail.aclose()
        tail = it.tail([tag], kept(tail.position))
        it.stale[tag] = first
        await collect(tail, 60, got)
        it.stale.clear()
        await collect(tail, 80, got)
        assert got == texts(first, second)
        await tail.aclose()

    async def test_build_that_starts_during_the_first_look(self) -> None:
        """A build that starts during the first look is delivered once, even across a restart."""
        it = wire(latency=1.0)
        first = it.sim.add_build(script(30))
        tag = first.external_script_id
        it.planned = [(1.5, BuildDetails(external_script_id=tag), script(5))]
        tail = it.tail([tag])
        got = await collect(tail, 60)
        await tail.aclose()
        tail = it.tail([tag], kept(tail.position))
        await collect(tail, 90, got)
        assert got == texts(*it.sim.builds.values())
        await tail.aclose()

    async def test_in_the_middle_of_a_look(self) -> None:
        """A position taken during a look includes all builds that the look has found so far."""
        it = wire(latency=1.0)
        ids = [it.sim.add_finished_build(1).external_script_id for _ in range(4)]
        tail = it.tail(ids)
        got = await collect(tail, 5)
        builds = [it.sim.add_build(script(3), external_script_id=tag) for tag in ids]
        while not it.under_way["list"]:
            await within(tail, 0.5)
        start = kept(tail.position)
        await tail.aclose()
        tail = it.tail(ids, start)
        await collect(tail, 60, got)
        assert got == texts(*builds)
        await tail.aclose()

    @pytest.mark.slow
    @pytest.mark.parametrize("away", [0.0, 9.0, 200.0], ids=["at once", "soon", "when all is over"])
    @pytest.mark.parametrize("queued", [0.0, 30.0], ids=["two run", "one is queued"])
    async def test_killed_at_any_moment(self, away: float, queued: float) -> None:
        """From the first look on, the position includes each running build, even an unlisted one."""
        for tenths in range(1, 30):
            it = wire(latency=0.5)
            older = it.sim.add_build(script(20))
            tag = older.external_script_id
            await it.sim.clock.sleep(1)
            builds = [older, it.sim.add_build(script(15, start=queued), external_script_id=tag)]
            tail = it.tail([tag])
            got = await collect(tail, 1 + tenths / 10)
            await tail.aclose()
            start = kept(tail.position)
            if it.first_look is None or not start.workers:
                continue
            await it.sim.clock.sleep(away / 2)
            builds.append(it.sim.add_build(script(2), external_script_id=tag))
            await it.sim.clock.sleep(away / 2)
            tail = it.tail([tag], start)
            await collect(tail, 300, got)
            assert got == texts(*builds), f"killed after {tenths / 10} s"
            assert kept(tail.position).logs == {}
            await tail.aclose()

    async def test_before_the_first_look(self) -> None:
        """The position of a tail before its first look is its start."""
        it = wire()
        tail = it.tail([it.sim.add_worker()])
        assert tail.position == TailPosition()
        start = TailPosition()
        assert it.tail([it.sim.add_worker()], start).position == start

    async def test_other_workers(self) -> None:
        """A position also works for a tail of other Workers: the unknown ones start fresh."""
        it = wire()
        builds = [it.sim.add_build(script(20)) for _ in range(3)]
        a, b, c = (build.external_script_id for build in builds)
        tail = it.tail([a, b])
        got = await collect(tail, 5)
        await tail.aclose()
        tail = it.tail([b, c], kept(tail.position))
        await collect(tail, 60, got)
        await tail.aclose()
        expected = texts(*builds)
        assert (
            got[builds[0].build_uuid]
            == expected[builds[0].build_uuid][: len(got[builds[0].build_uuid])]
            != []
        )
        assert {uuid: got[uuid] for uuid in (builds[1].build_uuid, builds[2].build_uuid)} == texts(
            *builds[1:]
        )

    async def test_thousands_of_workers(self) -> None:
        """A tail starts at once from a position of thousands of Workers."""
        it = wire()
        ids = tags(5000)
        marks = {tag: {"build_uuid": "b", "created_on": None} for tag in ids}
        start = msgspec.convert({"workers": marks, "logs": {}}, TailPosition)
        began = time.process_time()
        tail = it.tail(ids, start)
        assert time.process_time() - began < 0.25
        assert tail.position == start
