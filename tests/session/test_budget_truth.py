"""The budget's reports match what the gate does, including limits reported by the API."""

import asyncio
import logging

import pytest

from builds_async import BuildsClient, BuildStatus, RateBudget, RateLimitError, RetryPolicy
from builds_async.session.budget import LONGEST_CLOSURE
from builds_async.session.headers import Allowance
from builds_async.simulator import BuildsSimulator, Fault, VirtualClock
from tests.support import (
    ACCOUNT,
    BUILD_UUID,
    TOKEN,
    FakeClock,
    MockApi,
    build,
    envelope,
    refusal,
    settle,
)
from tests.support import VirtualClock as StillClock

GET = f"/builds/builds/{BUILD_UUID}"
DAY = 86_400.0


def a_budget(clock: FakeClock | StillClock, limit: int = 10, window: float = 300.0) -> RateBudget:
    """A small budget on a clock."""
    budget = RateBudget(limit=limit, window=window, reserve=0.0)
    budget.bind(clock)
    return budget


def spend(budget: RateBudget, count: int, *, done: bool = True) -> None:
    """Spend this many requests, each completed at once if `done`."""
    for _ in range(count):
        assert budget.try_acquire(poll=False)
        if done:
            budget.done()


def used_up(reset: float) -> dict[str, Allowance]:
    """The allowance of headers that report nothing left."""
    return {"default": Allowance(0, reset)}


class TestResetsIn:
    @pytest.mark.parametrize(
        ("reset", "closed", "spent", "resets_in"),
        [
            (0.0, 0.0, 0, 0.0),
            (0.0, 0.0, 3, 300.0),
            (3600.0, 0.0, 3, 3600.0),
            (100.0, 0.0, 3, 300.0),
            (100.0, 200.0, 0, 200.0),
            (0.0, 200.0, 0, 200.0),
        ],
        ids=["nothing used", "own window", "the API's word", "own is longer", "gate is longer", "gate"],
    )
    def test_longest(
        self, clock: FakeClock, reset: float, closed: float, spent: int, resets_in: float
    ) -> None:
        """The full budget is free again when its window, the API's headers and the gate all allow it."""
        budget = a_budget(clock)
        spend(budget, spent)
        if reset:
            budget.observe(used_up(reset))
        if closed:
            budget.close(closed)
        assert budget.snapshot().resets_in == resets_in
        clock.advance(resets_in)
        if closed:  # the probe
            spend(budget, 1)
            clock.advance(300)
        spend(budget, 10, done=False)

    def test_plenty_left(self, clock: FakeClock) -> None:
        """An allowance with more left than the capacity holds nothing back, so its reset does not count."""
        budget = a_budget(clock)
        budget.observe({"default": Allowance(1000, 3600.0)})
        assert budget.snapshot().resets_in == 0.0

    def test_in_flight(self, clock: FakeClock) -> None:
        """A request in flight leaves the window a full window from now at the earliest."""
        budget = a_budget(clock)
        spend(budget, 1, done=False)
        clock.advance(100)
        assert budget.snapshot().resets_in == 300.0


class TestOneAbsurdValue:
    def test_closed(self, clock: FakeClock) -> None:
        """The gate closes for at most the API's block time, however long a 429 asks for."""
        budget = a_budget(clock)
        budget.close(DAY)
        assert budget.closed_for == budget.snapshot().closed_for == LONGEST_CLOSURE == 300.0
        clock.advance(300)
        assert budget.try_acquire(poll=False)

    def test_reported_reset(self, clock: FakeClock) -> None:
        """The API is asked again after at most an hour, however far away the reported reset is."""
        budget = a_budget(clock)
        budget.observe(used_up(DAY))
        assert budget.snapshot().resets_in == budget.blocked_for == 3600.0
        clock.advance(3600)
        assert budget.try_acquire(poll=False)

    async def test_with_a_client(self, api: MockApi, client: BuildsClient, clock: FakeClock) -> None:
        """The error keeps the API's value, and the client asks again after 5 minutes."""
        api.on("GET", GET, json=refusal(971, "no"), status=429, headers={"Retry-After": "86400"})
        api.on("GET", GET, json=envelope(build()))
        with pytest.raises(RateLimitError) as caught:
            await client.builds.get(BUILD_UUID)
        assert caught.value.retry_after == DAY
        with pytest.raises(RateLimitError, match="not sent") as caught:
            await client.builds.get(BUILD_UUID)
        assert (caught.value.retry_after, caught.value.attempts) == (300.0, 0)
        clock.advance(300)
        assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID
        assert len(api.sent) == 2

    async def test_patient_call(self, api: MockApi, clock: FakeClock) -> None:
        """A call that would wait for a day is sent again when the gate reopens."""
        api.on("GET", GET, json=refusal(971, "no"), status=429, headers={"Retry-After": "86400"})
        api.on("GET", GET, json=envelope(build()))
        patient = RetryPolicy(max_wait=float("inf"))
        async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, clock=clock, retry=patient) as client:
            await client.builds.get(BUILD_UUID)
        assert clock.naps == [300.0]


