"""A client's reports about its own work: requests, retries, waits, and the budget left."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from builds_async import (
    BuildsClient,
    BuildsConnectionError,
    Counters,
    InternalServerError,
    NotFoundError,
    Observation,
    RateBudget,
    RateLimitError,
    RequestDone,
    RetryPlanned,
    RetryPolicy,
    Waited,
)
from builds_async.simulator import BuildsSimulator, Fault, FaultKind, RateLimit, VirtualClock, build_script
from tests.support import ACCOUNT, BUILD_UUID, FakeClock, settle, tags
from tests.support.case import cases


class Notes(list[Observation]):
    """An observer that keeps its observations. Like every empty list, it is falsy at first."""

    __call__ = list[Observation].append

    def of(self, kind: type[Any]) -> list[Any]:
        return [it for it in self if isinstance(it, kind)]


def counted(observations: Iterable[Observation]) -> Counters:
    counters = Counters()
    for observation in observations:
        counters(observation)
    return counters


class TestCounters:
    @cases(
        ("observations", "numbers"),
        [
            pytest.param([], (0, 0, 0, 0, 0, 0.0), id="nothing"),
            pytest.param(
                [RequestDone(method="GET", path="/", seconds=1, status=200)], (1, 0, 0, 0, 0, 0.0), id="200"
            ),
            pytest.param(
                [RequestDone(method="GET", path="/", seconds=1, status=399)], (1, 0, 0, 0, 0, 0.0), id="399"
            ),
            pytest.param(
                [RequestDone(method="GET", path="/", seconds=1, status=400)], (1, 1, 0, 0, 0, 0.0), id="400"
            ),
            pytest.param(
                [RequestDone(method="GET", path="/", seconds=1, status=429)], (1, 1, 1, 0, 0, 0.0), id="429"
            ),
            pytest.param(
                [RequestDone(method="GET", path="/", seconds=1, error=BuildsConnectionError())],
                (1, 1, 0, 0, 0, 0.0),
                id="no answer",
            ),
            pytest.param(
                [RetryPlanned(method="GET", path="/", attempts=1, delay=2, error=BuildsConnectionError())],
                (0, 0, 0, 1, 0, 0.0),
                id="retry",
            ),
            pytest.param(
                [Waited(seconds=2, poll=True), Waited(seconds=0.5, poll=False)],
                (0, 0, 0, 0, 2, 2.5),
                id="waits",
            ),
        ],
    )
    def test_sums(self, observations: list[Observation], numbers: tuple[float, ...]) -> None:
        """Each observation increments the counters of its kind and no others."""
        it = counted(observations)
        assert (it.requests, it.failures, it.rate_limited, it.retries, it.waits, it.seconds_waited) == numbers


class TestObservations:
    async def test_one_request(self) -> None:
        """A request is reported with its method, its path without the query, its duration and its status."""
        notes = Notes()
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(observer=notes) as client:
            sim.fault(Fault(kind="slow", delay=3.0))
            await client.builds.latest(tags(3))
            path = f"/accounts/{sim.account_id}/builds/builds/latest"
        ray = notes[0].ray_id  # type: ignore[union-attr]  # compared below
        assert notes == [RequestDone(method="GET", path=path, seconds=3.0, status=200, ray_id=ray)]

    async def test_falsy_observer(self) -> None:
        """An observer that is falsy, like an empty list, is still called."""
        notes = Notes()
        assert not notes
        async with BuildsSimulator().client(observer=notes) as client:
            await client.builds.latest(tags(1))
        assert len(notes) == 1

    async def test_refused_request(self) -> None:
        """A refused request is reported with its status, and no retry is planned."""
        notes = Notes()
        async with BuildsSimulator().client(observer=notes) as client:
            with pytest.raises(NotFoundError):
                await client.builds.get("unknown")
        assert [(it.status, it.error) for it in notes.of(RequestDone)] == [(404, None)]
        assert len(notes) == 1

    @cases(
        ("fault", "status", "delay"),
        [
            ("reset", None, None),
            ("cut_body", None, None),
            ("server_error", 502, None),
            ("not_json", 200, None),
            ("rate_limited", 429, 7.0),
        ],
    )
    async def test_retries(self, fault: FaultKind, status: int | None, delay: float | None) -> None:
        """Each failed attempt is reported, then its planned retry, and finally the successful attempt."""
        notes = Notes()
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(observer=notes) as client:
            sim.fault(Fault(kind=fault, times=2, retry_after=7))
            await client.builds.latest(tags(1))
            assert [it.status for it in notes.of(RequestDone)] == [status, status, 200]
            assert all((it.status is None) == (it.error is not None) for it in notes.of(RequestDone))
            planned = notes.of(RetryPlanned)
            assert [it.attempts for it in planned] == [1, 2]
            assert all(it.error.attempts in {1, 2} for it in planned)
            assert all(it.delay == delay if delay else 0 < it.delay <= 1 for it in planned)
            kinds = [type(it).__name__ for it in notes if not isinstance(it, Waited)]
            assert kinds == ["RequestDone", "RetryPlanned"] * 2 + ["RequestDone"]
            assert len(sim.requests) == 3

    async def test_last_attempt(self) -> None:
        """No retry is planned after the last attempt."""
        notes = Notes()
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(observer=notes, retry=RetryPolicy(attempts=3)) as client:
            sim.fault(Fault(kind="server_error", times=3))
            with pytest.raises(InternalServerError):
                await client.builds.get(BUILD_UUID)
        assert len(notes.of(RequestDone)) == 3
        assert len(notes.of(RetryPlanned)) == 2

    async def test_long_block(self) -> None:
        """A block too long to wait for is one request, and unsent calls are none."""
        counters = Counters()
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(observer=counters) as client:
            sim.fault(Fault(kind="rate_limited", retry_after=300))
            for _ in range(3):
                with pytest.raises(RateLimitError):
                    await client.builds.get(BUILD_UUID)
        assert (counters.requests, counters.rate_limited, counters.retries) == (1, 1, 0)

    async def test_waits_for_the_budget(self) -> None:
        """A call that waits for the budget reports the wait, and whether it is a poll."""
        notes = Notes()
        sim = BuildsSimulator(clock=VirtualClock(), rate_limit=None)
        async with sim.client(observer=notes, budget=RateBudget(limit=10, window=60, reserve=0)) as client:
            build = sim.add_finished_build()
            for _ in range(12):
                await client.builds.get(build.build_uuid)
            assert [(it.seconds, it.poll) for it in notes.of(Waited)] == [(60.0, False)]
            notes.clear()
            await sim.clock.sleep(100)
            for _ in range(10):
                await client.wait(build.build_uuid)
            assert {it.poll for it in notes.of(Waited)} == {True}
            assert len(notes.of(RequestDone)) == 10

    async def test_waits_for_a_slot(self) -> None:
        """A call that waits for a slot reports the wait, and its request's duration starts after it."""
        notes = Notes()
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(observer=notes, max_in_flight=1) as client:
            build = sim.add_finished_build()
            sim.fault(Fault(kind="slow", delay=3.0, times=2))
            await asyncio.gather(*(client.builds.get(build.build_uuid) for _ in range(2)))
        assert [it.seconds for it in notes.of(RequestDone)] == [3.0, 3.0]
        assert [(it.seconds, it.poll) for it in notes.of(Waited)] == [(3.0, False)]

    async def test_cancelled_request(self) -> None:
        """A request whose caller cancels it counts, because it was sent."""
        counters = Counters()
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(observer=counters) as client:
            sim.fault(Fault(kind="stall"))
            call = asyncio.create_task(client.builds.get(BUILD_UUID))
            while not sim.requests:
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
            assert counters.requests == len(sim.requests) == client.budget.snapshot().used == 1

    @cases("kind", [RequestDone, RetryPlanned, Waited])
    async def test_observer_that_raises(self, kind: type[Any]) -> None:
        """An observer that raises, against the rules, fails its own call and no later one."""

        def observer(observation: Observation) -> None:
            if isinstance(observation, kind) and not quiet:
                raise ZeroDivisionError

        quiet: list[bool] = []
        sim = BuildsSimulator(clock=VirtualClock(), rate_limit=None)
        async with sim.client(observer=observer, max_in_flight=1, budget=RateBudget(reserve=0)) as client:
            build = sim.add_finished_build()
            sim.fault(Fault(kind="server_error"))
            calls = [asyncio.create_task(client.builds.get(build.build_uuid)) for _ in range(3)]
            done, _ = await asyncio.wait(calls, timeout=0.3)
            assert len(done) == 3, "the others wait for ever"
            assert any(isinstance(call.exception(), ZeroDivisionError) for call in calls)
            quiet.append(True)
            await client.builds.get(build.build_uuid)
            assert client.budget.snapshot().used == len(sim.requests)

    async def test_secrets(self) -> None:
        """No observation shows the token."""
        notes = Notes()
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(observer=notes) as client:
            sim.fault("reset", "server_error", "rate_limited")
            await client.builds.latest(tags(1))
            assert sim.api_token not in repr(notes)
            assert sim.api_token not in "".join(map(repr, notes.of(RetryPlanned)))


