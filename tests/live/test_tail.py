"""The tail of many Workers: each line of each build once and in order, whatever the reader and the API do."""

import asyncio
import gc
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from builds_async import (
    AuthenticationError,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    InternalServerError,
    PermissionDeniedError,
    RateBudget,
    RateLimitError,
    RetryPolicy,
    TailLine,
    TailPosition,
)
from builds_async.live.tail import MAX_AT_ONCE, BuildTail
from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.models.logs import LogPage, LogPosition
from builds_async.resources.builds import DatedBuilds
from builds_async.session.session import ApiSession
from builds_async.session.transport import Request, Response
from builds_async.simulator import (
    Behaviour,
    BuildsSimulator,
    Fault,
    FaultKind,
    Moment,
    RateLimit,
    SimulatedBuild,
    TokenKind,
    VirtualClock,
    build_script,
)
from builds_async.simulator.builds import BuildDetails
from tests.support import ACCOUNT, nothing_left, settle, tags
from tests.support.bridge import ask, received


class Wire:
    """The simulator's API without a socket: an answer takes `latency` seconds of the clock."""

    def __init__(self, sim: BuildsSimulator, latency: float = 0.0) -> None:
        self.sim = sim
        self.latency = latency
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.broken: dict[str, BuildsError] = {}
        self.planned: list[tuple[float, BuildDetails, list[Moment]]] = []  # builds to come
        self.first_look: float | None = None
        self.stale: dict[str, SimulatedBuild] = {}  # what the looks give as the latest build

    async def send(self, request: Request) -> Response:
        path = request.path
        kind = "look" if "/latest" in path else "list" if "/workers/" in path else path.rpartition("/")[2]
        kind = kind if kind in {"look", "list", "logs"} else "status"
        self.under_way[kind] += 1
        self.most[kind] = max(self.most[kind], self.under_way[kind])
        try:
            await self.sim.clock.sleep(self.latency)
        finally:
            self.under_way[kind] -= 1
        self.plant()
        latest = self.sim._state.latest
        with patch.object(self.sim._state, "latest", lambda tag: self.stale.get(tag) or latest(tag)):
            answer = ask(self.sim, request)
        for part, error in self.broken.items():
            if part in path:
                raise error
        if answer.fault:
            raise BuildsConnectionError(answer.fault.kind)
        if kind == "look" and answer.status == 200 and self.sim.requests[-1].fault is None:
            self.first_look = self.sim.clock.now() if self.first_look is None else self.first_look
        self.answered[kind] += 1
        return received(answer)

    def plant(self) -> None:
        """Add the builds that have begun by now."""
        while self.planned and self.planned[0][0] <= self.sim.clock.now():
            created, details, script = self.planned.pop(0)
            self.sim._state.add_build(details, script, created)

    def check_open(self) -> None: ...

    async def aclose(self) -> None: ...

    def source(self, **options: Any) -> DatedBuilds:
        """What a client of this API would tail with."""
        options = {"retry": RetryPolicy(attempts=2), "budget": RateBudget(), **options}
        session = ApiSession(
            self, f"/accounts/{self.sim.account_id}", max_in_flight=100, clock=self.sim.clock, **options
        )
        return DatedBuilds(session.polling())

    def tail(
        self, ids: Iterable[str], start: TailPosition | None = None, *, source: DatedBuilds | None = None
    ) -> BuildTail:
        return BuildTail(
            source or self.source(),
            ids,
            clock=self.sim.clock,
            start=start,
            interval=10.0,
            poll_interval=1.0,
            max_poll_interval=5.0,
        )

    def asked(self) -> Counter[str]:
        """How often each kind of request was answered since the last time."""
        answered, self.answered = self.answered, Counter()
        return answered


def wire(latency: float = 0.0, **options: Any) -> Wire:
    options = {"rate_limit": None, **options}
    return Wire(BuildsSimulator(clock=VirtualClock(idle_turns=15), **options), latency)


