"""A watch and events that the members of a fleet divide, on a virtual clock."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from builds_async import (
    BuildChange,
    BuildEvent,
    BuildsClient,
    ConfigurationError,
    LeaseTaken,
    Observation,
    TailPosition,
    WatchPosition,
)
from builds_async.fleet import Fleet
from builds_async.fleet.memory_group import MemoryGroups
from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator import BuildsSimulator, VirtualClock
from tests.live.tail.support import script
from tests.support import nothing_left

LEASE = 4.0


class Watching:
    """A member that watches until it is stopped."""

    def __init__(self, sim: BuildsSimulator, engine: MemoryGroups, tags: list[str] | None) -> None:
        self.sim, self.engine, self.tags = sim, engine, tags
        self.fleet = Fleet(engine, group="g", lease=LEASE)
        self.changes: list[BuildChange] = []
        self.lines: list[tuple[str, str, int]] = []
        self.events: list[BuildEvent] = []
        self.observed: list[Observation] = []
        self.task: asyncio.Task[None] | None = None

    def client(self) -> BuildsClient:
        sim = self.sim
        return BuildsClient(
            account_id=sim.account_id,
            api_token=sim.api_token,
            transport=sim.transport,
            clock=sim.clock,
            observer=self.observed.append,
        )

    async def watch(self) -> None:
        async with self.fleet, self.client() as client:
            async for change in client.watch(self.tags, fleet=self.fleet, interval=5.0):
                self.changes.append(change)

    async def tail(self) -> None:
        async with self.fleet, self.client() as client, client.tail(self.tags, fleet=self.fleet) as batches:
            async for batch in batches:
                self.lines += [(batch.external_script_id, uuid, n) for uuid, n, *_ in batch.rows()]

    async def listen(self, queue_id: str) -> None:
        async with self.fleet, self.client() as client:
            async for event in client.events(queue_id, fleet=self.fleet, visibility_timeout=10.0):
                self.events.append(event)

    async def leave(self) -> None:
        await self.fleet.leave()
        assert self.task is not None
        with suppress(asyncio.CancelledError):
            await self.task


def account(workers: int) -> tuple[BuildsSimulator, MemoryGroups, list[str]]:
    clock = VirtualClock(idle_turns=15)
    sim = BuildsSimulator(clock=clock, rate_limit=None)
    return sim, MemoryGroups(clock), [sim.add_worker() for _ in range(workers)]


async def test_watch() -> None:
    """Each change reaches one member; none is missed or repeated when members leave and join."""
    sim, engine, tags = account(6)
    async with nothing_left():
        members = [Watching(sim, engine, tags) for _ in range(3)]
        for member in members[:2]:
            member.task = asyncio.create_task(member.watch())
        await sim.clock.sleep(10.0)
        assert sorted(len(member.fleet.owned) for member in members) == [0, 3, 3]
        for n, tag in enumerate(tags):
            sim.add_build(
                [(5.0 * n, BuildStatus.RUNNING), (30.0 + 7.0 * n, BuildOutcome.SUCCESS)],
                external_script_id=tag,
            )
        await sim.clock.sleep(20.0)
        members[2].task = asyncio.create_task(members[2].watch())
        await sim.clock.sleep(15.0)
        await members[0].leave()
        await sim.clock.sleep(60.0)
        assert sorted(len(member.fleet.owned) for member in members[1:]) == [3, 3]
        for member in members[1:]:
            await member.leave()
    seen = [
        (it.external_script_id, it.build.status, it.build.build_outcome) for m in members for it in m.changes
    ]
    assert all(member.changes for member in members)
    assert [state for state, count in Counter(seen).items() if count > 1] == []
    assert {tag for tag, _, outcome in seen if outcome == BuildOutcome.SUCCESS} == set(tags)


@pytest.mark.parametrize("verb", ["watch", "tail"])
async def test_leases_name_workers(verb: str) -> None:
    """An observer gets the tag of each Worker that the member has taken, whatever the verb."""
    sim, engine, tags = account(3)
    async with nothing_left():
        member = Watching(sim, engine, tags)
        member.task = asyncio.create_task(member.watch() if verb == "watch" else member.tail())
        await sim.clock.sleep(10.0)
        await member.leave()
    taken = [it.external_script_id for it in member.observed if isinstance(it, LeaseTaken)]
    assert sorted(taken) == sorted(tags)


async def test_events() -> None:
    """One member pulls, another takes over when it leaves, and no processed event is redelivered."""
    sim, engine, tags = account(1)
    queue_id = sim.add_queue()
    async with nothing_left():
        members = [Watching(sim, engine, tags) for _ in range(2)]
        for member in members:
            member.task = asyncio.create_task(member.listen(queue_id))
            await sim.clock.sleep(1.0)
        assert [member.fleet.owned for member in members] == [(f"queue:{queue_id}",), ()]
        for n in range(3):
            sim.add_build(
                [(n, BuildStatus.RUNNING), (n + 5.0, BuildOutcome.SUCCESS)], external_script_id=tags[0]
            )
        await sim.clock.sleep(30.0)
        before = len(members[0].events)
        assert before > 0
        await members[0].leave()
        sim.add_build([(0.0, BuildStatus.RUNNING), (5.0, BuildOutcome.FAIL)], external_script_id=tags[0])
        await sim.clock.sleep(40.0)
        assert members[1].fleet.owned == (f"queue:{queue_id}",)
        await members[1].leave()
    assert len(members[0].events) == before
    assert members[1].events
    keys = [(event.build_uuid, event.type) for member in members for event in member.events]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("verb", ["watch", "tail"])
async def test_all_workers_of_the_account(verb: str) -> None:
    """Without tags, members divide all Workers of the account, and later ones with all of their builds."""
    sim, engine, tags = account(3)
    async with nothing_left():
        members = [Watching(sim, engine, None) for _ in range(2)]
        for member in members:
            member.task = asyncio.create_task(member.watch() if verb == "watch" else member.tail())
        await sim.clock.sleep(20.0)
        tags.append(sim.add_worker())
        for tag in tags:
            sim.add_build(script(3, every=0.1), external_script_id=tag)
        await sim.clock.sleep(120.0)
        owned = [name.removeprefix("watch:") for member in members for name in member.fleet.owned]
        assert sorted(owned) == sorted(tags)
        for member in members:
            await member.leave()
    ended = [
        change.external_script_id
        for member in members
        for change in member.changes
        if change.build.build_outcome == BuildOutcome.SUCCESS
    ]
    lines = [line for member in members for line in member.lines]
    if verb == "watch":
        assert sorted(ended) == sorted(tags)
    else:
        assert Counter(tag for tag, _, _ in lines) == dict.fromkeys(tags, 3)
        assert len(set(lines)) == len(lines)


async def test_misuse() -> None:
    """With a fleet, a watch and a tail have no `start`, and a tail has no `events`."""
    sim, engine, tags = account(1)
    member = Watching(sim, engine, [])
    async with member.fleet, member.client() as client:
        with pytest.raises(ValueError, match="no start"):
            client.watch(tags, fleet=member.fleet, start=WatchPosition())  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="neither start nor events"):
            client.tail(tags, fleet=member.fleet, start=TailPosition())  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="neither start nor events"):
            client.tail(tags, fleet=member.fleet, events="0" * 32)  # type: ignore[call-overload]


@pytest.mark.parametrize("verb", ["watch", "tail", "listen"])
async def test_position_of_another_verb(verb: str) -> None:
    """A stored position that another program has written is an error that says so."""
    sim, engine, tags = account(1)
    queue_id = sim.add_queue()
    key = {"watch": f"watch:{tags[0]}", "tail": tags[0], "listen": f"queue:{queue_id}"}[verb]
    member = Watching(sim, engine, tags)
    async with Fleet(engine, group="g") as fleet:
        assert await fleet.store.save(key, 0, 1, '"another"')
    run = member.listen(queue_id) if verb == "listen" else getattr(member, verb)()
    async with nothing_left():
        with pytest.raises(ConfigurationError, match="the position in the store is not that of"):
            await run
