"""Real processes that share a budget through a real engine, on bad days, and are never refused."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from builds_async.simulator import Behavior, BuildsSimulator, RateLimit
from tests.support.engines import EngineServer, own_server

LIMIT, WINDOW = 60, 3.0
BOUND = 57
"""The capacity of 54, and half the reserve of 6 for rations."""

MEMBER = Path(__file__).parent.parent / "support" / "fleet_member.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGSTOP"),
    pytest.mark.timeout(60),
]


class Crowd:
    """The members, and the account that they use."""

    def __init__(self, engine: EngineServer, sim: BuildsSimulator, build_uuid: str) -> None:
        self.engine, self.sim, self.build_uuid = engine, sim, build_uuid
        self.members: list[Process] = []

    async def join(self) -> Process:
        """Start a member and wait until it has joined."""
        words = (str(MEMBER), self.engine.url, self.build_uuid, str(LIMIT), str(WINDOW))
        environment = {**os.environ, **self.sim.environ, "PYTHONPATH": str(Path.cwd())}
        member = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE, env=environment)
        self.members.append(member)
        assert member.stdout is not None
        assert await member.stdout.readline() == b"ready\n"
        return member

    async def end(self) -> list[int]:
        """End the remaining members and return their exit codes."""
        left = [member for member in self.members if member.returncode is None]
        for member in left:
            member.terminate()
        return [await asyncio.wait_for(member.wait(), 10) for member in left]

    def sent_since(self, moment: int) -> int:
        """The number of requests since there were `moment` of them."""
        return len(self.sim.requests) - moment

    def judge(self) -> None:
        """Nothing was refused, and no window exceeded the bound."""
        assert [seen.status for seen in self.sim.requests if seen.status != 200] == []
        times = sorted(seen.when for seen in self.sim.requests)
        most = max(i + 1 - bisect_left(times, at - WINDOW + 1e-6) for i, at in enumerate(times))
        assert most <= BOUND


@asynccontextmanager
async def a_crowd() -> AsyncIterator[Crowd]:
    """Three members at the limit, past the grace of their engine, without rate limit headers."""
    behavior = Behavior(rate_limit_headers=False)
    with own_server() as engine:
        async with BuildsSimulator(rate_limit=RateLimit(LIMIT, WINDOW), behavior=behavior) as sim:
            crowd = Crowd(engine, sim, sim.add_finished_build(["x"]).build_uuid)
            await asyncio.gather(*(crowd.join() for _ in range(3)))
            await asyncio.sleep(6.5)
            try:
                yield crowd
                assert await crowd.end() == [0] * len([it for it in crowd.members if it.returncode != -9])
            finally:
                for member in crowd.members:
                    if member.returncode is None:
                        member.kill()
                        await member.wait()
            crowd.judge()


async def test_members() -> None:
    """When one member is killed and another is stopped for longer than its session, the third continues."""
    async with a_crowd() as crowd:
        killed, stopped, _ = crowd.members
        killed.kill()
        await killed.wait()
        stopped.send_signal(19)  # SIGSTOP
        await crowd.join()
        await asyncio.sleep(4)
        seen = len(crowd.sim.requests)
        await asyncio.sleep(3)
        assert crowd.sent_since(seen) > 5
        stopped.send_signal(18)  # SIGCONT
        await asyncio.sleep(2)


async def test_engine() -> None:
    """Members continue after their engine was frozen, and after it was killed and came back empty."""
    async with a_crowd() as crowd:
        crowd.engine.freeze()
        await asyncio.sleep(3)
        crowd.engine.thaw()
        await asyncio.sleep(3)
        crowd.engine.kill()
        await asyncio.sleep(1.5)
        await asyncio.to_thread(crowd.engine.start)
        await asyncio.sleep(8)
        seen = len(crowd.sim.requests)
        await asyncio.sleep(1.5)
        assert crowd.sent_since(seen) > 10
