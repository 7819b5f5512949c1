"""Real processes under real faults: bots, an engine, a simulator, and a proxy before each bot's engine."""

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from builds_async import TailBatch
from builds_async.simulator import BuildsSimulator, RateLimit
from tests.live.batches.support import judge
from tests.live.tail.support import script
from tests.support.engines import EngineServer

LINES = "chaos-lines"
"""The engine's list of delivered lines, written in one step with their position."""

Row = tuple[str, int, str]


class Proxy:
    """A severable route to the engine: connections stay open, and nothing passes."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.open = asyncio.Event()
        self.open.set()
        self.port = 0
        self._pipes: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onwards, out = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        for pair in ((reader, out), (onwards, writer)):
            task = asyncio.create_task(self._pipe(*pair))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self.open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._pipes):
            task.cancel()
        await asyncio.sleep(0.05)


class Run:
    """A run of some seconds: faults first, then calm until every line is delivered."""

    def __init__(
        self,
        folder: Path,
        engine: EngineServer,
        *,
        seconds: float,
        seed: int,
        database: str | None = None,
        workers: int = 12,
        bots: int = 3,
        lease: float = 2.0,
        gap: tuple[float, float] = (0.4, 1.5),
        engine_dies: tuple[str, ...] = (),
    ) -> None:
        self.folder, self.engine, self.seconds = folder, engine, seconds
        self.rng = random.Random(seed)  # noqa: S311  # the same trouble every time
        self.database, self.lease, self.gap = database, lease, gap
        self.engine_dies = engine_dies
        self.sim = BuildsSimulator(rate_limit=RateLimit(limit=4000, window=30.0), seed=seed)
        self.tags = [self.sim.add_worker() for _ in range(workers)]
        self.bots: list[asyncio.subprocess.Process | None] = [None] * bots
        self.proxies = [Proxy(engine.port) for _ in range(bots)]
        self.ready: set[asyncio.subprocess.Process] = set()
        self.faults: Counter[str] = Counter()
        self.thaws: list[tuple[float, Any]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def plain(self) -> Path:
        return self.folder / "plain"

    async def run(self) -> None:
        """Run the scenario."""
        loop = asyncio.get_running_loop()
        async with self.sim:
            try:
                for proxy in self.proxies:
                    await proxy.start()
                for number in range(len(self.bots)):
                    await self.start(number)
                await self.looked_up()
                began = loop.time()
                half = self.seconds / 2
                for tag in self.tags:
                    for n in range(2):
                        lines = max(4, int(half * 0.7))
                        self.sim.add_build(script(lines, start=0.5 + n * half), external_script_id=tag)
                deaths = [
                    began + self.seconds * (n + 1) / (len(self.engine_dies) + 1) * 0.8
                    for n in range(len(self.engine_dies))
                ]
                await self.trouble(began + self.seconds, deaths)
                await self.peace(loop.time() + 4 * self.lease + 60.0)
            finally:
                await self.end()

    async def looked_up(self) -> None:
        """Wait until the bots have looked up all Workers and have had time to save their positions.

        No bot has to deliver a build that ends before the first lookup of its Worker.
        """
        async with asyncio.timeout(60):
            while not self.tags_looked_up.issuperset(self.tags):
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)

    @property
    def tags_looked_up(self) -> set[str]:
        """The Workers whose latest builds were requested."""
        queries = (it.query for it in self.sim.requests if it.path.endswith("/latest") and it.status == 200)
        return {tag for query in queries for tag in query["external_script_ids"].split(",")}

    async def trouble(self, until: float, deaths: list[float]) -> None:
        loop = asyncio.get_running_loop()
        dies = list(self.engine_dies)
        while loop.time() < until or self.faults.total() < self.seconds / 3:
            await asyncio.sleep(self.rng.uniform(*self.gap))
            for at, thaw in [it for it in self.thaws if it[0] <= loop.time()]:
                self.thaws.remove((at, thaw))
                thaw()
            if deaths and loop.time() >= deaths[0]:
                deaths.pop(0)
                await self.engine_trouble(dies.pop(0))
            await self.fault(self.rng.randrange(len(self.bots)))

    async def fault(self, number: int) -> None:
        kind = self.rng.choice(["kill", "stop", "cut", "leave"])
        bot, proxy = self.bots[number], self.proxies[number]
        if bot is None or bot.returncode is not None:
            await self.start(number)
            return
        if bot not in self.ready:  # on a busy machine that takes a while, and a fault would hit nothing
            return
        self.faults[kind] += 1
        at = asyncio.get_running_loop().time() + self.rng.uniform(0.3, 2.5 * self.lease)
        if kind == "kill":
            bot.kill()
            await bot.wait()
            await self.start(number)
        elif kind == "leave":
            bot.send_signal(signal.SIGTERM)
        elif kind == "stop":
            bot.send_signal(signal.SIGSTOP)
            self.thaws.append((at, lambda: _signal(bot, signal.SIGCONT)))
        else:
            proxy.open.clear()
            self.thaws.append((at, proxy.open.set))

    async def engine_trouble(self, kind: str) -> None:
        """Disturb the engine: freeze it, or restart it with or without its append-only file."""
        self.faults[kind] += 1
        if kind == "frozen":
            self.engine.freeze()
            await asyncio.sleep(1.5 * self.lease)
            self.engine.thaw()
            return
        self.engine.kill()
        await asyncio.sleep(1.0)
        self.engine.start()

    async def peace(self, until: float) -> None:
        for _, thaw in self.thaws:
            thaw()
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            for number, bot in enumerate(self.bots):
                if bot is None or bot.returncode is not None:
                    await self.start(number)
            await asyncio.sleep(0.5)
            if judge(self.sim, await self.rows())[0] == 0:
                await asyncio.sleep(1.0)
                return

    async def start(self, number: int) -> None:
        config = {
            "engine": f"redis://127.0.0.1:{self.proxies[number].port}/0",
            "account": self.sim.account_id,
            "token": self.sim.api_token,
            "url": self.sim.url,
            "workers": self.tags,
            "lease": self.lease,
            "limit": 4000,
            "window": 30.0,
            "shared": self.seconds >= 60,
            "database": self.database,
            "plain": str(self.plain),
        }
        with (self.folder / "errors").open("ab") as errors:
            bot = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.support.chaos_bot", json.dumps(config)),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        self.bots[number] = bot
        waiting = asyncio.create_task(self._wait_until_ready(bot))
        self._tasks.add(waiting)
        waiting.add_done_callback(self._tasks.discard)

    async def _wait_until_ready(self, bot: asyncio.subprocess.Process) -> None:
        assert bot.stdout is not None
        if await bot.stdout.readline():
            self.ready.add(bot)

    async def end(self) -> None:
        for proxy in self.proxies:
            proxy.open.set()
        for bot in self.bots:
            _signal(bot, signal.SIGCONT)
            _signal(bot, signal.SIGTERM)
        for bot in self.bots:
            if bot is not None and bot.returncode is None:
                try:
                    async with asyncio.timeout(
                        3 * self.lease + 30.0
                    ):  # a bot on a busy machine is slow to end
                        await bot.wait()
                except TimeoutError:
                    self.faults["did not end"] += 1
                    bot.kill()
                    await bot.wait()
        for proxy in self.proxies:
            await proxy.stop()

    async def rows(self) -> list[Row]:
        """The rows of the committing sink."""
        if self.database is not None:
            async with postgres_store(self.database) as store:
                assert store is not None
                return await store.rows()
        return [_row(text) for text in await _list_of(self.engine)]

    def plain_rows(self) -> list[Row]:
        """The rows of the sink without transactions. A kill may have truncated its last line."""
        rows = []
        for text in self.plain.read_text("utf-8").splitlines():
            with suppress(ValueError):
                rows.append(_row(text))
        return rows

    @property
    def errors(self) -> str:
        """The bots' standard error, without warnings."""
        return (self.folder / "errors").read_text("utf-8")


