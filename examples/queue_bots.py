"""Let several bots divide the builds among themselves, with a Cloudflare Queue instead of Redis.

python examples/queue_bots.py QUEUE_ID positions.sqlite

Start any number of bots. A bot holds the event of a started build for as long as it follows the build's
log. If the bot is killed, the queue redelivers the event to another bot, with a higher number of attempts.
"""

import asyncio
import sqlite3
import sys
from contextlib import closing

import msgspec

from builds_async import BuildEvent, BuildEventType, BuildsClient, EventStream, LogPosition, Saved

TABLE = "create table if not exists positions (worker text primary key, fence int, seq int, position text)"
OPEN = """
insert into positions values (:worker, :fence, 0, null) on conflict (worker)
do update set fence = :fence where fence <= :fence returning seq, position
"""
SAVE = """
update positions set seq = :seq, position = :position
where worker = :worker and fence = :fence and seq in (:seq - 1, :seq) returning seq
"""


class SqliteStore:
    """A `PositionStore` for bots on one machine. Any other store works as well."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute(TABLE)

    async def open(self, worker: str, fence: int) -> Saved | None:
        """Return the saved position, and refuse smaller fences from now on."""
        row = self.database.execute(OPEN, {"worker": worker, "fence": fence}).fetchone()
        return None if row is None else Saved(*row)

    async def save(self, worker: str, fence: int, seq: int, position: str, *_: object) -> bool:
        """Save a position, unless a later bot has the build."""
        values = {"worker": worker, "fence": fence, "seq": seq, "position": position}
        return self.database.execute(SAVE, values).fetchone() is not None

    def close(self) -> None:
        """Close the database."""
        self.database.close()


async def follow(client: BuildsClient, store: SqliteStore, event: BuildEvent) -> None:
    """Print the log of a build from the last bot's position, unless a later bot has the event."""
    build, fence = event.build_uuid, event.attempts
    saved = await store.open(build, fence)
    if saved is None:
        return
    start = msgspec.json.decode(saved.position, type=LogPosition) if saved.position else None
    log, seq = client.follow(build, start=start), saved.seq
    while lines := await log.read():
        for line in lines:
            print(build, line.text)
        seq += 1
        if not await store.save(build, fence, seq, msgspec.json.encode(log.position).decode()):
            return


async def work(client: BuildsClient, store: SqliteStore, events: EventStream) -> None:
    """Follow one build after another."""
    async for event in events:  # the event is acknowledged when the next one is requested
        if event.type == BuildEventType.STARTED:
            await follow(client, store, event)


async def main(queue_id: str, path: str) -> None:
    async with BuildsClient() as client, client.events(queue_id, batch_size=1) as events:
        with closing(SqliteStore(path)) as store:
            await work(client, store, events)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
