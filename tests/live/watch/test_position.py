"""A watch that resumes from a position, its present state, and Workers that are added and removed."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest

from builds_async import BuildsConnectionError, WatchPosition
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.watch import BuildWatcher
from builds_async.models.workers import WorkerScript
from tests.live.watch.support import ENDLESS, QUICK, A, B, C, World, everything, life, short, word
from tests.support import CancelledStep, stepped


def resumed(world: World, watcher: BuildWatcher, *ids: str) -> BuildWatcher:
    """A watch at the position of another one, after a round trip through JSON."""
    start = msgspec.json.decode(msgspec.json.encode(watcher.position), type=WatchPosition)
    return BuildWatcher(world, ids or (A,), interval=15.0, clock=world, start=start)


class TestPosition:
    async def test_while_it_was_away(self) -> None:
        """Only ends and builds that happened while no watch was running are reported, each once."""
        world = World(life("a", 0), life("b", 100, QUICK), life("c", 110, ENDLESS), until=10)
        watcher = world.watch()
        assert await everything(watcher) == ["+a queued"]
        world.time, world.until = 200.0, 230.0
        assert await everything(resumed(world, watcher)) == ["a success", "+b fail", "+c running"]

    async def test_undelivered_change(self) -> None:
        """A change that was found but not delivered is not covered by the position."""
        world = World(*(life(tag[-1], 0, ENDLESS, tag=tag) for tag in (A, B, C)), until=10)
        watcher = world.watch(A, B, C)
        assert short(await anext(watcher)) == "+1 running"
        assert await everything(resumed(world, watcher, A, B, C)) == ["+2 running", "+3 running"]

    @pytest.mark.parametrize("taken", [0, 1, 2])
    @pytest.mark.parametrize("away", [0.0, 100.0], ids=["at once", "when all is over"])
    async def test_killed_at_any_turn(self, taken: int, away: float) -> None:
        """From the first look on, each running build and its end are reported, listed or not."""
        for turns in range(1, 25):
            world = World(life("old", 0), life("new", 1))
            world.time = 20.0
            watcher = world.watch()
            seen = [short(await anext(watcher)) for _ in range(taken)]
            with suppress(CancelledStep):
                seen.append(short(await stepped(anext(watcher), turns)))
            if not watcher.position.workers:
                continue
            world.time += away
            world.until = world.time + 100
            seen += await everything(resumed(world, watcher))
            builds = {"old", "new"}
            assert sorted(it.split()[0] for it in seen if it[0] == "+") == ["+new", "+old"], f"{turns} turns"
            assert {
                uuid for uuid in builds if seen.count(f"{uuid} success") + seen.count(f"+{uuid} success") == 1
            } == builds

    @pytest.mark.parametrize("every", [1, 2, 3])
    async def test_older_builds_that_have_ended(self, every: int) -> None:
        """Older builds that may have run come once each, even if the watch restarts between them."""
        older = [life(f"old{n}", 0, QUICK) for n in range(5)]
        world = World(*older, life("new", 1, ENDLESS))
        world.time = 20.0
        watcher = world.watch()
        seen = [short(await anext(watcher))]
        world.until = 100.0
        while len(seen) < 6:
            watcher = resumed(world, watcher)
            seen += [short(await anext(watcher)) for _ in range(min(every, 6 - len(seen)))]
        assert sorted(seen) == ["+new running", *(f"+{it.uuid} fail" for it in older)]
        assert set(watcher.position.builds) == set(watcher._builds) == {"new"}  # nothing else is kept
        assert await everything(resumed(world, watcher)) == []

    async def test_previous(self) -> None:
        """After a restart, `previous` is the last reported state of the build."""
        world = World(life("a", 0), until=10)
        watcher = world.watch()
        await everything(watcher)
        world.time, world.until = 60.0, 70.0
        change = await anext(resumed(world, watcher))
        assert (change.is_new, change.previous and word(change.previous)) == (False, "queued")

    async def test_wrong_type(self) -> None:
        """A position that was not decoded raises TypeError."""
        start: Any = {"workers": {}}
        with pytest.raises(TypeError, match="decode it with msgspec"):
            BuildWatcher(World(), [A], interval=1.0, clock=World(), start=start)


class TestCurrent:
    async def test_three_states(self) -> None:
        """A Worker without builds is None, and one not looked up yet, or failed, is absent."""
        world = World(life("a", 0, ENDLESS), until=10)
        world.broken = {}
        watcher = world.watch(A, B)
        assert watcher.current == {}
        await everything(watcher)
        assert {tag: build and word(build) for tag, build in watcher.current.items()} == {
            A: "running",
            B: None,
        }
        world.broken = {C: BuildsConnectionError("reset")}
        await watcher.add(C)
        world.until = 20
        await everything(watcher)
        assert set(watcher.current) == {A, B}


class TestSets:
    async def test_add_and_remove(self) -> None:
        """An added Worker is reported from then on, and a removed one no longer."""
        world = World(life("a", 0, ENDLESS), life("b", 20, ENDLESS, tag=B), life("c", 70, ENDLESS), until=30)
        watcher = world.watch()
        assert await everything(watcher) == ["+a running"]
        await watcher.add(B)
        await watcher.add(B)
        world.until = 60
        assert await everything(watcher) == ["+b running"]
        await watcher.remove(A)
        world.until = 120
        assert await everything(watcher) == []
        assert list(watcher.current) == [B]
        assert list(watcher.position.workers) == [B]

    async def test_all_workers_of_the_account(self) -> None:
        """Without ids, all Workers are watched, and a new Worker with all of its builds."""
        world = World(life("a", -99, ENDLESS), life("b1", 30, QUICK, tag=B), life("b2", 35, QUICK, tag=B))
        world.until = 100

        class Scripts:
            async def list(self) -> tuple[WorkerScript, ...]:
                return tuple(WorkerScript(id=tag, tag=tag) for tag in ((A,) if world.time < 20 else (A, B)))

        account = AccountWorkers(Scripts(), world)
        watcher = BuildWatcher(world, (), interval=15.0, clock=world, account=account)
        assert await everything(watcher) == ["+a running", "+b1 fail", "+b2 fail"]
