"""Save lines and their position in one PostgreSQL transaction, so that each line is stored exactly once.

python examples/postgres_store.py postgresql://localhost/bots redis://localhost/0 TAG...

Needs asyncpg and the extra builds-async[fleet]. Start it on several machines: they divide the Workers.
"""

import asyncio
import sys

import asyncpg

from builds_async import BuildsClient, LeaseLostError, Saved
from builds_async.fleet import Fleet

TABLES = """
create table if not exists positions (
    worker text primary key, fence bigint not null, seq bigint not null, position text);
create table if not exists lines (
    build_uuid text, number integer, time timestamptz, message text, primary key (build_uuid, number));
"""
OPEN = """
insert into positions as p values ($1, $2, 0, null) on conflict (worker)
do update set fence = $2 where p.fence <= $2 returning seq, position
"""
SAVE = """
update positions set seq = $3, position = $4
where worker = $1 and fence = $2 and seq in ($3 - 1, $3) returning seq
"""
INSERT = "insert into lines values ($1, $2, $3, $4)"


class PostgresStore:
    """A `PositionStore` in one table."""

    only_commit = True  # the position after lines is saved only together with them

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool

    async def open(self, worker: str, fence: int) -> Saved | None:
        """Return the saved position, and refuse smaller fences from now on."""
        row = await self.pool.fetchrow(OPEN, worker, fence)
        return None if row is None else Saved(row["seq"], row["position"])

    async def save(
        self,
        worker: str,
        fence: int,
        seq: int,
        position: str,
        connection: "asyncpg.Connection[asyncpg.Record] | None" = None,
    ) -> bool:
        """Save a position in the transaction of `connection`, or by itself if there are no lines."""
        run = self.pool if connection is None else connection
        return await run.fetchval(SAVE, worker, fence, seq, position) is not None


async def main(database: str, engine: str, tags: list[str]) -> None:
    async with (
        asyncpg.create_pool(database, min_size=1, max_size=4) as pool,
        Fleet(engine, group="lines") as fleet,
        BuildsClient(budget=fleet.budget) as client,
    ):
        await pool.execute(TABLES)
        async for batch in client.tail(tags, fleet=fleet, store=PostgresStore(pool)):
            try:
                async with pool.acquire() as connection, connection.transaction():
                    await connection.executemany(INSERT, batch.rows())
                    await batch.commit(connection)
            except LeaseLostError:
                continue  # another bot has this Worker by now; the transaction was rolled back
            print(f"{batch.external_script_id}: {len(batch.lines)} lines")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
