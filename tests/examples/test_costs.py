"""The cost of each verb is the one in the guide for bots."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from builds_async import BuildsClient
from builds_async.simulator import BuildsSimulator, VirtualClock, build_script

FIVE_MINUTES = 299.5
Work = Callable[[BuildsSimulator, BuildsClient], object]


def workers(sim: BuildsSimulator, count: int) -> list[str]:
    tags = [sim.add_worker() for _ in range(count)]
    for tag in tags:
        sim.add_finished_build(1, external_script_id=tag)
    return tags


def running(sim: BuildsSimulator, rate: float) -> str:
    build = sim.add_build(build_script(10_000, rate=rate, queued=0, initializing=0))
    return build.build_uuid


def queued(sim: BuildsSimulator) -> str:
    return sim.add_build().build_uuid


async def work(it: Any) -> None:
    """Await the result of a verb, or read it endlessly."""
    if hasattr(it, "__aiter__"):
        async for _ in it:
            pass
    else:
        await it


def tail_of(sim: BuildsSimulator, client: BuildsClient, rate: float) -> object:
    running(sim, rate)
    return client.tail(sim.workers.values())


def all_workers(sim: BuildsSimulator, client: BuildsClient) -> object:
    workers(sim, 20)
    return client.watch()


COSTS: list[tuple[str, Work, int]] = [
    ("watch 20 Workers", lambda sim, client: client.watch(workers(sim, 20)), 20),
    ("watch 1,000 Workers", lambda sim, client: client.watch(workers(sim, 1000)), 1000),
    ("watch all Workers", all_workers, 25),
    ("an idle queue", lambda sim, client: client.events(sim.add_queue()), 25),
    ("tail 20 Workers", lambda sim, client: client.tail(workers(sim, 20)), 30),
    (
        "tail by events",
        lambda sim, client: client.tail(workers(sim, 20), events=sim.add_queue()),
        65,
    ),
    ("tail a chatty build", lambda sim, client: tail_of(sim, client, 1), 30 + 300),
    ("tail a silent build", lambda sim, client: tail_of(sim, client, 0.01), 30 + 60),
    ("wait", lambda sim, client: client.wait(running(sim, 1)), 60),
    ("wait in the queue", lambda sim, client: client.wait(queued(sim)), 20),
    ("follow a silent build", lambda sim, client: client.follow(running(sim, 0.01)), 140),
    ("follow at the worst rate", lambda sim, client: client.follow(running(sim, 0.5)), 450),
    ("follow in the queue", lambda sim, client: client.follow(queued(sim)), 120),
]


@pytest.mark.parametrize(
    ("verb", "said"),
    [pytest.param(*it, id=name, marks=pytest.mark.slow if "1,000" in name else ()) for name, *it in COSTS],
)
async def test_requests_in_five_minutes(verb: Work, said: int) -> None:
    """Each verb costs the requests of the guide's table, within a fifth; the rate budget page agrees."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client() as client:
        task = asyncio.ensure_future(work(verb(sim, client)))
        await sim.clock.sleep(FIVE_MINUTES)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
    assert 0.8 * said <= len(sim.requests) <= 1.2 * said
