"""Watching many Workers: what is asked, and that each change comes once, whatever happens meanwhile."""

import asyncio
import gc
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds_async import (
    AuthenticationError,
    BuildChange,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
)
from builds_async.live.finish import OUTCOME_WAIT
from builds_async.live.tracker import Tracker
from builds_async.live.watch import BuildWatcher
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.envelope import Page
from builds_async.results import BulkResult
from builds_async.simulator import BuildsSimulator, Fault, RateLimit, TokenKind, VirtualClock, build_script
from tests.support import CancelledStep, drive, nothing_left, settle, tags

T = TypeVar("T")
EPOCH = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
A, B, C = tags(3)
ORDER = ["queued", "initializing", "running", "stopped", "success", "fail"]


class Over(Exception):  # noqa: N818  # not an error
    """What the test wanted to see is over."""


class Life(msgspec.Struct):
    """One build of a scripted world: what it is from when on. `created` None: the API does not say."""

    tag: str
    uuid: str
    begins: float
    states: list[tuple[float, str]]  # seconds from its beginning: a status or an outcome
    created: float | None = None
    gone: float = float("inf")

    def at(self, now: float) -> Build:
        words = [word for after, word in self.states if self.begins + after <= now]
        stopped = "stopped" in words
        outcome = words[-1] if words[-1] not in ORDER[:4] else None
        return Build(
            build_uuid=self.uuid,
            status=BuildStatus("stopped" if stopped else words[-1]),
            build_outcome=BuildOutcome(outcome) if outcome else None,
            created_on=None if self.created is None else EPOCH + timedelta(seconds=self.created),
        )


LIFE = [(0.0, "queued"), (5.0, "initializing"), (10.0, "running"), (40.0, "stopped"), (40.0, "success")]
QUICK = [(0.0, "queued"), (1.0, "stopped"), (1.0, "fail")]
ENDLESS = [(0.0, "running")]


