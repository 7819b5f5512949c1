"""Derived clients: what they share with the original, and what differs."""

import asyncio

import pytest

from builds_async import (
    BuildsClient,
    BuildsConnectionError,
    BuildsTimeoutError,
    RateBudget,
    RetryPolicy,
)
from builds_async.simulator import BuildsSimulator, Fault, VirtualClock
from tests.support import ACCOUNT, BUILD_UUID, TAG, TOKEN, RawServer, stall

ONCE = RetryPolicy(attempts=1)


async def test_shared() -> None:
    """A derived client shares account, budget, connection and the limit on requests in flight."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client(max_in_flight=1, budget=RateBudget(limit=100)) as client:
        derived = client.with_options(timeout=5.0, retry=ONCE, patience=0)
        build = sim.add_finished_build()
        sim.fault(Fault("slow", delay=2.0, times=2))
        began = sim.clock.now()
        await asyncio.gather(client.builds.get(build.build_uuid), derived.builds.get(build.build_uuid))
        assert sim.clock.now() - began >= 4
        assert repr(derived) == repr(client)
        assert derived.budget is client.budget
        assert client.budget.snapshot().used == 2


async def test_retry() -> None:
    """The retry policy applies only to the derived client, and to those derived from it."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client() as client:
        sim.fault(Fault("reset", times=None))
        derived = client.with_options(retry=ONCE)
        for it, attempts in ((client, 4), (derived, 1), (derived.with_options(patience=0, timeout=3.0), 1)):
            before = len(sim.requests)
            with pytest.raises(BuildsConnectionError):
                await it.builds.get(BUILD_UUID)
            assert len(sim.requests) - before == attempts


async def test_timeout() -> None:
    """The timeout applies to each request of the derived client alone, and its error states the limit."""
    async with RawServer(stall()) as server:
        client = BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=server.url, retry=ONCE)
        async with client:
            with pytest.raises(BuildsTimeoutError, match=r"within 0\.02 s"):
                await client.with_options(timeout=0.02).builds.get(BUILD_UUID)


async def test_timeout_of_another_transport() -> None:
    """A custom transport finds the timeout in the request, and the simulator's obeys it."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client(transport=sim.transport, base_url=None, retry=ONCE) as client:
        build = sim.add_finished_build()
        sim.fault(Fault("slow", delay=5.0, times=2))
        with pytest.raises(BuildsTimeoutError):
            await client.with_options(timeout=2.0).builds.get(build.build_uuid)
        assert sim.clock.now() == 2.0
        assert await client.builds.get(build.build_uuid)


async def test_closing() -> None:
    """Closing a derived client ends its own tails; closing the original ends all tails and calls."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client() as client:
        derived = client.with_options(patience=0)
        tails = [it.tail([TAG]) for it in (client, derived, client.with_options(retry=ONCE))]
        await derived.aclose()
        with pytest.raises(RuntimeError, match="this tail is closed"):
            await anext(tails[1])
        assert (await client.builds.latest([TAG])).missing == (TAG,)
        await client.aclose()
        for tail in tails:
            with pytest.raises(RuntimeError, match="this tail is closed"):
                await anext(tail)
        with pytest.raises(RuntimeError):
            await derived.builds.get(BUILD_UUID)


@pytest.mark.parametrize("patience", [-1.0, float("nan")])
async def test_misuse(patience: float) -> None:
    """An invalid duration is rejected by name, as by the client itself."""
    async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, patience=float("inf")) as client:
        with pytest.raises(ValueError, match="patience must be at least 0 s or infinite"):
            client.with_options(patience=patience)
        with pytest.raises(ValueError, match="timeout must be above 0 s"):
            client.with_options(timeout=0.0)
    with pytest.raises(ValueError, match="patience must be at least 0 s or infinite"):
        BuildsClient(account_id=ACCOUNT, api_token=TOKEN, patience=patience)
