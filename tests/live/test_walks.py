"""Random walks of all live verbs of one client, checked against the simulator's own logs."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Coroutine

import msgspec
import pytest

from builds_async import BuildChange, BuildsClient, LogSubscription, TailItem, TailLine, WatchPosition
from builds_async.live.tail import BuildTail
from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator import BuildsSimulator, Fault, Moment, RateLimit, SimulatedBuild, VirtualClock
from tests.live.tail.support import kept
from tests.live.watch.support import ORDER, word
from tests.support import nothing_left
from tests.support.clock import canceled_after

pytestmark = pytest.mark.slow

WORKERS, BUILDS = 8, 14
END = 400.0
"""By then, all builds have finished and all readers have ended."""


class World:
    """An account with builds, and all data that one client reads from it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311  # the same walk for each seed
        self.clock = VirtualClock(idle_turns=20)
        self.sim = BuildsSimulator(clock=self.clock, rate_limit=RateLimit(), seed=seed)
        self.ids = [self.sim.add_worker() for _ in range(WORKERS)]
        self.builds: list[SimulatedBuild] = []
        self.removed: set[str] = set()
        self.lines: dict[str, list[str]] = defaultdict(list)
        self.ends: Counter[str] = Counter()
        self.watched_since: dict[str, float] = {}
        self.states: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        """The states that the watch has reported since the Worker was added, by Worker and build."""
        self.work: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        self.work.append(asyncio.ensure_future(work))

    def add_build(self) -> SimulatedBuild:
        """A build that is queued for a while, and is then canceled or writes some lines."""
        rng = self.rng
        queued, every = rng.choice([0.0, 3.0, 20.0]), rng.choice([0.0, 0.4, 3.0])
        lines = rng.randrange(0, 12)
        moments: list[Moment] = [
            (queued, BuildStatus.RUNNING),
            *((queued + n * every, f"{len(self.builds)}.{n}") for n in range(lines)),
            (queued + lines * every + rng.choice([0.0, 4.0, 30.0]), BuildOutcome.SUCCESS),
        ]
        if rng.random() < 0.2:
            moments = [(queued, BuildOutcome.CANCELLED)]
        build = self.sim.add_build(moments, external_script_id=rng.choice(self.ids))
        self.builds.append(build)
        return build

    async def outages(self) -> None:
        """Now and then break all requests, for less than the client's patience."""
        for _ in range(3):
            await self.clock.sleep(self.rng.uniform(5, 40))
            kind = self.rng.choice(["reset", "server_error", "not_json"])
            self.sim.fault(Fault(kind, times=None))  # type: ignore[arg-type]
            await self.clock.sleep(self.rng.uniform(1, 60))
            self.sim.clear_faults()

    async def interrupted(self, step: Awaitable[object], seconds: float) -> object:
        """The result of a step, or None if it is canceled after `seconds`."""
        return await canceled_after(self.clock, step, seconds)

    # Followers, waiters and readers of broadcasts, which share the board.

    async def follow(self, client: BuildsClient, build: SimulatedBuild) -> None:
        """Follow a build with cancellations and handovers in between."""
        log, got = client.follow(build.build_uuid), list[str]()
        while (lines := await self.interrupted(log.read(), self.rng.choice([0.3, 5.0, 90.0]))) != ():
            got += [line.message for line in lines or ()]  # type: ignore[attr-defined]
            if self.rng.random() < 0.2:
                log = client.follow(build.build_uuid, start=log.position)
        assert got == [line.message for line in build.lines]
        assert log.complete
        assert log.build.is_finished

    async def wait(self, client: BuildsClient, build: SimulatedBuild) -> None:
        """Wait for a build."""
        assert (await client.wait(build.build_uuid)).is_finished

    async def subscribe(self, client: BuildsClient, build: SimulatedBuild) -> None:
        """Read a broadcast from a random moment on, with cancellations in between."""
        broadcast = client.broadcast(build.build_uuid)
        await self.clock.sleep(self.rng.choice([0.0, 7.0, 50.0]))
        reader: LogSubscription = broadcast.subscribe()
        got = list[str]()
        while (lines := await self.interrupted(reader.read(), self.rng.choice([0.3, 5.0, 90.0]))) != ():
            got += [line.message for line in lines or ()]  # type: ignore[attr-defined]
        assert got == [line.message for line in build.lines]

    # A tail with a changing set of Workers.

    async def tail(self, client: BuildsClient, queue: str | None) -> None:
        """Read a tail that is canceled and restarted, and whose Workers are added and removed."""
        tail = client.tail(self.ids[:5], events=queue)
        later = self.ids[5:]
        while self.clock.now() < END:
            items = await self.interrupted(tail.read(), self.rng.choice([0.2, 4.0, 25.0]))
            self.take(items or ())  # type: ignore[arg-type]
            turn = self.rng.random()
            if turn < 0.05 and later:
                await tail.add(later.pop())
            elif turn < 0.08 and len(self.removed) < 2:
                await self.remove(tail)
            elif turn < 0.15:
                position = kept(tail.position)
                await tail.aclose()
                ids = [it for it in self.ids if it not in later and it not in self.removed]
                tail = client.tail(ids, start=position, events=queue)
        for tag in later:
            self.removed.add(tag)
        await tail.aclose()

    async def remove(self, tail: BuildTail) -> None:
        tag = self.ids[len(self.removed)]
        self.removed.add(tag)
        await tail.remove(tag)

    def take(self, items: tuple[TailItem, ...]) -> None:
        for item in items:
            uuid = item.build.build_uuid
            assert item.external_script_id not in self.removed, "nothing more comes of a removed Worker"
            assert not self.ends[uuid], "the end comes last"
            if isinstance(item, TailLine):
                self.lines[uuid].append(item.line.message)
                assert item.number == len(self.lines[uuid])
            else:
                assert item.complete
                self.ends[uuid] += 1

    # A watch with a changing set of Workers.

    async def watch(self, client: BuildsClient) -> None:
        """Read a watch that is canceled and restarted, and whose Workers come, go and come again."""
        watched = self.ids[:4]
        watcher = client.watch(watched)
        while self.clock.now() < END:
            change = await self.interrupted(anext(watcher), self.rng.choice([0.2, 4.0, 25.0]))
            if isinstance(change, BuildChange):
                assert change.external_script_id in watched, "nothing more comes of a removed Worker"
                self.report(change)
            for tag in watcher.current:  # already looked up: later builds are new
                self.watched_since.setdefault(tag, self.clock.now())
            turn, tag = self.rng.random(), self.rng.choice(self.ids)
            if turn < 0.06 and tag not in watched:
                watched.append(tag)
                await watcher.add(tag)
            elif turn < 0.12 and tag in watched and len(watched) > 1:  # without any Worker it would end
                watched.remove(tag)
                await watcher.remove(tag)
                self.watched_since.pop(tag, None)
                self.states.pop(tag, None)
            elif turn < 0.2:
                watcher = client.watch(watched, start=stored(watcher.position))

    def report(self, change: BuildChange) -> None:
        """Check a change: a build is new once, and its states only move forward."""
        states = self.states[change.external_script_id][change.build.build_uuid]
        assert change.is_new == (not states)
        states.append(word(change.build))
        places = [ORDER.index(state) for state in states]
        assert places == sorted(set(places))