async def within(tail: BuildTail, seconds: float) -> TailLine | None:
    """The next line, or None if `seconds` pass without one: then the step is cancelled."""
    clock = tail._clock
    step = asyncio.ensure_future(tail.__anext__())
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({step, alarm}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (step, alarm):
            task.cancel()
        await asyncio.wait({step, alarm})
    return None if step.cancelled() else step.result()


Got = dict[str, list[str]]


async def collect(tail: BuildTail, until: float, got: Got | None = None) -> Got:
    """The texts that come until a moment of the clock, by build."""
    got = defaultdict(list) if got is None else got
    while (left := until - tail._clock.now()) > 0:
        if (line := await within(tail, left)) is not None:
            got[line.build.build_uuid].append(line.line.message)
    return got


def texts(*builds: SimulatedBuild) -> Got:
    return {build.build_uuid: [line.message for line in build.lines] for build in builds}


def kept(position: TailPosition) -> TailPosition:
    """A position after its way through JSON."""
    decoded = msgspec.json.decode(msgspec.json.encode(position), type=TailPosition)
    assert decoded == position
    return decoded


def script(lines: int, *, start: float = 0.0, every: float = 1.0, end: float | None = None) -> list[Moment]:
    """A build that begins to run after `start` seconds and writes a line every so often."""
    after = start + lines * every if end is None else end
    return [
        (start, BuildStatus.RUNNING),
        *((start + n * every, f"line {n}") for n in range(lines)),
        (after, BuildOutcome.SUCCESS),
    ]


@contextmanager
def no_complaints() -> Iterator[None]:
    """Assert that the loop has nothing to complain of: no error that nobody asked for."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        yield
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert [it["message"] for it in complaints] == []


class TestLines:
    async def test_builds_that_run_are_merged(self) -> None:
        """Lines of builds that run at once come as they are written, each with its Worker and build."""
        it = wire()
        builds = [it.sim.add_build(script(20, every=2.0)) for _ in range(5)]
        tail = it.tail([build.external_script_id for build in builds])
        lines: list[TailLine] = []
        while len(lines) < 100:
            lines.append(await anext(tail))
        assert {line.build.build_uuid: line.external_script_id for line in lines} == {
            build.build_uuid: build.external_script_id for build in builds
        }
        for build in builds:
            own = [line.line for line in lines if line.build.build_uuid == build.build_uuid]
            assert own == list(build.lines)
        assert [line.line.timestamp for line in lines[:50]] < [lines[99].line.timestamp] * 50
        assert it.sim.clock.now() < 20 * 2 + 5
        await tail.aclose()

    async def test_where_it_begins(self) -> None:
        """A build that runs comes from its first line, one that has finished does not come at all."""
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
        """Of a Worker with two builds that run when the tail begins, both come."""
        it = wire()
        first = it.sim.add_build(script(30))
        await it.sim.clock.sleep(3)
        second = it.sim.add_build(script(30), external_script_id=first.external_script_id)
        tail = it.tail([first.external_script_id])
        assert await collect(tail, 60) == texts(first, second)
        await tail.aclose()

    async def test_new_builds_are_picked_up(self) -> None:
        """Each new build comes by itself, also when it was over, or superseded, before it was seen."""
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
        """The first build of a Worker comes whole, also when it is over by the next look."""
        it = wire()
        ids = [it.sim.add_worker() for _ in range(2)]
        tail = it.tail(ids)
        got = await collect(tail, 11)
        slow = it.sim.add_build(script(30), external_script_id=ids[0])
        quick = it.sim.add_build(script(3), external_script_id=ids[1])
        await collect(tail, 80, got)
        assert got == texts(slow, quick)
        await tail.aclose()

    async def test_superseded_build_goes_on(self) -> None:
        """A build that runs on after a newer one began comes to its last line."""
        it = wire()
        first = it.sim.add_build(script(60))
        tail = it.tail([first.external_script_id])
        got = await collect(tail, 5)
        second = it.sim.add_build(script(30), external_script_id=first.external_script_id)
        await collect(tail, 120, got)
        assert got == texts(first, second)
        assert tail.position.logs == {}
        await tail.aclose()

    @pytest.mark.parametrize(
        "behaviour",
        [
            Behaviour(last_page_cursor="same"),
            Behaviour(last_page_cursor="null", queued_logs="not_found"),
            Behaviour(last_page_cursor="absent", null_logs_result=True),
            Behaviour(late_outcome=12.0, late_lines=1.9),
            Behaviour(late_outcome="never"),
            Behaviour(truncated_hollow=3),
        ],
        ids=str,
    )
    async def test_whatever_the_service_does(self, behaviour: Behaviour) -> None:
        """Under each possible answer, each line comes once and the log is closed in the end."""
        it = wire(behaviour=behaviour, page_size=7)
        builds = [it.sim.add_build(build_script(lines, queued=3)) for lines in (3, 40)]
        tail = it.tail([build.external_script_id for build in builds])
        assert await collect(tail, 120) == texts(*builds)
        assert tail.position.logs == {}
        await tail.aclose()

    async def test_same_moment(self) -> None:
        """Builds of one Worker with the same `created_on` come once each."""
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
        """A build that is deleted while it runs is not asked for any more, and nothing is repeated."""
        it = wire()
        first = it.sim.add_build(script(3))
        tag = first.external_script_id
        tail = it.tail([tag])
        got = await collect(tail, 20)
        second = it.sim.add_build([(0.0, "only line")], external_script_id=tag)
        await collect(tail, 40, got)
        assert got == texts(first, second)
        expected = texts(first, second)
        del it.sim._state.builds[second.build_uuid]
        it.sim._state._by_worker[tag].pop()
        await collect(tail, 100, got)
        it.asked()
        await collect(tail, 200, got)
        assert got == expected
        assert it.asked()["logs"] == 0
        await tail.aclose()


class TestRequests:
    async def test_fifty_builds_are_not_polled_one_by_one(self) -> None:
        """Fifty builds of fifty Workers cost three requests for all their statuses, every ten seconds."""
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

    async def test_fifty_builds_of_one_worker(self) -> None:
        """Fifty builds of one Worker are not asked for their status one by one either."""
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

    async def test_quiet_workers(self) -> None:
        """A thousand Workers on which nothing runs cost 50 requests a look, and nothing else."""
        it = wire()
        ids = [it.sim.add_worker() for _ in range(1000)]
        tail = it.tail(ids)
        assert await collect(tail, 45) == {}
        assert it.asked() == {"look": 250}
        await tail.aclose()

    async def test_pace_of_a_log(self) -> None:
        """A log is asked for each second while lines come, more seldom up to five seconds while none do."""
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

    async def test_no_more_than_ten_at_once(self) -> None:
        """Of sixty logs at most ten are asked for at the same time, and each gets its turn."""
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
        """While its reader sleeps for an hour, a tail asks for nothing but what was on its way."""
        it = wire(latency=0.5, page_size=5)
        builds = [it.sim.add_build(script(4000, every=0.1)) for _ in range(40)]
        tail = it.tail([build.external_script_id for build in builds])
        for _ in range(33):
            await anext(tail)
        on_the_way = it.under_way.total()
        it.asked()
        await it.sim.clock.sleep(3600)
        assert it.asked().total() <= on_the_way
        assert not it.under_way.total()
        ready = [log for log in tail._logs.values() if next(log.reader.hand, None) is not None]
        assert len(ready) <= MAX_AT_ONCE
        await tail.aclose()

    async def test_slow_reader_loses_nothing(self) -> None:
        """However slow the reader, all lines come, those of each build in order."""
        it = wire(page_size=5)
        builds = [it.sim.add_build(script(12)) for _ in range(12)]
        tail = it.tail([build.external_script_id for build in builds])
        got: Got = defaultdict(list)
        while sum(map(len, got.values())) < 144:
            line = await anext(tail)
            got[line.build.build_uuid].append(line.line.message)
            await it.sim.clock.sleep(7)
        assert got == texts(*builds)
        await tail.aclose()


class TestPosition:
    async def test_hand_over_after_each_line(self) -> None:
        """A new tail at a stored position gives exactly the lines that are left, wherever it was taken."""
        it = wire(page_size=3)
        builds = [it.sim.add_build(script(8)) for _ in range(3)]
        ids = [build.external_script_id for build in builds]
        got: Got = defaultdict(list)
        start = None
        for _ in range(24):
            tail = it.tail(ids, start)
            line = await anext(tail)
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
        """Builds that went on, ended, or began and ended while nobody was tailing are made up for."""
        it = wire()
        ids = [it.sim.add_worker() for _ in range(4)]
        done = it.sim.add_finished_build(5, external_script_id=ids[0])
        running = it.sim.add_build(script(30), external_script_id=ids[1])
        tail = it.tail(ids)
        got = await collect(tail, 11)
        await tail.aclose()
        start = kept(tail.position)
        builds = [running]
        for tag in (ids[0], ids[0], ids[1], ids[2]):  # a Worker without builds as well
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
        """A restart for hundreds of Workers on which nothing new runs costs looks, and nothing else."""
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

    async def test_stale_answer_after_a_restart(self) -> None:
        """A look that gives an older build than the position knows of, repeats nothing of that build."""
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

    async def test_build_that_begins_within_the_first_look(self) -> None:
        """A build that begins while the first look is under way, comes once, also across a restart."""
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
        """A position that is taken while a look is under way has all that the look has found by then."""
        it = wire(latency=1.0)
        ids = [it.sim.add_finished_build(1).external_script_id for _ in range(4)]
        tail = it.tail(ids)
        got = await collect(tail, 5)
        builds = [it.sim.add_build(script(3), external_script_id=tag) for tag in ids]
        while it.answered["list"] < 2:
            await within(tail, 0.5)
        assert it.under_way["list"]
        start = kept(tail.position)
        await tail.aclose()
        tail = it.tail(ids, start)
        await collect(tail, 60, got)
        assert got == texts(*builds)
        await tail.aclose()

    async def test_before_the_first_look(self) -> None:
        """The position of a tail that has not looked yet is where it started."""
        it = wire()
        tail = it.tail([it.sim.add_worker()])
        assert tail.position == TailPosition()
        start = TailPosition()
        assert it.tail([it.sim.add_worker()], start).position == start

    async def test_other_workers(self) -> None:
        """A position is good for a tail of other Workers too: what it does not know begins anew."""
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
        """A position of thousands of Workers is taken up at once."""
        it = wire()
        ids = tags(5000)
        marks = {tag: {"build_uuid": "b", "created_on": None} for tag in ids}
        start = msgspec.convert({"workers": marks, "logs": {}}, TailPosition)
        loop = asyncio.get_running_loop()
        began = loop.time()
        tail = it.tail(ids, start)
        assert loop.time() - began < 0.25
        assert tail.position == start


class TestFailures:
    async def test_log_that_stays_broken(self) -> None:
        """The error of one log stands in `failures`, asked again at the usual pace; the others go on."""
        it = wire()
        bad, good = (it.sim.add_build(script(20, end=100)) for _ in range(2))
        it.broken[f"{bad.build_uuid}/logs"] = InternalServerError("502", status=502)
        tail = it.tail([bad.external_script_id, good.external_script_id])
        got = await collect(tail, 60)
        assert got == texts(good)
        assert {key: repr(it) for key, it in tail.failures.items()} == {
            bad.build_uuid: "InternalServerError('502')"
        }
        assert len(it.sim.requests) < 250
        it.broken.clear()
        await collect(tail, 90, got)
        assert tail.failures == {}
        await collect(tail, 130, got)
        assert got == texts(good, bad)
        await tail.aclose()

    async def test_look_that_stays_broken(self) -> None:
        """While no look succeeds, the logs that are open go on, and the error is there by Worker."""
        it = wire()
        build = it.sim.add_build(script(30))
        tail = it.tail([build.external_script_id])
        got = await collect(tail, 5)
        it.broken["/latest"] = InternalServerError("502", status=502)
        await collect(tail, 60, got)
        assert got == texts(build)
        assert {key: repr(it) for key, it in tail.failures.items()} == {
            build.external_script_id: "InternalServerError('502')"
        }
        it.broken.clear()
        await collect(tail, 90, got)
        assert tail.failures == {}
        assert tail.position.logs == {}
        await tail.aclose()

    async def test_restored_log_that_is_gone(self) -> None:
        """A log of the position whose build does not exist any more is dropped."""
        it = wire()
        tag = it.sim.add_worker()
        stored = {"workers": {}, "logs": {"gone": {"external_script_id": tag, "position": {}}}}
        tail = it.tail([tag], msgspec.convert(stored, TailPosition))
        assert await collect(tail, 60) == {}
        assert tail.position.logs == {}
        assert tail.failures == {}
        assert it.asked()["status"] <= 2
        await tail.aclose()

    @pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
    async def test_wrong_credentials(self, kind: type[BuildsError]) -> None:
        """Credentials that go wrong are one bare error; a loop round it is paced and loses nothing."""
        it = wire()
        builds = [it.sim.add_build(script(60)) for _ in range(20)]
        tail = it.tail([build.external_script_id for build in builds])
        with no_complaints():
            got = await collect(tail, 5)
            it.broken["/"] = error = kind("no")
            raised = 0
            while it.sim.clock.now() < 15:
                try:
                    line = await anext(tail)
                except kind:
                    raised += 1
                else:
                    got[line.build.build_uuid].append(line.line.message)
            assert 1 <= raised <= 20 * 15
            it.broken.clear()
            await collect(tail, 100, got)
            it.broken["/"] = error
            with pytest.raises(kind):
                await collect(tail, 200, got)
            await settle()
            await tail.aclose()
            del tail
        assert {uuid: lines[-1] for uuid, lines in got.items()} == {
            build.build_uuid: "line 59" for build in builds
        }

    @pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
    async def test_log_that_may_not_be_read(self, kind: type[BuildsError]) -> None:
        """Credentials that a log refuses end the tail, even if they are good for everything else."""
        it = wire()
        build = it.sim.add_build(script(60))
        tail = it.tail([build.external_script_id])
        got = await collect(tail, 5)
        it.broken["/logs"] = kind("no")
        with pytest.raises(kind) as caught:
            await collect(tail, 30, got)
        assert caught.value.message == "no"
        assert tail.failures == {}
        it.broken.clear()
        await collect(tail, 100, got)
        assert got == texts(build)
        await tail.aclose()

    @pytest.mark.parametrize("closed", [True, False], ids=["closed", "dropped"])
    async def test_errors_of_many_logs_at_once(self, closed: bool) -> None:
        """When all logs fail alike at once, one error is raised, and nobody complains of the others."""
        it = wire(latency=0.5)
        builds = [it.sim.add_build(script(60)) for _ in range(9)]
        tail = it.tail([build.external_script_id for build in builds])
        with no_complaints():
            await collect(tail, 1.7)
            it.broken["/logs"] = AuthenticationError("revoked")
            with pytest.raises(AuthenticationError):
                await collect(tail, 60)
            await it.sim.clock.sleep(5)
            if closed:
                await tail.aclose()
            it.broken.clear()  # else its traceback keeps the tasks
            del tail

    async def test_long_block_does_not_spin(self) -> None:
        """While the API asks all to stay away, nothing is sent, nor tried more often than usual."""
        it = wire()
        builds = [it.sim.add_build(script(50, every=5.0)) for _ in range(11)]
        source, tried = it.source(), []
        ask = source.logs

        async def logs(build_uuid: str, *, cursor: str | None = None) -> LogPage:
            tried.append(build_uuid)
            return await ask(build_uuid, cursor=cursor)

        source.logs = logs  # type: ignore[method-assign]  # to count
        tail = it.tail([build.external_script_id for build in builds], source=source)
        got = await collect(tail, 5)
        it.sim.fault(Fault(kind="rate_limited", retry_after=300))
        await collect(tail, 7, got)
        it.asked()
        tried.clear()
        await collect(tail, 240, got)
        assert it.asked().total() == 0
        assert len(tried) <= 11 * 240
        assert {type(error) for error in tail.failures.values()} == {RateLimitError}
        await collect(tail, 500, got)
        assert got == texts(*builds)
        await tail.aclose()

    async def test_limit_is_never_met(self) -> None:
        """Sixty builds at once stay within the account's limit, and still all lines come."""
        it = wire(rate_limit=RateLimit())
        builds = [it.sim.add_build(script(30, every=5.0)) for _ in range(60)]
        tail = it.tail([build.external_script_id for build in builds])
        assert await collect(tail, 400) == texts(*builds)
        assert {seen.status for seen in it.sim.requests} == {200}
        await tail.aclose()


class TestTheIterator:
    async def test_no_workers(self) -> None:
        """Without Workers there is nothing to wait for: the loop ends."""
        assert [line async for line in wire().tail([])] == []

    @pytest.mark.parametrize("name", ["interval", "poll_interval", "max_poll_interval"])
    async def test_no_interval(self, name: str) -> None:
        """An interval that is no pause is a ValueError when the tail is made, not when it is read."""
        async with BuildsClient(account_id=ACCOUNT, api_token="t") as client:
            with pytest.raises(ValueError, match="interval"):
                client.tail(tags(2), **{name: 0.0})  # type: ignore[arg-type]

    async def test_second_loop_goes_on(self) -> None:
        """A loop left with `break` is taken up by the next one."""
        it = wire()
        build = it.sim.add_build(script(20))
        tail = it.tail([build.external_script_id])
        got: Got = defaultdict(list)
        while len(got[build.build_uuid]) < 20:
            async for line in tail:
                got[line.build.build_uuid].append(line.line.message)
                break
        assert got == texts(build)
        await tail.aclose()

    async def test_loop_of_time_outs(self) -> None:
        """Time-outs shorter than an answer lose nothing, repeat nothing, and cost no request."""
        it = wire(latency=0.7)
        builds = [it.sim.add_build(script(20)) for _ in range(3)]
        tail = it.tail([build.external_script_id for build in builds])
        got: Got = defaultdict(list)
        while it.sim.clock.now() < 60:
            if (line := await within(tail, 0.1)) is not None:
                got[line.build.build_uuid].append(line.line.message)
        assert got == texts(*builds)
        assert it.asked()["look"] <= 7
        await tail.aclose()

    async def test_second_reader(self) -> None:
        """A second task that reads at the same time gets a RuntimeError, and the first one its line."""
        it = wire(latency=0.5)
        build = it.sim.add_build(script(20))
        tail = it.tail([build.external_script_id])
        first, second = (asyncio.ensure_future(tail.__anext__()) for _ in range(2))
        await asyncio.wait({first, second})
        assert type(second.exception()) is RuntimeError
        assert first.result().line == build.lines[0]
        await tail.aclose()


class TestClosing:
    @pytest.mark.parametrize("kind", ["look", "logs"])
    async def test_reader_that_waits(self, kind: str) -> None:
        """A reader that waits when the tail is closed gets a RuntimeError; it is not cancelled by that."""
        it = wire(latency=0.6)
        build = it.sim.add_build([(0.0, BuildStatus.RUNNING)])
        async with nothing_left():
            tail = it.tail([build.external_script_id])
            reader = asyncio.ensure_future(tail.__anext__())
            while not it.under_way[kind]:
                await it.sim.clock.sleep(0.1)
            await tail.aclose()
            await asyncio.wait({reader}, timeout=1)
            assert reader.done()
            assert not reader.cancelled()
            assert type(reader.exception()) is RuntimeError
            assert not it.under_way.total()

    async def test_reader_that_pauses(self) -> None:
        """A reader that sleeps between two polls when the tail is closed is told at once."""
        it = wire()
        build = it.sim.add_build([(0.0, BuildStatus.RUNNING)])
        before = asyncio.all_tasks()
        tail = it.tail([build.external_script_id])
        assert await within(tail, 2.5) is None
        with it.sim.clock.hold():  # type: ignore[attr-defined]  # no sleep ends by itself
            reader = asyncio.ensure_future(tail.__anext__())
            await settle()
            assert not it.under_way.total()
            await tail.aclose()
            await settle()
            assert asyncio.all_tasks() == before
            assert type(reader.exception()) is RuntimeError

    async def test_break_and_forget(self) -> None:
        """A tail that is dropped after a `break` ends with the requests on their way."""
        it = wire(latency=0.6)
        builds = [it.sim.add_build(script(20)) for _ in range(12)]
        async with nothing_left():
            async for _ in it.tail([build.external_script_id for build in builds]):
                break
            await it.sim.clock.sleep(10)
            assert not it.under_way.total()

    async def test_async_with(self) -> None:
        """Left, an `async with` has ended the requests on their way; the position stays good."""
        it = wire(latency=0.6)
        build = it.sim.add_build(script(20))
        async with nothing_left():
            async with it.tail([build.external_script_id]) as tail:
                line = await anext(tail)
            assert not it.under_way.total()
        assert tail.position.logs[build.build_uuid].position != LogPosition()
        assert line.line == build.lines[0]

    async def test_close_twice(self) -> None:
        """Closing again does nothing, and the position stays good."""
        it = wire()
        build = it.sim.add_build(script(20))
        tail = it.tail([build.external_script_id])
        before = asyncio.all_tasks()
        got = await collect(tail, 5)
        with it.sim.clock.hold():  # type: ignore[attr-defined]  # it may not end a sleep by itself
            await tail.aclose()
            await tail.aclose()
            await settle()
            assert asyncio.all_tasks() == before
        tail = it.tail([build.external_script_id], kept(tail.position))
        await collect(tail, 60, got)
        assert got == texts(build)
        await tail.aclose()


class Planned(NamedTuple):
    worker: int
    begins: float
    queued: float
    lines: int
    every: float
    rest: float  # seconds from the last line to the end


class Step(NamedTuple):
    what: Literal["take", "sleep", "restart"]
    seconds: float
    lines: int = 1


planned = st.builds(
    Planned,
    worker=st.integers(0, 2),
    begins=st.integers(-20, 60) | st.sampled_from([0.2, 0.5, 0.6, 1.0, 10.5]),
    queued=st.sampled_from([0.0, 0.0, 2.0, 25.0]),
    lines=st.integers(0, 6),
    every=st.sampled_from([0.0, 0.3, 1.0, 4.0]),
    rest=st.sampled_from([0.0, 0.0, 5.0, 30.0]),
)
steps = st.one_of(
    st.builds(Step, st.just("take"), st.sampled_from([0.0, 0.05, 0.3, 2.0, 11.0]), st.integers(1, 9)),
    st.builds(Step, st.just("take"), st.just(15.0), st.integers(1, 9)),
    st.builds(Step, st.just("sleep"), st.sampled_from([0.0, 1.0, 13.0])),
    st.builds(Step, st.just("restart"), st.sampled_from([0.0, 4.0, 33.0])),
)
faults = st.builds(
    Fault,
    kind=st.sampled_from(["reset", "cut_body", "server_error", "not_json", "empty_body", "rate_limited"]),
    after=st.integers(0, 25),
    times=st.integers(1, 3),
)
behaviours = st.builds(
    Behaviour,
    last_page_cursor=st.sampled_from(["tail", "same", "null", "absent"]),
    queued_logs=st.sampled_from(["empty", "not_found"]),
    late_outcome=st.sampled_from([0.0, 0.0, 12.0]),
    null_logs_result=st.booleans(),
    truncated_hollow=st.sampled_from([0, 0, 2]),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    report_multiple_bugs=False,
)
@given(
    builds=st.lists(planned, min_size=1, max_size=7),
    walk=st.lists(steps, max_size=10),
    plan=st.lists(faults, max_size=3),
    behaviour=behaviours,
    served=st.tuples(st.integers(1, 5), st.sampled_from([0.0, 0.4])),  # lines in a page, and seconds
)
def test_every_line_once_and_in_order(
    builds: list[Planned],
    walk: list[Step],
    plan: list[Fault],
    behaviour: Behaviour,
    served: tuple[int, float],
) -> None:
    """No build, fault, time-out, sleep or restart makes a tail lose, repeat or reorder a line of a build."""
    it = wire(served[1], behaviour=behaviour, page_size=served[0], faults=plan)
    ids = [it.sim.add_worker() for _ in range(3)]
    for number, build in enumerate(sorted(builds, key=lambda build: build.begins)):
        end = build.queued + build.lines * build.every + build.rest
        moments: list[Moment] = [
            (build.queued, BuildStatus.RUNNING),
            *((build.queued + n * build.every, f"{number}.{n}") for n in range(build.lines)),
            (end, BuildOutcome.SUCCESS),
        ]
        it.planned.append((build.begins, BuildDetails(external_script_id=ids[build.worker]), moments))
    got = asyncio.run(walked(it, ids, walk))
    assert it.first_look is not None
    for uuid, made in it.sim.builds.items():
        expected, lines = [line.message for line in made.lines], got[uuid]
        stopped = made.entered(BuildStatus.STOPPED)
        before = [
            other
            for other in it.sim.builds.values()
            if other.external_script_id == made.external_script_id and other.created <= it.first_look
        ]
        if made.created > it.first_look or (before[-1] is made and stopped and stopped > it.first_look):
            assert lines == expected
        elif stopped and stopped <= it.first_look:
            assert lines == []
        else:
            assert lines in ([], expected)  # see test_all_builds_that_run_at_first


async def walked(it: Wire, ids: list[str], walk: list[Step]) -> Got:
    """All texts by build, of a reader that goes the walk and then reads on to the end of all builds."""
    before = asyncio.all_tasks()
    tail = it.tail(ids)
    got: Got = defaultdict(list)
    for step in [*walk, Step("take", 30.0, 10**6)]:
        if step.what == "sleep":
            await it.sim.clock.sleep(step.seconds)
        elif step.what == "restart":
            start = kept(tail.position)
            await tail.aclose()
            await it.sim.clock.sleep(step.seconds)
            tail = it.tail(ids, start)
        else:
            for _ in range(step.lines):
                line = await within(tail, step.seconds)
                if line is not None:
                    got[line.build.build_uuid].append(line.line.message)
                elif step.lines < 100 or it.sim.clock.now() > 250:
                    break
    assert tail.position.logs == {}
    await tail.aclose()
    await settle()
    assert asyncio.all_tasks() == before
    return got


@asynccontextmanager
async def connected(sim: BuildsSimulator, **options: Any) -> AsyncIterator[BuildsClient]:
    """A started simulator and a client of it, on the same clock."""
    async with sim, AsyncExitStack() as stack:
        yield await stack.enter_async_context(client_of(sim, **options))


def client_of(sim: BuildsSimulator, **options: Any) -> BuildsClient:
    settings_ = {"account_id": sim.account_id, "api_token": sim.api_token, "base_url": sim.url}
    return BuildsClient(**{**settings_, "clock": sim.clock, **options})


class TestSimulated:
    async def test_a_day_of_a_bot(self) -> None:
        """A bot that is restarted now and then, with a new client each time, sees every line once."""
        sim = BuildsSimulator(clock=VirtualClock(), page_size=20)
        async with sim:
            ids = [sim.add_worker() for _ in range(30)]
            got: Got = defaultdict(list)
            builds: list[SimulatedBuild] = []
            start = TailPosition()
            for day in range(4):
                async with client_of(sim) as client:
                    tail = client.tail(ids, start=start)
                    await collect(tail, sim.clock.now() + 11, got)
                    builds += [
                        sim.add_build(build_script(25, rate=2), external_script_id=tag) for tag in ids[day::9]
                    ]
                    await collect(tail, sim.clock.now() + 12, got)
                start = kept(tail.position)
                builds += [sim.add_build(build_script(5), external_script_id=tag) for tag in ids[day::13]]
                await sim.clock.sleep(5 + 20 * day)
            async with client_of(sim) as client:
                await collect(client.tail(ids, start=start), sim.clock.now() + 120, got)
            assert got == texts(*builds)
            assert {seen.status for seen in sim.requests} == {200}

    @pytest.mark.parametrize(
        "fault", ["reset", "cut_body", "not_json", "server_error", "rate_limited", "repeated_page"]
    )
    async def test_faults(self, fault: FaultKind) -> None:
        """Faults of any kind cost no line and give none twice."""
        sim = BuildsSimulator(clock=VirtualClock(), page_size=7)
        async with connected(sim) as client:
            builds = [sim.add_build(build_script(20, queued=wait)) for wait in range(3)]
            sim.fault(*(Fault(kind=fault, after=after) for after in (0, 2, 3, 9, 11)))
            tail = client.tail([build.external_script_id for build in builds])
            assert await collect(tail, 90) == texts(*builds)

    @pytest.mark.parametrize(
        ("kind", "error"),
        [(None, AuthenticationError), (TokenKind.NO_PERMISSION, PermissionDeniedError)],
        ids=["wrong token", "no permission"],
    )
    async def test_wrong_credentials(self, kind: TokenKind | None, error: type[Exception]) -> None:
        """Wrong credentials come out at once, as one bare error."""
        sim = BuildsSimulator(clock=VirtualClock())
        with no_complaints():
            async with connected(sim, api_token="wrong" if kind is None else sim.add_token(kind)) as client:
                with pytest.raises(error):
                    await anext(client.tail(tags(400)))
                assert len(sim.requests) <= 10

    @pytest.mark.parametrize("wrong", ["", "..", "a/b", "a,b", "my-worker"])
    async def test_what_is_no_id(self, wrong: str) -> None:
        """What can't be an id is a ValueError when the tail is made."""
        async with connected(BuildsSimulator()) as client:
            with pytest.raises(ValueError, match=r"can't be an id|is no tag"):
                client.tail([*tags(1), wrong])

    @pytest.mark.parametrize("stall", ["/latest", "/logs"])
    async def test_nothing_is_left(self, stall: str) -> None:
        """A `break`, an error, a cancel and closing the client leave no task and no connection."""
        async with nothing_left():
            sim = BuildsSimulator(clock=VirtualClock())
            async with connected(sim) as client:
                builds = [sim.add_build(script(500)) for _ in range(15)]
                ids = [build.external_script_id for build in builds]
                async for _ in client.tail(ids):
                    break
                tail = client.tail(ids)
                assert await within(tail, 0.0) is None
                sim.fault(Fault(kind="rate_limited", retry_after=1))
                assert await within(tail, 30.0) is not None
                await sim.clock.sleep(60)
                sim.fault(Fault(kind="stall", path=stall, times=None))
                reader = asyncio.ensure_future(client.tail(ids).__anext__())
                while not sim.requests[-1].fault:
                    await asyncio.sleep(0)
                reader.cancel()
                await asyncio.wait({reader})
            while sim.connections:
                await asyncio.sleep(0)

    async def test_closing_the_client_ends_the_reader(self) -> None:
        """A reader that waits when its client is closed gets a RuntimeError."""
        sim = BuildsSimulator(clock=VirtualClock())
        with no_complaints():
            async with sim:
                builds = [sim.add_build([(0.0, BuildStatus.RUNNING)]) for _ in range(5)]
                client = client_of(sim)
                tail = client.tail([build.external_script_id for build in builds])
                sim.fault(Fault(kind="stall", path="/logs", times=None))
                reader = asyncio.ensure_future(tail.__anext__())
                while sum(seen.fault == "stall" for seen in sim.requests) < 5:
                    await asyncio.sleep(0)
                await client.aclose()
                await asyncio.wait({reader}, timeout=1)
                assert reader.done()
                assert not reader.cancelled()
                assert type(reader.exception()) is RuntimeError
                with pytest.raises(RuntimeError, match="closed"):
                    await anext(tail)

    async def test_closing_that_is_cancelled(self) -> None:
        """A client whose closing is cancelled has closed its session all the same."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with nothing_left(), sim:
            client = client_of(sim)
            tail = client.tail([sim.add_build(script(50)).external_script_id])
            sim.fault(Fault(kind="stall", path="/logs", times=None))
            reader = asyncio.ensure_future(tail.__anext__())
            while not any(seen.fault for seen in sim.requests):
                await asyncio.sleep(0)
            closing = asyncio.ensure_future(client.aclose())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait({closing, reader})
            assert type(reader.exception()) is RuntimeError
            try:
                with pytest.raises(RuntimeError, match="closed"):
                    await client.builds.get("any")
            finally:
                await client.aclose()

    async def test_closed_client(self) -> None:
        """A tail of a closed client says so."""
        sim = BuildsSimulator(clock=VirtualClock())
        with no_complaints():
            async with connected(sim) as client:
                tail = client.tail([sim.add_build(script(5)).external_script_id])
                await anext(tail)
                later = client.tail(tags(2))
            for it in (tail, later):
                with pytest.raises(RuntimeError, match="closed"):
                    await collect(it, sim.clock.now() + 30)
            await settle()