class TestProbe:
    """After a closure, one request goes first."""

    async def crowd(self, budget: RateBudget, count: int, went: list[int]) -> list[asyncio.Task[None]]:
        async def call(number: int) -> None:
            assert await budget.acquire(poll=False, max_wait=1e9)
            went.append(number)

        tasks = [asyncio.create_task(call(number)) for number in range(count)]
        await settle()
        return tasks

    async def test_alone(self) -> None:
        """No other request goes out until the probe has its response, however long that takes."""
        clock, went = StillClock(), list[int]()
        budget = a_budget(clock)
        budget.close(10)
        tasks = await self.crowd(budget, 3, went)
        await clock.run_until(200)
        assert went == [0]
        assert not budget.try_acquire(poll=False)
        assert budget.snapshot().left == 0
        budget.done()
        await clock.run_until(300)
        assert went == [0, 1, 2]
        await asyncio.gather(*tasks)

    async def test_refused(self) -> None:
        """If the probe is refused too, the gate closes again, and then one request goes first again."""
        clock, went = StillClock(), list[int]()
        budget = a_budget(clock)
        budget.close(10)
        tasks = await self.crowd(budget, 3, went)
        await clock.run_until(10)
        budget.done()
        budget.close(100)
        await clock.run_until(109)
        assert went == [0]
        await clock.run_until(250)
        assert went == [0, 1]
        budget.done()
        await clock.run_until(300)
        await asyncio.gather(*tasks)

    async def test_returned_unsent(self) -> None:
        """If the probe is returned unsent, the next request becomes the probe."""
        clock, went = StillClock(), list[int]()
        budget = a_budget(clock)
        budget.close(10)
        tasks = await self.crowd(budget, 3, went)
        await clock.run_until(10)
        budget.give_back()
        await clock.run_until(100)
        assert went == [0, 1]
        budget.done()
        await clock.run_until(200)
        await asyncio.gather(*tasks)

    async def test_thirty_calls_with_a_client(self) -> None:
        """Of thirty calls held by a block, only one probes its expected end, and that one is refused."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim, sim_client(sim, max_in_flight=5) as client:
            it = sim.add_finished_build(["built"])
            sim.fault(Fault(kind="rate_limited", retry_after=10, times=6))
            calls = [client.builds.get(it.build_uuid) for _ in range(30)]
            results = await asyncio.gather(*calls)
        assert {result.status for result in results} == {BuildStatus.STOPPED}
        refused = [seen.when for seen in sim.requests if seen.status == 429]
        assert len(refused) == 6
        assert sum(when > refused[0] + 5 for when in refused) == 1

    async def test_no_request_alongside_the_probe(self, api: MockApi) -> None:
        """A call admitted before the closure that still waits for a slot is not sent alongside the probe."""
        clock = StillClock()
        api.on("GET", GET, json=envelope(build()))
        async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, clock=clock, max_in_flight=1) as client:
            gate, budget = client._session._gate, client.budget
            assert gate.try_enter(poll=False)
            call = asyncio.create_task(client.builds.get(BUILD_UUID))
            await settle()
            budget.close(5)
            await clock.run_until(5)
            assert await budget.acquire(poll=False, max_wait=0)  # the probe
            gate.leave(poll=False)
            await settle()
            assert api.sent == []
            budget.done()
            await clock.run_until(10)
            assert (await call).build_uuid == BUILD_UUID


def sim_client(sim: BuildsSimulator, **options: int) -> BuildsClient:
    """A client of a simulator, on the simulator's clock."""
    return BuildsClient(
        account_id=sim.account_id,
        api_token=sim.api_token,
        base_url=sim.url,
        clock=sim.clock,
        **options,  # type: ignore[arg-type]  # only numbers here
    )