class TestLiveVerbs:
    @pytest.mark.slow
    async def test_a_bots_metrics(self) -> None:
        """The counters of a client that watches, tails and waits agree with the service's own numbers."""
        counters = Counters()
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(limit=300))
        async with sim.client(observer=counters, budget=RateBudget(limit=300)) as client:
            builds = [sim.add_build(build_script(30, rate=0.5)) for _ in range(30)]
            ids = [build.external_script_id for build in builds]
            sim.fault(Fault(kind="server_error", after=9, times=3), Fault(kind="rate_limited", after=20))

            async def tail() -> None:
                async for _ in client.tail(ids):
                    pass

            async def watch() -> None:
                async for _ in client.watch(ids):
                    pass

            tasks = [asyncio.create_task(tail()), asyncio.create_task(watch())]
            await asyncio.gather(*(client.wait(build.build_uuid) for build in builds))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await settle(200)
            assert counters.requests == len(sim.requests)
            assert counters.failures == sum(seen.status >= 400 for seen in sim.requests) == 4
            assert counters.rate_limited == 1
            assert counters.retries == 4
            assert counters.waits > 10
            assert counters.seconds_waited > clock.now()
            left = client.budget.snapshot()
            assert left.used == sum(seen.when > clock.now() - 300 for seen in sim.requests)
            assert 0 <= left.left <= left.capacity - left.used

    async def test_budget_in_advance(self, clock: FakeClock) -> None:
        """The budget can be read before the first request, and each client has its own."""
        budget = RateBudget(limit=100, reserve=0.1)
        async with BuildsClient(account_id=ACCOUNT, api_token="t", budget=budget, clock=clock) as client:
            assert client.budget is budget
            assert client.budget.snapshot().left == 90
        one, other = (BuildsClient(account_id=ACCOUNT, api_token="t") for _ in range(2))
        assert one.budget is not other.budget
