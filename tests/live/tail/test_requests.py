"""How many requests a tail makes, and when."""

from collections import defaultdict

import pytest

from builds_async import (
    RateBudget,
)
from builds_async.live.tail_requests import MAX_AT_ONCE
from tests.live.tail.support import Got, collect, next_line, script, texts, wire


class TestRequests:
    @pytest.mark.slow
    async def test_fifty_builds_are_not_polled_one_by_one(self) -> None:
        """Fifty builds of fifty Workers cost three requests per ten seconds for all their statuses."""
        it = wire()
        builds = [it.sim.add_build(script(20, every=2.0)) for _ in range(50)]
        tail = it.tail(
            [build.external_script_id for build in builds], source=it.source(budget=RateBudget(limit=10**6))
        )
        assert await collect(tail, 55) == texts(*builds)
        asked = it.asked()
        assert asked["look"] == 3 * 6
        assert asked["status"] == 0
        assert asked["list"] <= 50  # at the first look
        assert 50 * 40 / 5 <= asked["logs"] <= 50 * 50
        await tail.aclose()

    @pytest.mark.slow
    async def test_fifty_builds_of_one_worker(self) -> None:
        """The statuses of fifty builds of one Worker are not requested one by one."""
        it = wire()
        tag = it.sim.add_finished_build(1).external_script_id
        tail = it.tail([tag])
        await collect(tail, 1)
        for _ in range(50):
            it.sim.add_build(script(1, end=500), external_script_id=tag)
        await collect(tail, 25)
        it.asked()
        await collect(tail, 55)
        asked = it.asked()
        assert asked["status"] + asked["list"] <= 3 * 5
        await tail.aclose()

    @pytest.mark.slow
    async def test_quiet_workers(self) -> None:
        """A thousand Workers without a running build cost 50 requests per look, and nothing else."""
        it = wire()
        ids = [it.sim.add_worker() for _ in range(1000)]
        tail = it.tail(ids)
        assert await collect(tail, 45) == {}
        assert it.asked() == {"look": 250}
        await tail.aclose()

    async def test_pace_of_a_log(self) -> None:
        """A log is polled every second while lines arrive, and down to every five seconds while none do."""
        it = wire()
        build = it.sim.add_build([*script(10, end=110), (100.5, "late")])
        tail = it.tail([build.external_script_id])
        await collect(tail, 8.5)
        assert it.asked()["logs"] == 9
        await collect(tail, 50)
        it.asked()
        await collect(tail, 80)
        assert it.asked()["logs"] == 6
        await tail.aclose()

    @pytest.mark.slow
    async def test_no_more_than_ten_at_once(self) -> None:
        """At most ten of sixty logs are requested concurrently, and each gets its turn."""
        it = wire(latency=0.05)
        builds = [it.sim.add_build(script(20)) for _ in range(60)]
        tail = it.tail(
            [build.external_script_id for build in builds], source=it.source(budget=RateBudget(limit=10**6))
        )
        got = await collect(tail, 12)
        assert len(got) == 60
        await collect(tail, 60, got)
        assert got == texts(*builds)
        assert it.most["logs"] == MAX_AT_ONCE == 10
        await tail.aclose()

    async def test_slow_reader(self) -> None:
        """While its reader sleeps for an hour, a tail sends no new request."""
        it = wire(latency=0.5, page_size=5)
        builds = [it.sim.add_build(script(4000, every=0.1)) for _ in range(40)]
        tail = it.tail([build.external_script_id for build in builds])
        for _ in range(33):
            await next_line(tail)
        on_the_way = it.under_way.total()
        it.asked()
        await it.sim.clock.sleep(3600)
        assert it.asked().total() <= on_the_way
        assert not it.under_way.total()
        ready = [log for log in tail._logs._logs.values() if next(log.reader.buffered, None) is not None]
        assert len(ready) <= MAX_AT_ONCE
        await tail.aclose()

    async def test_slow_reader_loses_nothing(self) -> None:
        """A slow reader gets all lines, those of each build in order."""
        it = wire(page_size=5)
        builds = [it.sim.add_build(script(12)) for _ in range(12)]
        tail = it.tail([build.external_script_id for build in builds])
        got: Got = defaultdict(list)
        while sum(map(len, got.values())) < 144:
            line = await next_line(tail)
            got[line.build.build_uuid].append(line.line.message)
            await it.sim.clock.sleep(7)
        assert got == texts(*builds)
        await tail.aclose()