class TestSingleCalls:
    """Single calls that cannot go out."""

    async def test_reported_long_wait(self, api: MockApi, client: BuildsClient, clock: FakeClock) -> None:
        """A call fails at once when the API reports nothing left for longer than `max_wait`."""
        api.on("GET", GET, json=envelope(build()), headers={"Ratelimit": '"default";r=0;t=3600'})
        await client.builds.get(BUILD_UUID)
        clock.advance(600)
        with pytest.raises(RateLimitError) as caught:
            await client.builds.get(BUILD_UUID)
        assert caught.value.message == (
            "not sent: the API blocks all requests for another 3000 s, and max_wait is 60 s"
        )
        assert (caught.value.retry_after, caught.value.attempts) == (3000.0, 0)
        assert client.budget.snapshot().closed_for == 0
        assert (len(api.sent), clock.naps) == (1, [])

    async def test_reported_long_wait_after_a_failure(self, api: MockApi, client: BuildsClient) -> None:
        """A retry fails at once in the same case, and closes no gate that a 429 did not close."""
        limited = {"Ratelimit": '"default";r=0;t=3600'}
        api.on("GET", GET, status=502, headers=limited)
        with pytest.raises(RateLimitError, match="not sent") as caught:
            await client.builds.get(BUILD_UUID)
        assert caught.value.attempts == 1
        assert client.budget.snapshot().closed_for == 0

    async def test_soon(self, api: MockApi, client: BuildsClient, clock: FakeClock) -> None:
        """A wait of at most `max_wait` is waited out."""
        api.on("GET", GET, json=envelope(build()), headers={"Ratelimit": '"default";r=0;t=60'})
        api.on("GET", GET, json=envelope(build()))
        await client.builds.get(BUILD_UUID)
        await client.builds.get(BUILD_UUID)
        assert clock.naps == [60.0]

    async def test_in_the_queue(self) -> None:
        """A call behind patient waiters fails at once too."""
        clock = StillClock()
        budget = a_budget(clock)
        budget.observe(used_up(200))
        patient = asyncio.create_task(budget.acquire(poll=False, max_wait=1e9))
        await settle()
        assert await budget.acquire(poll=False, max_wait=60) is False
        await clock.run_until(200)
        assert await patient

    async def test_woken(self) -> None:
        """A waiting call fails at once when the gate closes for too long."""
        clock = StillClock()
        budget = a_budget(clock, limit=1)
        spend(budget, 1)
        waiter = asyncio.create_task(budget.acquire(poll=False, max_wait=60))
        await settle()
        budget.close(200)
        await settle()
        assert waiter.done()
        assert waiter.result() is False

    async def test_better_report(self) -> None:
        """A call held by an empty allowance goes out when a later response reports more left."""
        clock = StillClock()
        budget = a_budget(clock)
        budget.observe(used_up(200))
        waiter = asyncio.create_task(budget.acquire(poll=False, max_wait=300))
        await settle()
        budget.observe({"default": Allowance(5, 200.0)})
        await settle()
        assert waiter.done()

    async def test_polls_wait_on(self, clock: FakeClock) -> None:
        """A follower waits as long as the API asks."""
        with MockApi() as api:
            api.on("GET", GET, json=envelope(build()), headers={"Ratelimit": '"default";r=0;t=3600'})
            api.on("GET", GET, json=envelope(build()))
            async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, clock=clock) as client:
                await client.builds.get(BUILD_UUID)
                assert (await client.wait(BUILD_UUID)).build_uuid == BUILD_UUID
        assert clock.naps == [3600.0]


class TestWarning:
    """A long wait logs its reason."""

    @pytest.fixture(autouse=True)
    def _heard(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING, logger="builds_async")

    async def test_own_window(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """A full window is logged once, with the length of the wait."""
        budget = a_budget(clock)
        spend(budget, 10)
        assert await budget.acquire(poll=False, max_wait=0)
        assert clock.naps == [300.0]
        assert caplog.messages == [
            "waiting 300 s for the rate budget: this client has sent 10 requests in the last 300 s"
        ]

    @pytest.mark.parametrize("poll", [False, True], ids=["single", "poll"])
    async def test_gate(self, clock: FakeClock, caplog: pytest.LogCaptureFixture, poll: bool) -> None:
        """A closed gate is logged."""
        budget = a_budget(clock)
        budget.close(45)
        assert await budget.acquire(poll=poll, max_wait=60)
        assert caplog.messages == ["waiting 45 s for the rate budget: the API responded with 429"]

    async def test_reported_empty(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """An empty allowance reported by the API is logged."""
        budget = a_budget(clock)
        budget.observe(used_up(3000))
        assert await budget.acquire(poll=True, max_wait=1e9)
        assert caplog.messages == [
            "waiting 3000 s for the rate budget: the API says that nothing is left of the rate limit"
        ]

    async def test_short(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """A wait of a few seconds is not logged."""
        budget = a_budget(clock)
        budget.close(5)
        assert await budget.acquire(poll=False, max_wait=60)
        assert caplog.messages == []

    async def test_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """Calls that wait for the same thing log once; a later, longer wait logs again."""
        clock = StillClock()
        budget = a_budget(clock)
        spend(budget, 10)
        calls = [asyncio.create_task(budget.acquire(poll=False, max_wait=0)) for _ in range(10)]
        await clock.run_until(299)
        assert len(caplog.messages) == 1
        await clock.run_until(300)
        assert all(call.done() for call in calls)
        late = asyncio.create_task(budget.acquire(poll=False, max_wait=0))
        await settle()
        assert len(caplog.messages) == 2
        late.cancel()

    async def test_next_time(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """The next long wait is logged again."""
        budget = a_budget(clock)
        for _ in range(2):
            budget.close(45)
            assert await budget.acquire(poll=False, max_wait=60)
            budget.done()
        assert len(caplog.messages) == 2

    async def test_raised(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """A refusal that is raised is not logged as well."""
        budget = a_budget(clock)
        budget.close(200)
        assert not await budget.acquire(poll=False, max_wait=60)
        assert caplog.messages == []
