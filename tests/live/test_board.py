"""States of many builds in few requests: which requests are sent, and which state each caller gets."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from builds_async import (
    BadRequestError,
    BuildsConnectionError,
    BuildsError,
    BulkResult,
    NotFoundError,
    PermissionDeniedError,
)
from builds_async.live.board import Asker, Board
from builds_async.models.builds import Build, BuildOutcome, BuildStatus, Trigger
from builds_async.simulator import BuildsSimulator, Fault, VirtualClock, build_script
from tests.support import VirtualClock as ManualClock
from tests.support import nothing_left, settle

EPOCH = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MAX_AGE = 2.0


def tag_of(number: int) -> str:
    return f"{number:032x}"


def build(name: str, worker: int | None, status: str = "queued", *, created: float = 0.0) -> Build:
    stopped = status == "stopped"
    return Build(
        build_uuid=name,
        status=BuildStatus(status),
        build_outcome=BuildOutcome.SUCCESS if stopped else None,
        created_on=EPOCH + timedelta(seconds=created),
        trigger=None if worker is None else Trigger(external_script_id=tag_of(worker)),
    )


class World:
    """Builds by name, and the latest of each Worker; `asked` records the requests."""

    def __init__(self, *builds: Build) -> None:
        self.clock = ManualClock()
        self.builds: dict[str, Build] = {}
        self.latest: dict[str, Build] = {}
        self.asked: list[str | list[str]] = []
        self.latency = 0.1
        self.failures: list[BuildsError] = []  # errors of the next requests
        self.failed: dict[str, BuildsError] = {}  # by tag, in each response for the latest builds
        self.put(*builds)
        self.board = Board(self, self.clock)

    def put(self, *builds: Build) -> None:
        for it in builds:
            self.builds[it.build_uuid] = it
            tag = it.trigger.external_script_id if it.trigger is not None else None
            if tag is not None:
                known = self.latest.get(tag)
                if known is None or known.created_on <= it.created_on:  # type: ignore[operator]
                    self.latest[tag] = it

    async def _arrive(self, what: str | list[str]) -> None:
        self.asked.append(what)
        await self.clock.sleep(self.latency)
        if self.failures:
            raise self.failures.pop(0)

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime | None]:
        await self._arrive(build_uuid)
        found = self.builds[build_uuid]
        return (msgspec.structs.replace(found, preview_url="whole") if found.is_stopped else found), EPOCH

    async def latest_dated(self, ids: Iterable[str]) -> tuple[BulkResult[Build], datetime | None]:
        tags = list(ids)
        await self._arrive(tags)
        found = {tag: it for tag in tags if tag not in self.failed and (it := self.latest.get(tag))}
        missing = tuple(tag for tag in tags if tag not in found and tag not in self.failed)
        failed = {tag: error for tag, error in self.failed.items() if tag in tags}
        return BulkResult(found=found, missing=missing, failed=failed), EPOCH

    def askers(self, count: int) -> list[Asker]:
        """Askers of new builds, each of another Worker."""
        self.put(*(build(f"b{n}", n) for n in range(count)))
        return [self.board.asker(f"b{n}") for n in range(count)]

    async def states(self, askers: Iterable[Asker]) -> list[Build | BaseException]:
        """The states that the askers get when they all ask now."""
        tasks = [asyncio.ensure_future(it.state(max_age=MAX_AGE)) for it in askers]
        await self.clock.run_until(self.clock.now() + 1)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return [it if isinstance(it, BaseException) else it.build for it in results]

    async def later(self, seconds: float = 5.0) -> None:
        """Let time pass, and forget the requests so far."""
        await self.clock.run_until(self.clock.now() + seconds)
        self.asked.clear()


class TestRequests:
    async def test_one_alone(self) -> None:
        """A single asker sends a `get` each time, in its own task."""
        world = World()
        (one,) = world.askers(1)
        for _ in range(3):
            await world.states([one])
        assert world.asked == ["b0"] * 3

    async def test_sixty(self) -> None:
        """Sixty known builds of sixty Workers cost three requests per look."""
        world = World()
        askers = world.askers(60)
        await world.states(askers)
        assert sorted(map(str, world.asked)) == sorted(f"b{n}" for n in range(60))
        for _ in range(3):
            await world.later()
            assert await world.states(askers) == [world.builds[f"b{n}"] for n in range(60)]
            assert [len(tags) for tags in world.asked] == [20, 20, 20]
            assert len({tag for tags in world.asked for tag in tags}) == 60

    async def test_askers_within_max_age(self) -> None:
        """A state from another asker's request is valid for the `max_age` of its own asker."""
        world = World()
        first, second = world.askers(2)
        await world.states([first, second])
        await world.later()
        await world.states([first])
        await world.states([second])
        assert len(world.asked) == 1
        await world.clock.run_until(world.clock.now() + MAX_AGE)
        await world.states([second])
        assert len(world.asked) == 2

    async def test_oldest_first(self) -> None:
        """Queued builds are refreshed before others, and the oldest states first."""
        world = World()
        askers = world.askers(30)
        world.put(*(build(f"b{n}", n, "running") for n in range(5)))
        await world.states(askers)
        await world.later()
        await world.states(askers[10:11])
        await world.later()
        await world.states(askers[29:])
        (tags,) = world.asked
        assert list(tags)[:5] == [tag_of(n) for n in (29, 25, 26, 27, 28)]
        assert not set(tags) & {tag_of(n) for n in range(5)}

    async def test_unknown_worker(self) -> None:
        """A build without a known Worker is requested separately."""
        world = World(build("odd", None))
        askers = [*world.askers(2), world.board.asker("odd")]
        await world.states(askers)
        await world.later()
        await world.states(askers)
        assert sorted(map(str, world.asked)) == sorted(["odd", str([tag_of(0), tag_of(1)])])

    async def test_hidden_build(self) -> None:
        """A build that is hidden by a newer one of its Worker is requested with `get` from then on."""
        world = World()
        askers = world.askers(3)
        await world.states(askers)
        world.put(build("newer", 1, created=9))
        for number in range(2):
            await world.later()
            assert await world.states(askers) == [world.builds[f"b{n}"] for n in range(3)]
            gets = [it for it in world.asked if isinstance(it, str)]
            assert gets == ["b1"]
            assert [tag_of(1) in it for it in world.asked if isinstance(it, list)] == [number == 0]

    async def test_two_builds_of_one_worker(self) -> None:
        """Each of two builds of one Worker gets its own state."""
        world = World(build("old", 7), build("new", 7, "running", created=9))
        askers = [world.board.asker(name) for name in ("old", "new")]
        for _ in range(3):
            assert await world.states(askers) == [world.builds["old"], world.builds["new"]]
            await world.later()

    async def test_many_askers_of_one_build(self) -> None:
        """Many askers of one build share one request."""
        world = World(build("b", 1))
        askers = [world.board.asker(name) for name in ("b",) * 5]
        assert await world.states(askers) == [world.builds["b"]] * 5
        assert world.asked == ["b"]

    async def test_dropped(self) -> None:
        """A build whose asker is dropped, or has been idle for a minute, is no longer requested."""
        world = World()
        askers = world.askers(4)
        await world.states(askers)
        await world.later()
        del askers[3]
        gc.collect()
        await world.states(askers)
        assert world.asked == [[tag_of(0), tag_of(1), tag_of(2)]]
        await world.later(61)
        await world.states(askers[:1])
        assert world.asked == ["b0"]
        assert len(world.board._builds) == 3