class World:
    """Workers and builds on a clock that moves by sleeping and, if `latency` is given, with each request.

    A source for a watcher. `fails` are the numbers of the requests that fail, by what; a look asks for
    `chunk` Workers in a request, and fails for those with a Worker that is `broken`.
    """

    def __init__(self, *lives: Life, latency: float = 0.0, chunk: int = 20, until: float = 1e9) -> None:
        self.lives = list(lives)
        self.latency = latency
        self.chunk = chunk
        self.until = until
        self.time = 0.0
        self.naps: list[float] = []
        self.asked: list[str] = []
        self.fails: dict[int, BuildsError] = {}
        self.broken: dict[str, BuildsError] = {}
        self.first_seen: dict[str, float] = {}
        self.stale: Callable[[str, list[Life]], Life | None] | None = None

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.naps.append(seconds)
        self.time += max(0.0, seconds)
        if self.time > self.until:
            raise Over

    async def _arrive(self, what: str) -> None:
        await asyncio.sleep(0)
        self.asked.append(what)
        assert len(self.asked) < 5000, "it spins"
        self.time += self.latency
        if error := self.fails.get(len(self.asked)):
            raise error
        await asyncio.sleep(0)

    def of(self, tag: str) -> list[Life]:
        """The builds of a Worker by now, newest first."""
        lives = [it for it in self.lives if it.tag == tag and it.begins <= self.time < it.gone]
        return sorted(lives, key=lambda it: it.begins)[::-1]

    async def latest(self, external_script_ids: Iterable[str]) -> BulkResult[Build]:
        ids = list(external_script_ids)
        found: dict[str, Build] = {}
        failed: dict[str, BuildsError] = {}
        for start in range(0, len(ids), self.chunk):
            part = ids[start : start + self.chunk]
            try:
                await self._arrive("latest")
                for tag in part:
                    if tag in self.broken:
                        raise self.broken[tag]
            except (AuthenticationError, PermissionDeniedError):
                raise
            except BuildsError as error:
                failed |= dict.fromkeys(part, error)
                continue
            for tag in part:
                self.first_seen.setdefault(tag, self.time)
                lives = self.of(tag)
                newest = self.stale(tag, lives) if self.stale else next(iter(lives), None)
                if newest is not None:
                    found[tag] = newest.at(self.time)
        missing = tuple(tag for tag in ids if tag not in found and tag not in failed)
        return BulkResult(found=found, missing=missing, failed=failed)

    async def get(self, build_uuid: str) -> Build:
        await self._arrive(build_uuid)
        for life in self.lives:
            if life.uuid == build_uuid and life.begins <= self.time < life.gone:
                return life.at(self.time)
        raise NotFoundError("no such build")

    async def list(self, external_script_id: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        await self._arrive("list")
        shown = self.of(external_script_id)[(page - 1) * per_page : page * per_page]
        return Page(result=tuple(life.at(self.time) for life in shown))

    def watch(self, *ids: str) -> BuildWatcher:
        return BuildWatcher(self, ids or (A,), interval=15.0, clock=self)


def life(uuid: str, begins: float, states: list[tuple[float, str]] = LIFE, *, tag: str = A) -> Life:
    return Life(tag=tag, uuid=uuid, begins=begins, states=states, created=begins)


def word(build: Build) -> str:
    """The outcome of a build, or else its status."""
    return str(build.build_outcome or build.status)


def told(change: BuildChange) -> str:
    """A change in short: `+` for a new build."""
    return f"{'+' if change.is_new else ''}{change.build.build_uuid} {word(change.build)}"


async def everything(watcher: BuildWatcher) -> list[str]:
    """All changes until the world is over."""
    changes: list[str] = []
    try:
        async for change in watcher:
            changes.append(told(change))
    except Over:
        pass
    return changes


class TestChanges:
    async def test_present_state_first(self) -> None:
        """The first pass gives the latest build of each Worker that has one, in the order of the Workers."""
        world = World(life("a0", -200), life("a", -99), life("c", -1, tag=C), until=5)
        watcher = world.watch(C, B, A, C)
        changes = [await anext(watcher), await anext(watcher)]
        assert [told(change) for change in changes] == ["+c queued", "+a success"]
        assert [change.external_script_id for change in changes] == [C, A]
        assert [change.previous for change in changes] == [None, None]
        assert world.asked.count("latest") == 1
        assert len(world.asked) <= 2
        assert world.naps == []

    async def test_life_of_a_build(self) -> None:
        """Each status that a pass sees comes once, the outcome in the end, and then nothing any more."""
        world = World(life("a", 0), until=3600)
        assert await everything(world.watch()) == [
            "+a queued",
            "a running",
            "a success",
        ]
        assert world.asked.count("latest") == 241
        assert len(world.asked) <= 241 + 1
        assert world.naps == [15.0] * 241

    async def test_previous_is_what_was_reported_last(self) -> None:
        """`previous` is the same build as before, for a new one the newest until then."""
        world = World(life("a", 0, [(0.0, "queued"), (20.0, "running")]), life("b", 40, ENDLESS), until=100)
        changes = []
        watcher = world.watch()
        for _ in range(3):
            change = await anext(watcher)
            changes.append((change.previous and told_build(change.previous), told(change)))
        assert changes == [(None, "+a queued"), ("a queued", "a running"), ("a running", "+b running")]

    async def test_outcome_that_comes_after_the_stop(self) -> None:
        """`stopped` and the outcome are two changes when the API tells them apart."""
        world = World(life("a", 0, [(0.0, "running"), (20.0, "stopped"), (50.0, "fail")]), until=99)
        assert await everything(world.watch()) == ["+a running", "a stopped", "a fail"]

    async def test_other_fields_are_no_change(self) -> None:
        """Only another status or outcome is a change."""
        world = World(life("a", 0, ENDLESS), until=99)
        watcher = world.watch()
        assert told(await anext(watcher)) == "+a running"
        world.lives[0].created = 7.0
        with pytest.raises(Over):
            await anext(watcher)

    async def test_superseded_build_goes_on(self) -> None:
        """A build that runs on while newer ones begin is asked for by itself until its outcome is known."""
        world = World(life("a", 0), life("b", 20, ENDLESS), life("c", 31, ENDLESS), until=99)
        assert await everything(world.watch()) == [
            "+a queued",
            "a running",
            "+b running",
            "+c running",
            "a success",
        ]
        assert world.asked.count("a") <= 2

    async def test_builds_between_two_passes(self) -> None:
        """Builds that came and went within one interval are reported, in the order in which they began."""
        quick = [life(f"b{n}", 16 + n, QUICK) for n in range(9)]
        world = World(life("a", -99), *quick, life("c", 26, ENDLESS), until=99)
        assert await everything(world.watch()) == [
            "+a success",
            *(f"+b{n} fail" for n in range(9)),
            "+c running",
        ]
        assert world.asked.count("list") == 1

    @pytest.mark.parametrize("count", [49, 50, 51, 120, 199])
    async def test_many_builds_between_two_passes(self, count: int) -> None:
        """Up to 200 builds of one Worker within one interval are found, each once."""
        many = [life(f"b{n}", 16 + n / 100, QUICK) for n in range(count)]
        world = World(life("old", -999), life("a", -99), *many, until=99)
        assert await everything(world.watch()) == ["+a success", *(f"+b{n} fail" for n in range(count))]

    async def test_stop_of_a_superseded_build_without_outcome(self) -> None:
        """A superseded build that never gets an outcome is asked for some 30 s after its stop, no longer."""
        world = World(life("a", 0, [(0.0, "running"), (20.0, "stopped")]), life("b", 1, ENDLESS), until=900)
        assert await everything(world.watch()) == ["+a running", "+b running", "a stopped"]
        assert world.asked.count("a") <= 3 + OUTCOME_WAIT / 15

    async def test_superseded_build_that_is_deleted(self) -> None:
        """A superseded build that is gone is not asked for again, and is no failure."""
        world = World(life("a", 0, ENDLESS), life("b", 1, ENDLESS), until=200)
        world.lives[0].gone = 50
        watcher = world.watch()
        assert await everything(watcher) == ["+a running", "+b running"]
        assert world.asked.count("a") == 3  # the list that told of b told of it as well
        assert watcher.failures == {}

    async def test_first_build_of_a_worker(self) -> None:
        """A Worker that had no build at first is watched all the same."""
        world = World(life("a", 20), until=200)
        assert await everything(world.watch()) == ["+a running", "a success"]

    async def test_first_builds_within_one_interval(self) -> None:
        """When a Worker's first builds begin within one interval, none of them is missed."""
        world = World(life("a", 16, QUICK), life("b", 18), until=99)
        assert await everything(world.watch()) == ["+a fail", "+b running", "b success"]

    async def test_builds_of_the_same_moment(self) -> None:
        """Builds with the same `created_on` come once each, in the order of the list."""
        together = [life(f"b{n}", 16 + n / 100, QUICK) for n in range(3)]
        for it in together:
            it.created = 16.0
        world = World(life("a", -99), *together, life("c", 50, QUICK), life("d", 80, QUICK), until=150)
        assert await everything(world.watch()) == [
            *("+a success", "+b0 fail", "+b1 fail", "+b2 fail", "+c fail", "+d fail")
        ]

    async def test_builds_of_the_same_moment_in_two_passes(self) -> None:
        """A build is not reported again because the next one has the same `created_on`."""
        world = World(life("a", 0, QUICK), life("b", 16, QUICK), life("c", 40, QUICK), until=99)
        world.lives[1].created = 0.0
        assert await everything(world.watch()) == ["+a queued", "a fail", "+b fail", "+c fail"]

    async def test_memory_is_bounded(self) -> None:
        """What is remembered of a Worker does not grow with the number of its builds."""
        world = World(*(life(f"b{n}", n * 5.0, QUICK) for n in range(2000)), until=10_000)
        watcher = world.watch()
        assert len(await everything(watcher)) >= 2000
        assert sum(len(it.builds) for it in watcher._tracker._histories.values()) < 100

    async def test_no_dates(self) -> None:
        """Where the API does not date builds, the order of the list tells what is new."""
        lives = [life(f"b{n}", n * 10 - 51.0, QUICK) for n in range(10)]
        for it in lives:
            it.created = None
        world = World(*lives, until=99)
        assert await everything(world.watch()) == [f"+b{n} fail" for n in range(5, 10)]


def told_build(build: Build) -> str:
    return f"{build.build_uuid} {word(build)}"


class TestRaces:
    """What the API says may be seconds apart: the latest builds come first, then lists and single builds."""

    async def test_state_moves_between_two_answers(self) -> None:
        """A build that ends between the look at the latest and the list does not come back to life."""
        world = World(life("a", -99), life("b", 10, [(0.0, "running"), (7.0, "stopped"), (7.0, "success")]))
        world.until, world.latency = 99, 1.5  # the second `latest` is answered at 16.5, the list at 18
        assert await everything(world.watch()) == ["+a success", "+b success"]

    async def test_build_begins_between_two_answers(self) -> None:
        """A build that begins between the look at the latest and the list repeats no other one."""
        world = World(life("a", -99), life("b", 10, QUICK), life("c", 17, ENDLESS), until=99, latency=1.5)
        assert await everything(world.watch()) == ["+a success", "+b fail", "+c running"]

    async def test_quick_build_begins_between_two_answers(self) -> None:
        """The same when the later build is over by the next pass."""
        world = World(life("a", -99), life("b", 10, QUICK), life("c", 17), until=150, latency=1.5)
        assert await everything(world.watch()) == [
            "+a success",
            "+b fail",
            *("+c queued", "c running", "c success"),
        ]

    async def test_stale_answer(self) -> None:
        """A look that gives the build before the latest, from a copy that lags, repeats nothing."""
        world = World(life("a", -99), life("b", 10), until=200)
        world.stale = lambda _, lives: lives[1] if 35 < world.time < 50 else lives[0]
        assert await everything(world.watch()) == ["+a success", "+b initializing", "b running", "b success"]

    async def test_stale_answer_after_the_first(self) -> None:
        """The same for a build that was over before the first look, and so was never reported."""
        world = World(life("a", -99), life("b", -50), life("c", 70, QUICK), until=200)
        world.stale = lambda _, lives: lives[-1] if 20 < world.time < 50 else lives[0]
        assert await everything(world.watch()) == ["+b success", "+c fail"]

    async def test_latest_build_is_deleted(self) -> None:
        """When the latest build is deleted, the one before it is not reported as new."""
        world = World(life("a", -99), life("b", 10, ENDLESS), until=200)
        world.lives[1].gone = 35
        assert await everything(world.watch()) == ["+a success", "+b running"]

    async def test_build_comes_and_goes_within_the_first_pass(self) -> None:
        """A build that began and ended between the first two requests, before a newer one, is seen."""
        quick = [(0.0, "stopped"), (0.0, "fail")]
        world = World(
            life("a", 0, ENDLESS), life("b", 3, quick), life("c", 4, ENDLESS), latency=2.1, until=60
        )
        assert await everything(world.watch()) == ["+a running", "+b fail", "+c running"]


class TestFailures:
    async def test_failed_chunk_stops_no_other(self) -> None:
        """Other Workers go on; the error of those that failed is in `failures` until it passes."""
        world = World(life("a", 0, ENDLESS), life("b", 0, ENDLESS, tag=B), life("c", 0, ENDLESS, tag=C))
        world.chunk, world.until = 1, 40
        failure = InternalServerError("502")
        world.broken = {B: failure}
        watcher = world.watch(A, B, C)
        assert [told(await anext(watcher)) for _ in range(2)] == ["+a running", "+c running"]
        assert watcher.failures == {B: failure}
        with pytest.raises(Over):
            await anext(watcher)
        assert watcher.failures == {B: failure}
        assert world.asked.count("latest") == 9
        world.broken, world.until = {}, 90
        assert told(await anext(watcher)) == "+b running"
        assert watcher.failures == {}
        assert await everything(watcher) == []

    async def test_failed_list_is_made_up_for(self) -> None:
        """Where the list of a Worker fails, the next pass gives what it would have given."""
        world = World(life("a", -99), life("b", 1, QUICK), life("c", 3, QUICK), until=40)
        world.fails = {3: BuildsConnectionError("reset")}
        watcher = world.watch()
        assert await everything(watcher) == ["+a success", "+b fail", "+c fail"]
        assert world.asked == ["latest", "latest", "list", "latest", "list"]

    async def test_failed_look_at_a_superseded_build(self) -> None:
        """Where one superseded build can't be asked for, the others are."""
        world = World(
            life("a", 0), life("b", 1, [*ENDLESS, (30.0, "stopped"), (30.0, "fail")]), life("c", 2, ENDLESS)
        )
        world.until = 200
        watcher = world.watch()
        assert told(await anext(watcher)) == "+a queued"
        get, list_, broken = world.get, world.list, InternalServerError("500")

        async def get_without_a(build_uuid: str) -> Build:
            if build_uuid == "a":
                world.asked.append("a")
                raise broken
            return await get(build_uuid)

        async def list_without_a(tag: str, **kwargs: int) -> Page[Build]:
            return Page(result=tuple(it for it in await list_(tag, **kwargs) if it.build_uuid != "a"))

        world.get, world.list = get_without_a, list_without_a  # type: ignore[assignment,method-assign]
        assert await everything(watcher) == ["+b running", "+c running", "b fail"]
        assert watcher.failures == {A: broken}

    @pytest.mark.parametrize("number", [3, 4, 5])
    @pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
    async def test_wrong_credentials(self, number: int, kind: type[BuildsError]) -> None:
        """Wrong credentials are raised, at whatever request; a loop round them is paced and loses nothing."""
        world = World(life("a", 0, ENDLESS), life("b", 1), life("c", 2), life("d", 17, QUICK), until=200)
        world.fails = dict.fromkeys(range(number, number + 5), kind("no"))
        watcher = world.watch()
        changes: list[str] = []
        raised: list[float] = []
        try:
            while True:
                try:
                    changes.append(told(await anext(watcher)))
                except kind:
                    raised.append(world.now())
        except Over:
            pass
        assert 1 <= len(raised) <= 5
        assert all(later - earlier >= 15 for earlier, later in pairwise(raised))
        assert [it[1] for it in changes if it.startswith("+")] == ["a", "b", "c", "d"]
        assert {it.strip("+") for it in changes} >= {"b success", "c success", "d fail"}
        assert len(changes) == len(set(changes))

    @pytest.mark.parametrize("what", ["list", "status"])
    @pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
    async def test_wrong_credentials_for_one_request(self, what: str, kind: type[BuildsError]) -> None:
        """A refusal is raised also where it meets but one list, or one build."""
        world = World(life("a", 0, ENDLESS), life("b", 16, ENDLESS), until=99)
        watcher = world.watch()
        changes = [await anext(watcher), await anext(watcher)]
        assert [told(change) for change in changes] == ["+a running", "+b running"]
        if what == "list":
            world.lives.append(life("c", 31, QUICK))
        world.fails = {len(world.asked) + 2: kind("no")}  # after the look
        with pytest.raises(kind):
            await anext(watcher)
        assert world.asked[-1] == ("list" if what == "list" else "a")
        assert await everything(watcher) == (["+c fail"] if what == "list" else [])

    async def test_long_block_is_paced(self) -> None:
        """While every request is refused, passes are no closer than usual, and the error is visible."""
        world = World(life("a", 0, ENDLESS), until=299)
        blocked = RateLimitError("not sent", retry_after=300)
        world.fails = dict.fromkeys(range(1, 5000), blocked)
        watcher = world.watch()
        assert await everything(watcher) == []
        assert watcher.failures == {A: blocked}
        assert len(world.asked) == 20

    async def test_defect_comes_out(self) -> None:
        """What is no error of the API, as of a closed client, is raised."""
        world = World()
        world.fails = {1: RuntimeError("closed")}  # type: ignore[dict-item]  # the point
        with pytest.raises(RuntimeError, match="closed"):
            await anext(world.watch())


class TestTheIterator:
    async def test_no_workers(self) -> None:
        """Without Workers there is nothing to wait for: the loop ends."""
        world = World()
        assert [change async for change in BuildWatcher(world, [], interval=1, clock=world)] == []

    @pytest.mark.parametrize("interval", [0, -1])
    def test_no_interval(self, interval: float) -> None:
        """An interval that is no pause is a ValueError."""
        with pytest.raises(ValueError, match="interval"):
            BuildWatcher(World(), [A], interval=interval, clock=World())

    async def test_second_loop_goes_on(self) -> None:
        """After a `break` the next loop has the changes that are left, and no pass begins before its time."""
        world = World(*(life(tag[-1], 0, ENDLESS, tag=tag) for tag in (A, B, C)), until=10)
        watcher = world.watch(A, B, C)
        async for change in watcher:
            assert told(change) == "+1 running"
            break
        assert await everything(watcher) == ["+2 running", "+3 running"]
        assert world.asked.count("latest") == 1

    async def test_interval_counts_from_one_pass_to_the_next(self) -> None:
        """How long a pass took, or its consumer, is part of the interval; nobody is made up for."""
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

    @pytest.mark.parametrize("wait", range(14))
    async def test_cancel_anywhere(self, wait: int) -> None:
        """A look that is cancelled, at whatever wait, has lost nothing for the next one."""
        world = World(life("a", 0), life("b", 1), life("c", 2, QUICK), until=99)
        watcher = world.watch()
        changes = [told(await anext(watcher))]
        for _ in range(3):
            try:
                changes.append(told(drive(watcher.__anext__(), wait)))
            except CancelledStep:
                continue
        changes += await everything(watcher)
        assert sorted(it for it in changes if it.startswith("+")) == sorted(
            ["+a queued", "+b running", "+c fail"]
        )
        assert {"a success", "b success"} <= set(changes)
        assert len(changes) == len(set(changes))


durations = st.sampled_from([0.0, 0.0, 0.7, 4.0, 11.0, 16.0, 40.0])


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A build on one of three Workers, from before the first look until a minute after it."""
    states, after = [(0.0, "queued")], 0.0
    for status in ("initializing", "running", "stopped"):
        after += draw(durations)
        states.append((after, status))
    # An outcome is waited for at most 30 s from when the stop was seen.
    states.append(
        (after + draw(st.sampled_from([0.0, 0.0, 3.0, 14.0])), draw(st.sampled_from(["success", "fail"])))
    )
    begins = draw(st.integers(-40, 60))
    return Life(tag=draw(st.sampled_from([A, B, C])), uuid="", begins=begins, states=states, created=begins)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    report_multiple_bugs=False,
)
@given(
    made=st.lists(lives(), max_size=9),
    latency=st.sampled_from([0.0, 0.3, 2.1]),
    chunk=st.integers(1, 3),
    fails=st.sets(st.integers(1, 30), max_size=8),
    walk=st.lists(st.none() | st.integers(0, 9), max_size=12),
)
def test_no_build_and_no_outcome_is_missed(
    made: list[Life], latency: float, chunk: int, fails: set[int], walk: list[int | None]
) -> None:
    """Whatever fails or is cancelled, each build comes once, its changes forward to its outcome."""
    for number, it in enumerate(made):
        it.uuid = f"b{number}"
    world = World(*made, latency=latency, chunk=chunk, until=400)
    world.fails = dict.fromkeys(fails, BuildsConnectionError("reset"))
    watcher = world.watch(A, B, C)
    changes: list[BuildChange] = []
    for cancel_at in [*walk, *([None] * 500)]:
        first_seen = dict(world.first_seen)
        try:
            changes.append(drive(watcher.__anext__(), cancel_at))
        except CancelledStep:
            world.first_seen = first_seen  # that look may have come to nothing
            continue
        except Over:
            break
    seen: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        uuid = change.build.build_uuid
        assert change.is_new == (uuid not in seen), "new once, and first"
        if not change.is_new:
            assert change.previous is not None
            assert word(change.previous) == seen[uuid][-1]
        seen[uuid].append(word(change.build))
    for it in made:
        places = [ORDER.index(what) for what in seen[it.uuid]]
        assert places == sorted(set(places)), "forward, each once"
        present = [
            other for other in made if other.tag == it.tag and other.begins <= world.first_seen[it.tag]
        ]
        is_latest = bool(present) and it is sorted(present, key=lambda other: other.begins)[-1]  # noqa: FURB192
        if it.begins > world.first_seen[it.tag] or is_latest:
            assert seen[it.uuid][-1:] == [it.states[-1][1]]


@asynccontextmanager
async def connected(sim: BuildsSimulator, **options: Any) -> AsyncIterator[BuildsClient]:
    """A started simulator and a client of it, on the same clock."""
    async with sim:
        given_ = {"account_id": sim.account_id, "api_token": sim.api_token, "base_url": sim.url}
        async with BuildsClient(**{**given_, "clock": sim.clock, **options}) as client:
            yield client


async def changes_until(watcher: BuildWatcher, clock: VirtualClock, moment: float) -> list[BuildChange]:
    """The changes that come until a moment of the clock."""
    changes: list[BuildChange] = []

    async def collect() -> None:
        async for change in watcher:
            changes.append(change)

    collector = asyncio.create_task(collect())
    await asyncio.wait(
        {collector, alarm := asyncio.ensure_future(clock.sleep(moment - clock.now()))},
        return_when=asyncio.FIRST_COMPLETED,
    )
    for task in (collector, alarm):
        task.cancel()
    await asyncio.gather(collector, alarm, return_exceptions=True)
    return changes


class TestSimulated:
    async def test_a_thousand_workers(self) -> None:
        """A thousand Workers are 50 requests a pass, and their builds are seen to their outcomes."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock, rate_limit=RateLimit())
        async with connected(sim) as client:
            ids = [sim.add_worker() for _ in range(1000)]
            first = sim.add_build(build_script(rate=0.5), external_script_id=ids[3])
            watcher = client.watch(ids, interval=60)
            changes = await changes_until(watcher, clock, 55)
            assert len(sim.requests) <= 51
            second = sim.add_build(build_script(outcome=BuildOutcome.FAIL), external_script_id=ids[777])
            changes += await changes_until(watcher, clock, 290)
            looks = [seen.query["external_script_ids"] for seen in sim.requests if "/latest" in seen.path]
            assert len(looks) == 250
            assert {len(look.split(",")) for look in looks} == {20}
            assert len(sim.requests) <= 253
            assert {seen.status for seen in sim.requests} == {200}
        assert [(it.build.build_uuid, word(it.build)) for it in changes] == [
            (first.build_uuid, "queued"),
            (first.build_uuid, "success"),
            (second.build_uuid, "running"),
            (second.build_uuid, "fail"),
        ]

    async def test_many_builds_of_one_worker(self) -> None:
        """Fifty builds that wait on one Worker are not asked for one by one, pass after pass."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with connected(sim) as client:
            tag = sim.add_worker()
            watcher = client.watch([tag])
            sim.add_build(external_script_id=tag)
            await changes_until(watcher, clock, 10)
            for _ in range(49):
                sim.add_build(external_script_id=tag)
            assert len(await changes_until(watcher, clock, 20)) == 49
            sim.requests.clear()
            await changes_until(watcher, clock, 20 + 4 * 15)
            assert len(sim.requests) <= 4 * 5

    async def test_many_builds_of_a_busy_worker(self) -> None:
        """The same on a Worker that gets another build with each pass."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with connected(sim) as client:
            tag = sim.add_worker()
            watcher = client.watch([tag])
            for _ in range(40):
                sim.add_build(external_script_id=tag)
            await changes_until(watcher, clock, 20)
            sim.requests.clear()
            for _ in range(4):
                sim.add_build(external_script_id=tag)
                await changes_until(watcher, clock, clock.now() + 15)
            assert len(sim.requests) <= 4 * 5

    @pytest.mark.parametrize("fault", ["reset", "cut_body", "not_json", "server_error", "rate_limited"])
    async def test_faults(self, fault: Any) -> None:
        """Faults delay changes, and neither lose nor repeat one."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with connected(sim, retry=RetryPolicy(attempts=2)) as client:
            ids = [sim.add_worker() for _ in range(25)]
            sim.fault(*(Fault(kind=fault, after=after, times=3) for after in (0, 4, 3, 9)))
            builds = [
                sim.add_build(build_script(queued=wait), external_script_id=tag)
                for wait, tag in enumerate(ids[::5])
            ]
            changes = await changes_until(client.watch(ids), clock, 300)
        assert sorted(it.build.build_uuid for it in changes if it.is_new) == sorted(
            it.build_uuid for it in builds
        )
        assert sorted(it.build.build_uuid for it in changes if it.build.succeeded) == sorted(
            it.build_uuid for it in builds
        )

    async def test_all_chunks_stay_broken(self) -> None:
        """A service that is down shows in `failures`; when it is back, the watch goes on by itself."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with connected(sim) as client:
            ids = [sim.add_worker() for _ in range(40)]
            build = sim.add_build(build_script(), external_script_id=ids[30])
            watcher = client.watch(ids)
            sim.fault(Fault(kind="server_error", path="/latest", times=None))
            assert await changes_until(watcher, clock, 60) == []
            assert set(watcher.failures) == set(ids)
            assert {type(error) for error in watcher.failures.values()} == {InternalServerError}
            sim.clear_faults()
            changes = await changes_until(watcher, clock, 120)
            assert [(it.build.build_uuid, word(it.build)) for it in changes] == [
                (build.build_uuid, "success")
            ]
            assert watcher.failures == {}

    async def test_long_block(self) -> None:
        """A block of five minutes costs one request, and afterwards the watch goes on."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with connected(sim) as client:
            build = sim.add_build(build_script())
            sim.fault(Fault(kind="rate_limited", retry_after=300))
            watcher = client.watch([build.external_script_id])
            assert await changes_until(watcher, clock, 230) == []
            assert {type(error) for error in watcher.failures.values()} == {RateLimitError}
            assert len(sim.requests) == 1
            assert [word(it.build) for it in await changes_until(watcher, clock, 400)] == ["success"]

    @pytest.mark.parametrize(
        ("kind", "error"),
        [(None, AuthenticationError), (TokenKind.NO_PERMISSION, PermissionDeniedError)],
        ids=["wrong token", "no permission"],
    )
    async def test_wrong_credentials(self, kind: TokenKind | None, error: type[Exception]) -> None:
        """Wrong credentials come out of a watch of hundreds of Workers at once, as one bare error."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with connected(sim, api_token="wrong" if kind is None else sim.add_token(kind)) as client:
            with pytest.raises(error):
                await anext(client.watch(tags(400)))
            assert len(sim.requests) <= 10

    @pytest.mark.parametrize("wrong", ["", "..", "a/b", "a,b", "my-worker"])
    async def test_what_is_no_id(self, wrong: str) -> None:
        """What can't be an id is a ValueError when the watch is made."""
        async with connected(BuildsSimulator()) as client:
            with pytest.raises(ValueError, match=r"can't be an id|is no tag"):
                client.watch([A, wrong])

    async def test_nothing_is_left(self) -> None:
        """A `break`, an error, a time-out and a cancel leave no task and no connection."""
        async with nothing_left():
            sim = BuildsSimulator(clock=VirtualClock())
            async with connected(sim) as client:
                build = sim.add_build()
                before = asyncio.all_tasks()
                watcher = client.watch([build.external_script_id, *tags(100)])
                async for _ in watcher:
                    break
                waiter = asyncio.create_task(anext(watcher))
                await settle()
                waiter.cancel()
                await asyncio.wait([waiter])
                sim.fault(Fault(kind="stall", times=None))
                waiter = asyncio.create_task(anext(watcher))
                while not sim.requests[-1].fault:
                    await asyncio.sleep(0)
                waiter.cancel()
                await asyncio.wait([waiter])
                await settle()
                assert len(asyncio.all_tasks() - before) == 0 or sim.connections
            while sim.connections:
                await asyncio.sleep(0)
            gc.collect()

    async def test_loop_of_time_outs_gets_on(self) -> None:
        """A loop of time-outs shorter than a pass of many Workers comes to its end all the same."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock, rate_limit=None)
        async with connected(sim) as client:
            ids = [sim.add_worker() for _ in range(1000)]
            build = sim.add_build(build_script(), external_script_id=ids[-1])
            sim.fault(Fault(kind="slow", delay=1.0, times=None))
            watcher = client.watch(ids)
            changes: list[BuildChange] = []
            while not changes and clock.now() < 40:
                changes += await changes_until(watcher, clock, clock.now() + 5)
            assert [it.build.build_uuid for it in changes] == [build.build_uuid]


async def test_restart_is_cheap() -> None:
    """A tracker that goes on from marks lists no Worker whose newest build is still the one marked."""
    world = World(life("a", -99), life("b", -99, tag=B))
    first = Tracker(world, [A, B], world)
    await first.look()
    world.asked.clear()
    second = Tracker(world, [A, B], world, first.marks)
    await second.look()
    assert world.asked == ["latest"]
    assert second.marks == first.marks
