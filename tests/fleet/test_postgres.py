"""The example of a sink in PostgreSQL, with a real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from builds_async import Saved
from builds_async.simulator import BuildsSimulator
from tests.support.engines import EngineServer
from tests.support.postgres import postgres
from tests.test_examples import load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as address:
        yield address


@pytest.fixture
async def pool(server: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(server, min_size=1, max_size=4) as pool:
        await pool.execute(load("postgres_store").TABLES + "truncate positions, lines")
        yield pool


class TestStore:
    async def test_protocol(self, pool: Any) -> None:
        """The store follows `PositionStore`: no older fence, and no other number."""
        store = load("postgres_store").PostgresStore(pool)
        assert await store.open("u", 5) == Saved()
        assert await store.save("u", 5, 1, "one")
        assert await store.save("u", 5, 1, "one")
        assert not await store.save("u", 5, 3, "three")
        assert not await store.save("u", 4, 2, "two")
        assert await store.open("u", 4) is None
        assert await store.open("u", 7) == Saved(1, "one")
        assert not await store.save("u", 5, 2, "two")

    async def test_rollback(self, pool: Any) -> None:
        """A transaction that rolls back also rolls back the position."""
        store = load("postgres_store").PostgresStore(pool)
        await store.open("u", 1)
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            assert await store.save("u", 1, 1, "one", connection)
            await transaction.rollback()
        assert await store.open("u", 1) == Saved()


async def test_example(pool: Any, server: str, engine: EngineServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bots of the example, one of them stopped midway, write each line exactly once."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    example = load("postgres_store")
    async with BuildsSimulator(page_size=3) as sim:
        for name, value in sim.environ.items():
            monkeypatch.setenv(name, value)
        builds = [sim.add_build(external_script_id=sim.add_worker()) for _ in range(4)]
        tags = [build.external_script_id for build in builds]
        bots = [asyncio.create_task(example.main(server, engine.url, tags)) for _ in range(2)]
        for n in range(12):
            for build in builds:
                build.emit(f"a\0{n}", "b")
            await asyncio.sleep(0.1)
            if n == 5:
                bots[0].cancel()
        async with asyncio.timeout(20):
            while await pool.fetchval("select count(*) from lines") < 12 * 2 * 4:
                assert not bots[1].done()
                await asyncio.sleep(0.05)
        bots[1].cancel()
        await asyncio.wait(bots)
        rows = await pool.fetch("select build_uuid, number, message from lines order by 1, 2")
        truth = {uuid: [line.message for line in build.lines] for uuid, build in sim.builds.items()}
        for uuid, lines in truth.items():
            got = [row["message"] for row in rows if row["build_uuid"] == uuid]
            assert got == [line.replace("\0", "\N{REPLACEMENT CHARACTER}") for line in lines]