def stored(position: WatchPosition) -> WatchPosition:
    """The position after a round trip through JSON."""
    return msgspec.json.decode(msgspec.json.encode(position), type=WatchPosition)


@pytest.mark.parametrize("events", [False, True], ids=["polling", "events"])
@pytest.mark.parametrize("seed", range(12))
def test_every_line_once_and_every_end_once(seed: int, events: bool) -> None:
    """No cancellation, handover, outage or changing set loses a line or an end, or causes a 429 or a leak."""
    asyncio.run(walk(World(seed), events=events))


async def walk(world: World, *, events: bool) -> None:
    """Run everything concurrently, and compare the reads with the writes."""
    async with nothing_left(), world.sim.client(clock=world.clock, patience=300) as client:
        queue = world.sim.add_queue() if events else None
        world.spawn(world.tail(client, queue))
        world.spawn(world.watch(client))
        await world.clock.sleep(3)  # the builds below are new to the first five Workers
        world.spawn(world.outages())
        for _ in range(BUILDS):
            await world.clock.sleep(world.rng.uniform(0, 12))
            build = world.add_build()
            for verb in world.rng.sample([world.follow, world.wait, world.subscribe, world.subscribe], 2):
                world.spawn(verb(client, build))
        await asyncio.gather(*world.work)
    assert 429 not in {seen.status for seen in world.sim.requests}
    for build in world.builds:
        uuid, written = build.build_uuid, [line.message for line in build.lines]
        if build.external_script_id in world.removed:
            assert world.lines[uuid] == written[: len(world.lines[uuid])]
        elif build.external_script_id in world.ids[:5]:
            assert world.lines[uuid] == written
            assert world.ends[uuid] == 1
        else:  # added while it ran or after it finished
            assert world.lines[uuid] in ([], written)
            assert world.ends[uuid] <= 1
        if world.watched_since.get(build.external_script_id, END) < build.created:
            assert world.states[build.external_script_id][uuid][-1:] == [str(build.outcome)]
