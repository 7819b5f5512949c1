"""A member of a group of processes that divide Workers among themselves."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import Self

from builds_async.fleet.budget import SharedBudget
from builds_async.fleet.engine import EngineError, RedisClient
from builds_async.fleet.group import Group
from builds_async.fleet.keys import checked_name
from builds_async.fleet.membership import Member
from builds_async.fleet.memory_group import MemoryGroups
from builds_async.fleet.redis import RedisEngine
from builds_async.fleet.redis_group import RedisGroup
from builds_async.fleet.store import GroupStore
from builds_async.live.ownership import Share
from builds_async.live.stores import PositionStore
from builds_async.session.numbers import seconds

logger: logging.Logger = logging.getLogger("builds_async")


class Fleet:
    """A member of a group of processes that divide Workers among themselves.

        async with Fleet(url, group="slack-bot") as fleet, BuildsClient(budget=fleet.budget) as client:
            async for batch in client.tail(tags, fleet=fleet):
                await post(batch)

    Each Worker is followed by one member, and its position is kept in the engine. A member that joins gets
    its share of the Workers within seconds. When a member leaves, is killed or is cut off, the others take
    over its Workers. More members never raise the request rate, because the API has one limit for the user.

    - `engine`: the URL of a Redis (6.2 or newer) or a Valkey, or a `redis.asyncio.Redis` of your own, which
      is never closed.
    - `group`: members of one group divide the same Workers.
    - `user`: a name for the Cloudflare user ("default"). All programs of that user share one rate budget.
    - `lease`: seconds after a crash until the other members take over (15). Pauses of the event loop must be
      shorter.
    - `name`: a stable name of this member, such as that of a pod of a StatefulSet. The next process with the
      same name takes over at once.

    A lease only decides which member works; a *fence* decides which positions count. Each take-over raises
    the fence of a Worker, and a position that is saved with a smaller fence is refused. So when two members
    both believe that they have a Worker, after a pause or a network failure, only one of them can commit.

    `async with` raises ConfigurationError for an engine that can't be relied on, and leaves the group at its
    end. While the engine is out of reach, members go on for four fifths of a lease and then wait for it.
    """

    def __init__(
        self,
        engine: str | RedisClient | MemoryGroups,
        *,
        group: str,
        user: str = "default",
        lease: float = 15.0,
        name: str | None = None,
    ) -> None:
        checked_name("group", group)
        checked_name("user", user)
        self._lease = seconds("lease", lease, above_zero=True)
        self._label = group
        if isinstance(engine, MemoryGroups):
            self._group: Group = engine.group(group)
            self._budget = SharedBudget(engine.budgets, user=user)
        else:
            over = RedisEngine(engine)
            self._group = RedisGroup(over, group)
            self._budget = SharedBudget(over, user=user)
        self._member = Member(
            self._group, label=group, name="" if name is None else _checked_member(name), lease=self._lease
        )
        self._store = GroupStore(self._group, self._group.clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._was_opened = False

    def __repr__(self) -> str:
        return f"<Fleet {self._label!r}: {len(self.owned)} owned, {len(self.members)} members>"

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the members that were alive at the last heartbeat, this one included."""
        return self._member.members

    @property
    def budget(self) -> SharedBudget:
        """The rate budget of all processes of the `user`: `BuildsClient(budget=fleet.budget)`."""
        return self._budget

    @property
    def owned(self) -> tuple[str, ...]:
        """The keys that this member owns now, sorted: a tag (tail), `watch:<tag>` or `queue:<id>`."""
        return tuple(sorted(self._member.held))

    @property
    def store(self) -> PositionStore:
        """The store in the engine. It keeps the positions if the caller passes no `store`."""
        return self._store

    def share(self, keys: Iterable[str], on_change: Callable[[], None]) -> Share:
        """Take part in following these Workers; `client.tail(tags, fleet=fleet)` calls this.

        Raises RuntimeError before `async with`, and ValueError if this member follows one of them already.
        After `leave`, the share stays empty.
        """
        if not self._was_opened:
            raise RuntimeError("the fleet is not open: use it as `async with Fleet(...) as fleet:`")
        return self._member.share(keys, on_change)

    async def __aenter__(self) -> Self:
        if self._was_opened:
            raise RuntimeError("a fleet is opened once; make another one")
        self._was_opened = True
        try:
            await self._open_group()
            await self._budget.__aenter__()
        except BaseException:
            await self._group.aclose()  # no `aclose` follows: Python calls no `__aexit__`
            raise
        self._tasks = [
            asyncio.create_task(self._member.run()),
            asyncio.create_task(self._group.listen(self._member.wake)),
        ]
        return self

    async def _open_group(self) -> None:
        try:
            is_persistent = await self._group.open()
        except EngineError as error:
            logger.warning("%s; the fleet waits for it", str(error))
        else:
            if is_persistent is False:
                logger.warning(
                    "the engine of the fleet loses its data when it restarts: switch on its persistence"
                    " (appendonly yes), or keep positions in a store of your own"
                )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def leave(self) -> None:
        """Hand over all Workers and leave the group: for SIGTERM.

        Each loop over this fleet saves its last batch, gets no other one, and ends. `leave` waits for these
        loops, for at most one lease, so don't call it from the task that runs one of them. Calling it again
        does nothing.
        """
        self._member.start_leaving()
        if self._tasks and not self._member.handed_over.is_set():
            until = asyncio.create_task(self._group.clock.sleep(self._lease))
            handed_over = asyncio.create_task(self._member.handed_over.wait())
            try:
                await asyncio.wait({until, handed_over}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                until.cancel()
                handed_over.cancel()
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the group at once. An unfinished batch is delivered again, to another member."""
        self._member.start_leaving()
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        try:
            await _end(tasks)
            self._store.end()
            await self._member.end()
        finally:
            try:
                await self._budget.aclose()
            finally:
                await self._group.aclose()


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: redis-py may swallow a cancellation while it connects."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.05)


def _checked_member(name: str) -> str:
    if "#" in checked_name("name", name):
        raise ValueError(f"name must not contain #, not {name!r}")
    return name
