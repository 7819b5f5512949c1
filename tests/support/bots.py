"""Several bots of one fleet as the reader of a load: they share the Workers and the rate budget."""

import asyncio
from contextlib import AsyncExitStack

from builds_async import BuildsClient
from builds_async.fleet import Fleet
from builds_async.fleet.memory import LeaseModel
from builds_async.fleet.memory_group import MemoryGroups
from tests.support.traffic import WINDOW, Reader, Traffic


def bots(count: int) -> Reader:
    """`count` bots that start together."""

    async def read(traffic: Traffic) -> None:
        engine = MemoryGroups(traffic.clock)
        engine.budgets.users["default"] = known = LeaseModel()
        known.born = -int(2 * WINDOW * 1000)  # the engine has a past, so there is no grace period
        await asyncio.gather(*(_bot(traffic, engine) for _ in range(count)))

    return read


async def _bot(traffic: Traffic, engine: MemoryGroups) -> None:
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(engine, group="bots"))
        client = await stack.enter_async_context(
            BuildsClient(
                account_id=traffic.sim.account_id,
                api_token=traffic.sim.api_token,
                transport=traffic,
                clock=traffic.clock,
                budget=fleet.budget,
            )
        )
        async for batch in client.tail(traffic.tags, fleet=fleet):
            for item in batch.lines:
                traffic.take(item.build.build_uuid, item.line)
            for end in batch.ends:
                traffic.ends[end.build.build_uuid] += 1
