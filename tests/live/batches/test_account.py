"""A tail with a store reads all Workers of the account if none are named."""

import pytest

from builds_async import AuthenticationError, BuildsClient, TailBatch
from builds_async.simulator import BuildsSimulator, Fault
from tests.live.batches.support import Database, batch_within, judge, rows_of
from tests.live.tail.support import script, simulated
from tests.support import nothing_left


async def rows_within(
    sim: BuildsSimulator, client: BuildsClient, store: Database, seconds: float
) -> list[tuple[str, int, str]]:
    """The rows of one run of a bot, which ends in good order."""
    rows = list[tuple[str, int, str]]()
    until = sim.clock.now() + seconds
    async with client.tail(store=store) as batches:
        while (batch := await batch_within(batches, sim.clock, until - sim.clock.now())) is not None:
            rows += rows_of(batch)
    return rows


async def test_later_workers_join() -> None:
    """A Worker that is created later joins with all of its builds, and a restart repeats nothing."""
    sim, client = simulated()
    store = Database()
    async with client, nothing_left():
        sim.add_build(script(3))
        rows = await rows_within(sim, client, store, 20.0)
        assert judge(sim, rows) == (0, 0, 0)
        async with client.tail(store=store) as batches:
            assert await batch_within(batches, sim.clock, 5.0) is None
            tag = sim.add_worker()
            for _ in range(2):
                sim.add_build(script(3, every=0.1), external_script_id=tag)
            while (batch := await batch_within(batches, sim.clock, 120.0)) is not None:
                rows += rows_of(batch)
            assert tag in batches.external_script_ids
        assert judge(sim, rows) == (0, 0, 0)
        assert await rows_within(sim, client, store, 120.0) == []
    lists = sum(seen.path.endswith("/workers/scripts") for seen in sim.requests)
    assert lists <= 7  # each of three runs lists at its start, and then once a minute


async def test_removed_worker_stays_away() -> None:
    """A Worker that the caller removes does not come back with the next list."""
    sim, client = simulated()
    tag = sim.add_worker()
    async with client, client.tail(store=Database()) as batches:
        assert await batch_within(batches, sim.clock, 20.0) is None
        await batches.remove(tag)
        sim.add_build(script(3), external_script_id=tag)
        assert await batch_within(batches, sim.clock, 150.0) is None
        assert tag not in batches.external_script_ids


async def test_refused_list() -> None:
    """A list that the token may not read is an error of the loop."""
    sim, _ = simulated()
    client = sim.client(clock=sim.clock, api_token="another")
    async with client, client.tail(store=Database()) as batches:
        with pytest.raises(AuthenticationError):
            await anext(batches)


async def test_failing_list() -> None:
    """After a temporary failure the next list finds the Workers."""
    sim, client = simulated()
    build = sim.add_build(script(200, every=1.0))
    sim.fault(Fault("server_error", path="/workers/scripts", times=6))
    async with client, client.tail(store=Database()) as batches:
        batch: TailBatch = await anext(batches)
    assert batch.lines[0].build.build_uuid == build.build_uuid