class TestStates:
    async def test_stopped_build_is_seen_whole(self) -> None:
        """The end of a build is confirmed by one `get`, which has all fields."""
        world = World()
        askers = world.askers(3)
        await world.states(askers)
        await world.later()
        world.put(build("b1", 1, "stopped"))
        seen = await world.states(askers)
        assert world.asked == [[tag_of(0), tag_of(1), tag_of(2)], "b1"]
        assert isinstance(seen[1], Build)
        assert seen[1].preview_url == "whole"

    async def test_state_never_moves_back(self) -> None:
        """A stale response never moves a state back, neither for single builds nor for latest ones."""
        world = World()
        askers = world.askers(3)
        world.put(build("b1", 1, "running"))
        await world.states(askers)
        world.put(build("b1", 1, "queued"))
        await world.later()
        seen = await world.states(askers)
        assert isinstance(seen[1], Build)
        assert seen[1].status == "running"

    async def test_older_build_of_a_copy_that_lags(self) -> None:
        """A latest build that is older than the known one hides nothing, and the next look shares again."""
        world = World()
        askers = world.askers(2)
        await world.states(askers)
        await world.later()
        real, world.latest[tag_of(0)] = world.latest[tag_of(0)], build("older", 0, created=-9)
        assert await world.states(askers) == [world.builds["b0"], world.builds["b1"]]
        assert "b0" in world.asked
        world.latest[tag_of(0)] = real
        await world.later()
        await world.states(askers)
        assert world.asked == [[tag_of(0), tag_of(1)]]


class TestErrors:
    @pytest.mark.parametrize(
        "error", [BuildsConnectionError("reset"), PermissionDeniedError("no", status=403)]
    )
    async def test_each_has_its_own(self, error: BuildsError) -> None:
        """Each asker of a failed request gets an error of its own, and no other asker gets one."""
        world = World()
        askers = world.askers(4)
        await world.states(askers)
        await world.later()
        world.failures.append(error)
        first, second = await world.states(askers[:2])
        assert type(first) is type(second) is type(error)
        assert first is not second
        assert await world.states(askers) == [world.builds[f"b{n}"] for n in range(4)]

    async def test_failed_part(self) -> None:
        """A permanent error of one Worker falls back to the single build, and a transient one is raised."""
        world = World()
        askers = world.askers(3)
        await world.states(askers)
        await world.later()
        world.failed = {
            tag_of(0): BadRequestError("odd tag", status=400),
            tag_of(1): BuildsConnectionError("reset"),
        }
        zero, one, two = await world.states(askers)
        assert (zero, two) == (world.builds["b0"], world.builds["b2"])
        assert isinstance(one, BuildsConnectionError)
        assert world.asked[1:] == ["b0"]

    async def test_unknown_build(self) -> None:
        """An unknown build raises NotFoundError for its own asker."""
        world = World()
        askers = [*world.askers(2), world.board.asker("nothing")]
        world.builds["nothing"] = build("nothing", None)
        world.failures = [NotFoundError("no", status=404)] * 3
        assert [type(it) for it in await world.states(askers)] == [NotFoundError] * 3