def _row(text: str | bytes) -> Row:
    build, number, message = json.loads(text)
    return build, number, message


def _signal(bot: asyncio.subprocess.Process | None, number: signal.Signals) -> None:
    if bot is not None and bot.returncode is None:
        with suppress(ProcessLookupError):
            bot.send_signal(number)


async def _list_of(engine: EngineServer) -> Iterable[bytes | str]:
    from redis.asyncio import Redis  # noqa: PLC0415  # only where an engine is the sink

    async with Redis.from_url(engine.url) as client:
        lines: list[bytes | str] = await client.lrange(LINES, 0, -1)
        return lines


class PostgresSink:
    """The example's store with a table that has no key, so that a duplicate line is stored twice."""

    only_commit = True

    def __init__(self, pool: Any, example: Any) -> None:
        self.pool, self.example = pool, example
        self.store = example.PostgresStore(pool)
        self.open, self.save = self.store.open, self.store.save

    async def write(self, batch: TailBatch) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.executemany(self.example.INSERT, batch.rows())
            await batch.commit(connection)

    async def rows(self) -> list[Row]:
        rows = await self.pool.fetch("select build_uuid, number, message from lines")
        return [(row["build_uuid"], row["number"], row["message"]) for row in rows]


@asynccontextmanager
async def postgres_store(database: str | None) -> AsyncIterator[PostgresSink | None]:
    """The sink in PostgreSQL, if there is one."""
    if database is None:
        yield None
        return
    import asyncpg  # noqa: PLC0415  # not for every bot

    from tests.test_examples import load  # noqa: PLC0415

    example = load("postgres_store")
    tables = example.TABLES.replace(", primary key (build_uuid, number)", "")
    async with asyncpg.create_pool(database, min_size=1, max_size=3) as pool:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(1)")
            await connection.execute(tables)
        yield PostgresSink(pool, example)
