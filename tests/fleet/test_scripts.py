"""The scripts and their model return the same results, and both keep the invariants of ownership."""

import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from builds_async.fleet.group import Beat, Dead, Group, Standing, UnknownWorkers
from builds_async.fleet.memory_group import MemoryGroups
from builds_async.fleet.redis import RedisEngine
from builds_async.fleet.redis_group import RedisGroup
from builds_async.live.stores import Saved
from tests.support import FakeClock
from tests.support.engines import EngineServer

LEASE = 15.0


@dataclass
class Claim:
    """The state that a member believes in."""

    member: str
    workers: tuple[str, ...]
    name: str = ""
    held: dict[str, int] = field(default_factory=dict)
    names_workers: bool = True
    version: int = 0

    def drop(self, workers: Iterable[str]) -> None:
        """Stop following some Workers."""
        for worker in tuple(workers):
            self.held.pop(worker, None)
        self.version = 0


class Both:
    """A group in the engine and in the model, at the same time."""

    def __init__(self, engine: RedisEngine, group: str) -> None:
        self.us = 1_764_000_000_000_000
        self.memory = MemoryGroups(FakeClock(), now=lambda: self.us)
        self.groups: tuple[Group, Group] = (
            RedisGroup(engine, group, now=lambda: self.us),
            self.memory.group(group),
        )

    async def ask(self, verb: str, *args: Any) -> Any:
        """The result of both, which has to be the same."""
        real, model = [await getattr(group, verb)(*args) for group in self.groups]
        assert real == model, (verb, args)
        return real

    async def beat(self, claim: Claim, most: int = 50) -> Standing | Dead | UnknownWorkers:
        beat = Beat(
            member=claim.member,
            name=claim.name,
            lease=LEASE,
            digest="+".join(claim.workers)[:40],
            most=most,
            follows=None if claim.version and not claim.names_workers else dict(claim.held),
            version=claim.version,
            workers=claim.workers if claim.names_workers else None,
        )
        answer: Standing | Dead | UnknownWorkers = await self.ask("beat", beat)
        return answer


def hear(claim: Claim, answer: Standing | Dead | UnknownWorkers) -> None:
    """Process a response as a member does."""
    claim.names_workers = not isinstance(answer, Standing)
    if isinstance(answer, Standing):
        for worker in answer.gone:
            claim.held.pop(worker, None)
        claim.held |= answer.taken
        claim.version = answer.version
    elif isinstance(answer, Dead):
        claim.drop(claim.held)


@pytest.fixture
async def both(each_engine: EngineServer) -> AsyncIterator[Both]:
    engine = RedisEngine(each_engine.url)
    yield Both(engine, "g")
    await engine.aclose()


class Walk:
    """Random members of one group whose requests and responses get lost."""

    def __init__(self, both: Both, seed: int) -> None:
        self.both = both
        self.rng = random.Random(seed)  # noqa: S311  # the same walk every time
        self.workers = tuple(f"u{n}" for n in range(self.rng.randint(1, 7)))
        some = self.workers[: self.rng.randint(1, 7)]
        self.claims = [Claim(f"m{n}", some if n == 3 else self.workers) for n in range(4)]
        self.fences: dict[str, int] = {}
        self.seqs: dict[str, int] = {}
        self.given: list[tuple[str, int]] = []

    async def beat(self, claim: Claim) -> None:
        answer = await self.both.beat(claim, self.rng.choice([0, 1, 50]))
        if isinstance(answer, Standing):
            for worker, fence in answer.taken.items():
                assert fence > self.fences.get(worker, 0), "(I1)"
                self.fences[worker] = fence
                self.given.append((worker, fence))
        if self.rng.random() < 0.85:  # otherwise the response is lost
            hear(claim, answer)

    async def save(self, _: Claim) -> None:
        if not self.given:
            return
        worker, fence = self.rng.choice(self.given[-12:])
        before = self.seqs.get(worker, 0)
        seq = before + self.rng.choice([0, 1, 1, 1, 2])
        if await self.both.ask("save", worker, fence, seq, f"p{seq}"):
            assert fence == self.fences[worker], "(I2)"
            assert seq in {before, before + 1}, "(I3)"
            self.seqs[worker] = seq

    async def give_up(self, claim: Claim) -> None:
        if claim.held:
            worker = self.rng.choice(sorted(claim.held))
            fence = claim.held[worker]
            claim.drop([worker])
            if self.rng.random() < 0.8:  # otherwise the request is lost
                await self.both.ask("release", claim.member, {worker: fence})

    async def leave(self, claim: Claim) -> None:
        await self.both.ask("leave", claim.member)
        claim.drop(claim.held)

    async def crash(self, claim: Claim) -> None:
        claim.member, claim.names_workers = f"{claim.member}'", True
        claim.drop(claim.held)

    async def wait(self, _: Claim) -> None:
        self.both.us += self.rng.choice([1, 1_000, 2_000_000, 9_000_000, 16_000_000])

    async def set_back(self, _: Claim) -> None:
        self.both.us -= self.rng.choice([0, 1_000_000, 30_000_000])

    async def step(self) -> None:
        verbs = [self.save, self.give_up, self.leave, self.crash, self.wait, self.set_back]
        verb = self.rng.choice([self.beat, self.beat, self.beat, *verbs])
        await verb(self.rng.choice(self.claims))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_same_results(both: Both, seed: int) -> None:
    """The script and the model return the same results for any sequence of requests and losses.

    (I1) The fences of a Worker only grow. (I2) Only the latest fence of a Worker can commit. (I3) A
    position's number grows by one with each save. (I4) After two successful beats, every Worker is free, or
    held by a live member that knows it.
    """
    walk = Walk(both, seed)
    for _ in range(150):
        await walk.step()
    await assert_settles(both, walk.claims, walk.workers)


