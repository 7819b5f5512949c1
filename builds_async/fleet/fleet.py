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

    Each Worker is followed by one member, at the position that all of them share. A member that joins gets
    its part within seconds; one that leaves, is killed or is cut off is replaced. More members never raise
    the rate of requests to the API, which has one limit for all.

    `engine` is the URL of a Redis 6.2 or a Valkey, or newer, or a `redis.asyncio.Redis` of your own, which is
    not closed. `group` is the name of the work: members of one group divide the same Workers. `user` stands
    for the Cloudflare user, whose requests all of their programs share. `lease` is how many seconds after a
    crash others take over (15); pauses of the event loop must be shorter. `name` is for members with a name
    that stays, such as the pods of a StatefulSet: the next process of that name takes over at once.

    A lease decides who works, never what counts: a Worker is taken over with a higher *fence*, and a position
    that is saved with a smaller one is refused. So two members that both believe to have a Worker, after a
    pause or behind a broken network, can't both commit.

    ConfigurationError from `async with` for an engine that can't be relied on. An engine that is out of reach
    is sat out: members go on for four fifths of a lease, then wait until it is back. `async with` leaves the
    group at its end.
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
        """The names of the members that were alive at the last beat, this one included."""
        return self._member.members

    @property
    def budget(self) -> SharedBudget:
        """The rate budget of all processes of the `user`: `BuildsClient(budget=fleet.budget)`."""
        return self._budget

    @property
    def owned(self) -> tuple[str, ...]:
        """What this member has now, sorted: the tags of Workers, and `queue:` and an id for a queue."""
        return tuple(sorted(self._member.held))

    @property
    def store(self) -> PositionStore:
        """Where positions are kept unless the caller has a store of its own: in the engine."""
        return self._store

    def share(self, keys: Iterable[str], on_change: Callable[[], None]) -> Share:
        """Take part in following these: what `client.tail(tags, fleet=fleet)` calls.

        RuntimeError before `async with`; ValueError if this member follows one of them already. Of a fleet
        that was left, nothing comes.
        """
        if not self._was_opened:
            raise RuntimeError("the fleet is not open: use it as `async with Fleet(...) as fleet:`")
        return self._member.share(keys, on_change)

    async def __aenter__(self) -> Self:
        if self._was_opened:
            raise RuntimeError("a fleet is opened once; make another one")
        self._was_opened = True
        try:
            is_persistent = await self._group.open()
        except EngineError as error:
            logger.warning("%s; the fleet waits for it", str(error))
        else:
            if is_persistent is False:
                logger.warning(
                    "the engine of the fleet keeps nothing over a restart: switch on its persistence"
                    " (appendonly yes), or keep positions in a store of your own"
                )
        await self._budget.__aenter__()
        self._tasks = [
            asyncio.create_task(self._member.run()),
            asyncio.create_task(self._group.listen(self._member.hear)),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def leave(self) -> None:
        """Hand over all Workers and leave the group: for SIGTERM.

        Each loop over this fleet gets no further batch: it saves the last one and ends. This waits for that,
        for at most one lease, so call it from another task than the one with the loop. Calling it again does
        nothing.
        """
        self._member.go()
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
        self._member.go()
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
        raise ValueError(f"name has no #, not {name!r}")
    return name