class TestCancelling:
    async def test_others_wait_on(self) -> None:
        """When the asker whose look sent the request is canceled, the others still get their states."""
        world = World()
        askers = world.askers(3)
        await world.states(askers)
        await world.later()
        tasks = [asyncio.ensure_future(it.state(max_age=MAX_AGE)) for it in askers]
        await settle()
        tasks[0].cancel()
        await world.clock.run_until(world.clock.now() + 1)
        assert tasks[0].cancelled()
        assert [task.result().build.build_uuid for task in tasks[1:]] == ["b1", "b2"]
        assert len(world.asked) == 1

    async def test_last_one_ends_the_request(self) -> None:
        """When all waiting askers are canceled, no task is left, and the next look sends a new request."""
        async with nothing_left():
            world = World()
            askers = world.askers(2)
            await world.states(askers)
            await world.later()
            tasks = [asyncio.ensure_future(it.state(max_age=MAX_AGE)) for it in askers]
            await settle()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await settle()
            assert len(asyncio.all_tasks()) == 1
            assert await world.states(askers) == [world.builds["b0"], world.builds["b1"]]
            assert len(world.asked) == 2

    async def test_closed(self) -> None:
        """Closing the board ends its requests, and waiting askers get the closed client's error."""
        world = World()
        askers = world.askers(2)
        await world.states(askers)
        await world.later()
        tasks = [asyncio.ensure_future(it.state(max_age=MAX_AGE)) for it in askers]
        await settle()
        world.failures = [BuildsConnectionError("closed")] * 9
        await world.board.aclose()
        await world.clock.run_until(world.clock.now() + 1)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(it) for it in results] == [BuildsConnectionError] * 2


class TestClient:
    @pytest.mark.slow
    async def test_sixty_followers(self) -> None:
        """Sixty followers of queued builds cost three requests per 2.5 s and see each start within 3 s."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client(transport=sim.transport, base_url=None) as client:
            starts = [100.0 + 5 * n for n in range(60)]
            for start in starts:
                sim.add_build(
                    [(start, BuildStatus.RUNNING), (start, "one"), (start + 2, BuildOutcome.SUCCESS)]
                )
            lags: list[float] = []

            async def read(build_uuid: str, start: float) -> None:
                log = client.follow(build_uuid)
                assert [line.message for line in [await anext(log)]] == ["one"]
                lags.append(clock.now() - start)
                assert [line async for line in log] == []
                assert log.build.build_outcome == "success"

            reading = [
                asyncio.ensure_future(read(uuid, start))
                for uuid, start in zip(list(sim.builds), starts, strict=True)
            ]
            await clock.sleep(90)
            kinds = Counter(seen.path.rpartition("/")[2] for seen in sim.requests if seen.when > 10)
            assert set(kinds) == {"latest"}
            assert kinds["latest"] <= 3 * (80 / 2.5 + 1)
            await asyncio.gather(*reading)
            assert max(lags) <= 3.0

    async def test_waits_share(self) -> None:
        """Forty staggered waits for running builds cost two requests per five seconds."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client(transport=sim.transport, base_url=None) as client:
            builds = [sim.add_build([(0.0, BuildStatus.RUNNING)]) for _ in range(40)]
            waiting = []
            for it in builds:
                waiting.append(asyncio.ensure_future(client.wait(it.build_uuid)))
                await clock.sleep(0.2)
            await clock.sleep(12)
            before = len(sim.requests)
            await clock.sleep(100)
            assert len(sim.requests) - before <= 2 * 21
            for it in builds:
                it.finish()
            results = await asyncio.gather(*waiting)
            assert [it.build_uuid for it in results] == [it.build_uuid for it in builds]
            assert all(it.succeeded for it in results)

    async def test_faults(self) -> None:
        """Faults of shared requests cause delays and change nothing else."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client(transport=sim.transport, base_url=None) as client:
            builds = [sim.add_build(build_script(["a", "b"], queued=20 + n)) for n in range(30)]
            sim.fault(
                *(Fault(kind, path="/latest", after=3) for kind in ("reset", "not_json", "server_error"))
            )

            async def read(build_uuid: str) -> list[str]:
                return [line.message async for line in client.follow(build_uuid)]

            read_all = await asyncio.gather(*(read(it.build_uuid) for it in builds))
            assert read_all == [[line.message for line in it.lines] for it in builds]
