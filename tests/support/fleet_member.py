"""A process that shares a budget: its callers get one build repeatedly until SIGTERM."""

import asyncio
import os
import signal
import sys

from builds_async import BuildsClient, BuildsError
from builds_async.fleet import SharedBudget


async def main() -> None:
    """Send until SIGTERM, to the account in the environment."""
    engine, build_uuid, limit, window = sys.argv[1:]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    async def call(client: BuildsClient) -> None:
        while True:
            try:
                await client.builds.get(build_uuid)
            except BuildsError as error:
                sys.stderr.write(f"{error}\n")
                os._exit(3)

    budget = SharedBudget(engine, limit=int(limit), window=float(window))
    async with budget, BuildsClient(budget=budget) as client:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        callers = [asyncio.ensure_future(call(client)) for _ in range(4)]
        await ended.wait()
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)


asyncio.run(main())
