"""`client.watch` of a simulated account, over a socket where connections matter."""

import asyncio
import gc
from typing import Any

import pytest

from builds_async import (
    AuthenticationError,
    BuildChange,
    InternalServerError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
)
from builds_async.live.watch import BuildWatcher
from builds_async.models.builds import BuildOutcome
from builds_async.simulator import BuildsSimulator, Fault, RateLimit, TokenKind, VirtualClock, build_script
from tests.live.watch.support import (
    A,
    word,
)
from tests.support import nothing_left, settle, tags
from tests.support.case import cases


async def changes_until(watcher: BuildWatcher, clock: VirtualClock, moment: float) -> list[BuildChange]:
    """The changes that arrive before a point in time."""
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
    @pytest.mark.slow
    async def test_a_thousand_workers(self) -> None:
        """A thousand Workers cost 50 requests per pass, and their builds are followed to their outcomes."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock, rate_limit=RateLimit())
        async with sim.client() as client:
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
        """Fifty queued builds of one Worker are not requested one by one in each pass."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
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
        """Forty builds of a Worker that gets a new one in each pass are not requested one by one."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
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

    @pytest.mark.slow
    @pytest.mark.parametrize("fault", ["reset", "cut_body", "not_json", "server_error", "rate_limited"])
    async def test_faults(self, fault: Any) -> None:
        """Faults delay changes, but neither lose nor repeat one."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client(retry=RetryPolicy(attempts=2)) as client:
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
        """Errors of a failing service are in `failures`, and the watch continues when it recovers."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
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
        """A block of five minutes costs one request, and then the watch continues."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
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
        """A watch of hundreds of Workers raises wrong credentials at once, as one bare error."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(api_token="wrong" if kind is None else sim.add_token(kind)) as client:
            with pytest.raises(error):
                await anext(client.watch(tags(400)))
            assert len(sim.requests) <= 10

    @cases("wrong", ["", "..", "a/b", "a,b", "my-worker"])
    async def test_invalid_id(self, wrong: str) -> None:
        """An invalid id raises ValueError when the watch is created."""
        async with BuildsSimulator().client() as client:
            with pytest.raises(ValueError, match=r"can't be an id|is not the tag"):
                client.watch([A, wrong])

    async def test_nothing_is_left(self) -> None:
        """A `break`, an error, a timeout and a cancellation leave no task and no connection."""
        async with nothing_left():
            sim = BuildsSimulator(clock=VirtualClock())
            async with sim, sim.client(transport=None) as client:
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

    @pytest.mark.slow
    async def test_loop_of_timeouts_makes_progress(self) -> None:
        """Timeouts shorter than a pass over many Workers do not keep a loop from completing it."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock, rate_limit=None)
        async with sim.client() as client:
            ids = [sim.add_worker() for _ in range(1000)]
            build = sim.add_build(build_script(), external_script_id=ids[-1])
            sim.fault(Fault(kind="slow", delay=1.0, times=None))
            watcher = client.watch(ids)
            changes: list[BuildChange] = []
            while not changes and clock.now() < 40:
                changes += await changes_until(watcher, clock, clock.now() + 5)
            assert [it.build.build_uuid for it in changes] == [build.build_uuid]