async def assert_settles(both: Both, claims: list[Claim], workers: tuple[str, ...]) -> None:
    """Once nothing is lost, each Worker is held by one live member that knows it."""
    both.us += 300_000_000 + 2 * round(LEASE * 1e6)  # longer than the clock was ever set back
    for _ in range(3):
        for claim in claims:
            hear(claim, await both.beat(claim))
    held = [worker for claim in claims for worker in claim.held]
    assert sorted(held) == sorted({worker for claim in claims for worker in claim.workers} & set(workers))


class TestBeat:
    async def test_lesson_2_a_lost_response_is_repeated(self, both: Both) -> None:
        """Workers whose response was lost are granted again with the next beat."""
        claim = Claim("a", ("u1", "u2"))
        await both.beat(claim)  # its response is lost
        claim.names_workers = False
        answer = await both.beat(claim)
        assert isinstance(answer, Standing)
        assert answer.taken.keys() == {"u1", "u2"}
        hear(claim, answer)
        answer = await both.beat(claim)
        assert isinstance(answer, Standing)
        assert (answer.taken, answer.gone, answer.excess) == ({}, frozenset(), 0)

    async def test_lesson_6_nothing_to_release(self, both: Both) -> None:
        """Counts of zero reach every engine as numbers, including the oldest one."""
        await both.ask("release", "a", {})
        await both.ask("leave", "a")
        answer = await both.beat(Claim("a", ()))
        assert isinstance(answer, Standing)
        assert (answer.members, answer.excess, answer.taken, answer.gone) == (("a",), 0, {}, frozenset())

    async def test_lesson_8_fences_grow_when_the_engine_forgets(
        self, both: Both, each_engine: EngineServer
    ) -> None:
        """An engine that comes back empty grants higher fences than before, because it uses its clock."""
        claim = Claim("a", ("u",))
        hear(claim, await both.beat(claim))
        before = claim.held["u"]
        each_engine.flush()
        both.memory.forget()
        both.us += 1
        assert await both.beat(claim) == Dead() if not claim.names_workers else True
        claim.names_workers, claim.held = True, {}
        hear(claim, await both.beat(claim))
        assert claim.held["u"] > before

    async def test_shares_are_fair(self, both: Both) -> None:
        """A new member gets only Workers that the others release."""
        workers = tuple(f"u{n}" for n in range(9))
        first, second, third = (Claim(name, workers) for name in "abc")
        hear(first, await both.beat(first))
        assert len(first.held) == 9
        answer = await both.beat(second)
        assert isinstance(answer, Standing)
        assert (answer.taken, answer.excess) == ({}, -5)
        hear(second, answer)
        answer = await both.beat(first)
        assert isinstance(answer, Standing)
        assert answer.excess == 4
        given = dict(sorted(first.held.items())[:4])
        await both.ask("release", "a", given)
        first.drop(given)
        hear(second, await both.beat(second))
        assert second.held.keys() == given.keys()
        assert all(second.held[worker] > given[worker] for worker in given)
        hear(third, await both.beat(third))
        answer = await both.beat(first)
        assert isinstance(answer, Standing)
        assert (answer.members, answer.excess) == (("a", "b", "c"), 2)

    async def test_names(self, both: Both) -> None:
        """A new process with the same name takes over at once, and the old one is reported as superseded."""
        old, new = Claim("pod-0#1", ("u",), name="pod-0"), Claim("pod-0#2", ("u",), name="pod-0")
        hear(old, await both.beat(old))
        fence = old.held["u"]
        hear(new, await both.beat(new))
        assert new.held["u"] > fence
        assert await both.beat(old) == Dead(superseded=True)
        assert not await both.ask("save", "u", fence, 1, "p")

    async def test_other_workers(self, both: Both) -> None:
        """A member takes only Workers that it wants, and releases those that it no longer wants."""
        one, other = Claim("a", ("u1", "u2")), Claim("b", ("u2", "u3"))
        hear(one, await both.beat(one))
        hear(other, await both.beat(other))
        assert (set(one.held), set(other.held)) == ({"u1", "u2"}, {"u3"})
        one.workers, one.names_workers = ("u1",), True
        answer = await both.beat(one)
        assert isinstance(answer, Standing)
        assert answer.gone == {"u2"}
        hear(other, await both.beat(other))
        assert set(other.held) == {"u2", "u3"}

    async def test_when_the_next_member_is_dead(self, both: Both) -> None:
        """A beat returns the time at which the next silent member expires, to the millisecond."""
        one, other = Claim("a", ("u",)), Claim("b", ("u",))
        hear(one, await both.beat(one))
        both.us += 4_000_000
        answer = await both.beat(other)
        assert isinstance(answer, Standing)
        assert answer.lapse == 11.0
        hear(other, answer)
        both.us += 10_999_000
        hear(other, await both.beat(other))
        assert other.held == {}
        both.us += 1_000
        hear(other, await both.beat(other))
        assert set(other.held) == {"u"}

    async def test_unknown_workers_are_requested(self, both: Both, each_engine: EngineServer) -> None:
        """An engine that has lost only the Workers of a digest requests them, and no Worker changes hands."""
        claim = Claim("a", ("u",))
        hear(claim, await both.beat(claim))
        each_engine.command("DEL", "builds-async:group:{g}:known:u")
        both.memory.state("g").known.clear()
        assert await both.beat(claim) == UnknownWorkers()
        claim.names_workers = True
        answer = await both.beat(claim)
        assert isinstance(answer, Standing)
        assert (answer.taken, answer.gone) == ({}, frozenset())

    async def test_a_version_replaces_workers(self, both: Both) -> None:
        """A beat with the latest version omits the Workers; with any other version, it must list them."""
        claim = Claim("a", ("u1", "u2"))
        hear(claim, await both.beat(claim))
        first = claim.version
        answer = await both.beat(claim)
        assert isinstance(answer, Standing)
        assert (answer.version, answer.taken, answer.excess) == (first, {}, 0)
        await both.ask("release", "a", {"u1": claim.held["u1"]})  # while a beat was in flight
        assert await both.beat(claim) == UnknownWorkers()
        claim.drop(["u1"])
        answer = await both.beat(claim)
        assert isinstance(answer, Standing)
        assert answer.taken.keys() == {"u1"}
        assert answer.version > first

    async def test_a_grant_changes_the_version(self, both: Both) -> None:
        """A beat without Workers takes the free ones; if its response is lost, its version is outdated."""
        claim, other = Claim("a", ("u1", "u2")), Claim("b", ("u1", "u2"))
        for it in (claim, other, claim):
            hear(it, await both.beat(it))
        await both.ask("leave", "b")
        await both.ask("release", "a", {"u2": claim.held["u2"]})
        claim.drop(["u2"])
        hear(claim, await both.beat(claim, 0))
        answer = await both.beat(claim)
        assert isinstance(answer, Standing)
        assert answer.taken.keys() == {"u2"}
        assert await both.beat(claim) == UnknownWorkers()


