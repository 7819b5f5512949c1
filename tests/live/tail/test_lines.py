"""Each line of each build is delivered once and in order."""

import pytest

from builds_async import (
    TailLine,
)
from builds_async.simulator import (
    Behavior,
    build_script,
)
from tests.live.tail.support import collect, kept, next_line, script, texts, wire


class TestLines:
    async def test_builds_that_run_are_merged(self) -> None:
        """Lines of concurrent builds arrive as they are written, each with its Worker and build."""
        it = wire()
        builds = [it.sim.add_build(script(20, every=2.0)) for _ in range(5)]
        tail = it.tail([build.external_script_id for build in builds])
        lines: list[TailLine] = []
        while len(lines) < 100:
            lines.append(await next_line(tail))
        assert {line.build.build_uuid: line.external_script_id for line in lines} == {
            build.build_uuid: build.external_script_id for build in builds
        }
        for build in builds:
            own = [line.line for line in lines if line.build.build_uuid == build.build_uuid]
            assert own == list(build.lines)
        assert [line.line.timestamp for line in lines[:50]] < [lines[99].line.timestamp] * 50
        assert it.sim.clock.now() < 20 * 2 + 5
        await tail.aclose()

    async def test_first_line(self) -> None:
        """A running build is delivered from its first line, and a finished one is not delivered."""
        it = wire()
        old = it.sim.add_finished_build(5)
        running = it.sim.add_build(script(30))
        await it.sim.clock.sleep(10)
        tail = it.tail([old.external_script_id, running.external_script_id])
        got = await collect(tail, 60)
        assert got == texts(running)
        assert tail.position.logs == {}
        await tail.aclose()

    async def test_all_builds_that_run_at_first(self) -> None:
        """Two builds of one Worker that are running when the tail starts are both delivered."""
        it = wire()
        first = it.sim.add_build(script(30))
        await it.sim.clock.sleep(3)
        second = it.sim.add_build(script(30), external_script_id=first.external_script_id)
        tail = it.tail([first.external_script_id])
        assert await collect(tail, 60) == texts(first, second)
        await tail.aclose()

    async def test_new_builds_are_picked_up(self) -> None:
        """Each new build is delivered, even if it finished or was superseded before it was seen."""
        it = wire()
        old = it.sim.add_finished_build(5)
        tag = old.external_script_id
        tail = it.tail([tag])
        got = await collect(tail, 11)
        builds = [it.sim.add_build(script(lines, every=0.1), external_script_id=tag) for lines in (3, 60, 4)]
        await it.sim.clock.sleep(3)
        builds.append(it.sim.add_build(script(9), external_script_id=tag))
        await collect(tail, 80, got)
        assert got == texts(*builds)
        await tail.aclose()

    async def test_first_build_of_a_worker(self) -> None:
        """The first build of a Worker is delivered whole, even if it finished before the next look."""
        it = wire()
        ids = [it.sim.add_worker() for _ in range(2)]
        tail = it.tail(ids)
        got = await collect(tail, 11)
        slow = it.sim.add_build(script(30), external_script_id=ids[0])
        quick = it.sim.add_build(script(3), external_script_id=ids[1])
        await collect(tail, 80, got)
        assert got == texts(slow, quick)
        await tail.aclose()

    async def test_superseded_build_continues(self) -> None:
        """A build that keeps running after a newer one starts is delivered to its last line."""
        it = wire()
        first = it.sim.add_build(script(60))
        tail = it.tail([first.external_script_id])
        got = await collect(tail, 5)
        second = it.sim.add_build(script(30), external_script_id=first.external_script_id)
        await collect(tail, 120, got)
        assert got == texts(first, second)
        assert tail.position.logs == {}
        await tail.aclose()

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "behavior",
        [
            Behavior(last_page_cursor="same"),
            Behavior(last_page_cursor="null", queued_logs="not_found"),
            Behavior(last_page_cursor="absent", null_logs_result=True),
            Behavior(late_outcome=12.0, late_lines=1.9),
            Behavior(late_outcome="never"),
            Behavior(truncated_hollow=3),
        ],
        ids=str,
    )
    async def test_every_behavior_of_the_service(self, behavior: Behavior) -> None:
        """With every possible response, each line is delivered once and the log is closed at the end."""
        it = wire(behavior=behavior, page_size=7)
        builds = [it.sim.add_build(build_script(lines, queued=3)) for lines in (3, 40)]
        tail = it.tail([build.external_script_id for build in builds])
        assert await collect(tail, 120) == texts(*builds)
        assert tail.position.logs == {}
        await tail.aclose()

    async def test_same_moment(self) -> None:
        """Builds of one Worker with the same `created_on` are each delivered once."""
        it = wire()
        tag = it.sim.add_finished_build(1).external_script_id
        tail = it.tail([tag])
        got = await collect(tail, 1)
        builds = [it.sim.add_build(script(3), external_script_id=tag) for _ in range(3)]
        await collect(tail, 40, got)
        builds.append(it.sim.add_build(script(3), external_script_id=tag))
        await collect(tail, 80, got)
        tail = it.tail([tag], kept(tail.position))
        await collect(tail, 120, got)
        assert got == texts(*builds)
        await tail.aclose()

    async def test_deleted_build(self) -> None:
        """A deleted build is no longer requested, and nothing is repeated."""
        it = wire()
        first = it.sim.add_build(script(3))
        tag = first.external_script_id
        tail = it.tail([tag])
        got = await collect(tail, 20)
        second = it.sim.add_build([(0.0, "only line")], external_script_id=tag)
        await collect(tail, 40, got)
        assert got == texts(first, second)
        expected = texts(first, second)
        del it.sim._account.builds[second.build_uuid]
        it.sim._account._by_worker[tag].pop()
        await collect(tail, 100, got)
        it.asked()
        await collect(tail, 200, got)
        assert got == expected
        assert it.asked()["logs"] == 0
        await tail.aclose()
