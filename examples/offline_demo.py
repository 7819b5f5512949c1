"""Run a real command as a simulated build and follow its log live. Needs no account.

python examples/offline_demo.py
"""

import asyncio
import sys

from builds_async import BuildsClient
from builds_async.simulator import BuildsSimulator

COMMAND = [sys.executable, "-u", "-m", "timeit", "-v", "-n", "1000", "sum(range(100))"]


async def main() -> None:
    async with (
        BuildsSimulator() as sim,
        BuildsClient(account_id=sim.account_id, api_token=sim.api_token, base_url=sim.url) as client,
    ):
        build = await sim.run_build(COMMAND)
        log = client.follow(build.build_uuid, poll_interval=0.1)
        async for line in log:
            print(line.time.time(), line.text)
        print("outcome:", log.build.build_outcome)


if __name__ == "__main__":
    asyncio.run(main())
