"""The iterator: loops, pauses, cancellation."""

import pytest

from builds_async.live.watch import BuildWatcher
from tests.live.watch.support import ENDLESS, QUICK, A, B, C, Over, World, everything, life, short
from tests.support import CancelledStep, stepped
from tests.support.case import cases


class TestTheIterator:
    async def test_no_workers(self) -> None:
        """Without Workers, there is nothing to wait for, and the loop ends."""
        world = World()
        assert [change async for change in BuildWatcher(world, [], interval=1, clock=world)] == []

    @pytest.mark.parametrize("interval", [0, -1])
    def test_no_interval(self, interval: float) -> None:
        """An interval of 0 or less raises ValueError."""
        with pytest.raises(ValueError, match="interval"):
            BuildWatcher(World(), [A], interval=interval, clock=World())

    async def test_second_loop_resumes(self) -> None:
        """After a `break`, the next loop gets the remaining changes, and no pass starts early."""
        world = World(*(life(tag[-1], 0, ENDLESS, tag=tag) for tag in (A, B, C)), until=10)
        watcher = world.watch(A, B, C)
        async for change in watcher:
            assert short(change) == "+1 running"
            break
        assert await everything(watcher) == ["+2 running", "+3 running"]
        assert world.asked.count("latest") == 1

    async def test_interval_counts_from_one_pass_to_the_next(self) -> None:
        """The time of a pass and its consumer is part of the interval, and missed passes are not repeated."""
        world = World(life("a", -99), latency=4, until=40)
        watcher = world.watch()
        await anext(watcher)
        with pytest.raises(Over):
            await anext(watcher)
        assert world.naps == [11.0, 11.0, 11.0]
        world.time, world.until, world.naps = 5000.0, 5020.0, []
        with pytest.raises(Over):
            await anext(watcher)
        assert world.naps[:2] == [11.0, 11.0]

    @cases("wait", range(14))
    async def test_cancel_anywhere(self, wait: int) -> None:
        """A pass that is canceled at any await loses nothing for the next one."""
        world = World(life("a", 0), life("b", 1), life("c", 2, QUICK), until=99)
        watcher = world.watch()
        changes = [short(await anext(watcher))]
        for _ in range(3):
            try:
                changes.append(short(await stepped(watcher.__anext__(), wait)))
            except CancelledStep:
                continue
        changes += await everything(watcher)
        assert sorted(it for it in changes if it.startswith("+")) == sorted(
            ["+a queued", "+b running", "+c fail"]
        )
        assert {"a success", "b success"} <= set(changes)
        assert len(changes) == len(set(changes))