class TestPositions:
    async def test_repeated_save(self, both: Both) -> None:
        """A repeated save succeeds and changes nothing, and a save with another number is refused."""
        assert await both.ask("load", "u", 5) == Saved()
        assert await both.ask("save", "u", 5, 1, "one", ["lines", "a", "b"])
        assert await both.ask("save", "u", 5, 1, "other", ["lines", "a", "b"])
        assert not await both.ask("save", "u", 5, 3, "three")
        assert not await both.ask("save", "u", 4, 2, "two")
        assert await both.ask("load", "u", 5) == Saved(1, "one")
        assert await both.ask("load", "u", 4) is None
        assert both.memory.lists == {"lines": ["a", "b"]}

    async def test_any_text(self, both: Both) -> None:
        """A position is stored unchanged, whatever characters it contains."""
        odd = 'a|b|"\\\0\n|ü€'
        assert await both.ask("save", "u", 1, 1, odd)
        assert await both.ask("load", "u", 1) == Saved(1, odd)
        claim = Claim("a", ("u",))
        hear(claim, await both.beat(claim))
        assert await both.ask("load", "u", claim.held["u"]) == Saved(1, odd)


@pytest.mark.slow
async def test_bytes_of_an_idle_worker(engine: EngineServer) -> None:
    """An idle Worker takes at most 500 bytes in the engine."""
    over = RedisEngine(engine.url)
    group = RedisGroup(over, "g")
    position = '{"workers":{"%s":{"build_uuid":"%s","created_on":"2026-11-26T18:47:14.123456Z"}},"logs":{}}'

    async def memory() -> int:
        info = await over._client.info("memory")
        return int(info["used_memory"])

    before = await memory()
    workers = [f"{n:032x}" for n in range(2000)]
    answer = await group.beat(
        Beat(member="123#abcdef01", lease=LEASE, digest="d" * 16, most=2000, follows={}, workers=workers)
    )
    assert isinstance(answer, Standing)
    for worker, fence in answer.taken.items():
        assert await group.save(
            worker, fence, 1, position % (worker, f"{worker[:8]}-0000-4000-8000-{worker[20:]}")
        )
    cost = (await memory() - before) / len(workers)
    assert 100 < cost < 500
    print(f"bytes of an idle Worker: {cost:.0f}")  # noqa: T201
    await over.aclose()
