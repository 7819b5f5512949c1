"""The time until another bot continues, measured with real processes and a real engine."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from builds_async.fleet.keys import key
from builds_async.simulator import BuildsSimulator
from tests.live.batches.support import judge
from tests.live.tail.support import script
from tests.support.engines import own_server

LEASE = 3.0
WITHIN = 2.0
"""The maximum seconds of a handover, and of a takeover after the lease."""

WORKERS = 6
LINES = 50

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the bots end by signals"),
    pytest.mark.timeout(120),
]


class Bot:
    """A bot in its own process, with a file for its delivered lines."""

    def __init__(self, process: Process, file: Path) -> None:
        self.process, self.file = process, file

    def rows(self) -> Iterator[tuple[str, int, str]]:
        """The delivered rows."""
        for text in self.file.read_text("utf-8").splitlines() if self.file.exists() else ():
            build, number, message = json.loads(text)
            yield build, number, message

    def count(self) -> Counter[str]:
        """The number of delivered lines of each build."""
        return Counter(build for build, _, _ in self.rows())


class Bots:
    """Bots of one fleet with one engine, and the account that they follow."""

    def __init__(self, folder: Path, engine_url: str, sim: BuildsSimulator, tags: list[str]) -> None:
        self.folder, self.engine_url, self.sim, self.tags = folder, engine_url, sim, tags
        self.bots: list[Bot] = []

    async def start(self) -> Bot:
        """Start one more bot."""
        file = self.folder / f"lines-{len(self.bots)}"
        config = {
            "engine": self.engine_url,
            "account": self.sim.account_id,
            "token": self.sim.api_token,
            "url": self.sim.url,
            "workers": self.tags,
            "lease": LEASE,
            "limit": 40_000,
            "window": 30.0,
            "shared": False,
            "database": None,
            "plain": str(file),
        }
        words = (sys.executable, "-m", "tests.support.chaos_bot", json.dumps(config))
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.DEVNULL, env=environment
        )
        bot = Bot(process, file)
        self.bots.append(bot)
        return bot

    def rows(self) -> list[tuple[str, int, str]]:
        """The delivered rows of all bots."""
        return [row for bot in self.bots for row in bot.rows()]

    def followed_by(self, bot: Bot) -> set[str]:
        """The builds whose last line came from this bot."""
        last: dict[str, tuple[int, Bot]] = {}
        for it in self.bots:
            for build, number, _ in it.rows():
                last[build] = max(last.get(build, (0, it)), (number, it), key=lambda pair: pair[0])
        return {build for build, (_, by) in last.items() if by is bot}

    async def until_others_deliver(self, builds: Collection[str], gone: Bot) -> float:
        """The seconds until each of these builds has a new line from another bot."""
        others = [bot for bot in self.bots if bot is not gone]
        before = sum((bot.count() for bot in others), Counter[str]())

        def is_done() -> bool:
            now = sum((bot.count() for bot in others), Counter[str]())
            return all(now[build] > before[build] for build in builds)

        return await seconds_until(is_done)


async def seconds_until(is_done: Callable[[], bool]) -> float:
    """The seconds until a condition is true; TimeoutError after a minute."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(60):
        while not is_done():
            await asyncio.sleep(0.02)
    return loop.time() - began


@asynccontextmanager
async def two_bots(folder: Path) -> AsyncIterator[Bots]:
    """Two bots that follow six running builds, each with two lines per second."""
    with own_server() as engine:
        async with BuildsSimulator(rate_limit=None) as sim:
            tags = [sim.add_worker() for _ in range(WORKERS)]
            it = Bots(folder, engine.url, sim, tags)
            try:
                first, second = await it.start(), await it.start()
                await members(engine.url, 2)
                await asyncio.sleep(2.0)
                for tag in tags:
                    sim.add_build(script(LINES, start=0.5, every=0.5), external_script_id=tag)
                await seconds_until(lambda: len(it.followed_by(first)) == len(it.followed_by(second)) == 3)
                yield it
            finally:
                for bot in it.bots:
                    if bot.process.returncode is None:
                        bot.process.kill()
                        await bot.process.wait()


async def members(url: str, count: int) -> None:
    """Wait until `count` members have joined."""
    async with Redis.from_url(url) as client, asyncio.timeout(60):
        while await client.zcard(key("group", "chaos", "members")) < count:
            await asyncio.sleep(0.02)


async def test_hand_over(tmp_path: Path) -> None:
    """A joining bot has its share, and a bot with SIGTERM has handed over, within 2 s; no line repeats."""
    async with two_bots(tmp_path) as it:
        third = await it.start()
        await members(it.engine_url, 3)
        joined = await seconds_until(lambda: len(third.count()) == WORKERS // 3)
        first = it.bots[0]
        mine = it.followed_by(first)
        first.process.terminate()
        left = await it.until_others_deliver(mine, first)
        assert await asyncio.wait_for(first.process.wait(), 10) == 0
        await seconds_until(lambda: judge(it.sim, it.rows())[0] == 0)
        print(f"joined after {joined:.2f} s, handed over after {left:.2f} s")  # noqa: T201  # for `-s`
        assert judge(it.sim, it.rows()) == (0, 0, 0)
        assert len(mine) == WORKERS // 3
        assert max(joined, left) <= WITHIN


async def test_take_over(tmp_path: Path) -> None:
    """After kill -9, the other bot delivers the next line of each build within the lease and 2 s."""
    async with two_bots(tmp_path) as it:
        killed = it.bots[0]
        orphans = it.followed_by(killed)
        killed.process.kill()
        seconds = await it.until_others_deliver(orphans, killed)
        await seconds_until(lambda: judge(it.sim, it.rows())[0] == 0)
        lost, doubled, wrong = judge(it.sim, it.rows())
        print(f"taken over after {seconds:.2f} s, {doubled} lines twice")  # noqa: T201  # for `-s`
        assert (lost, wrong) == (0, 0)
        assert doubled <= len(orphans) * LINES / 10
        assert seconds <= LEASE + WITHIN
