"""Keeps positions in the engine, next to the fences, so that one script checks and saves them."""

from collections.abc import Callable, Coroutine
from typing import TypeVar

from builds_async.fleet.engine import EngineError, RedisClient
from builds_async.fleet.group import Group
from builds_async.fleet.redis import RedisEngine
from builds_async.fleet.redis_group import RedisGroup
from builds_async.live.patience import Patience
from builds_async.live.stores import Saved
from builds_async.session.clock import Clock

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds for which a store repeats a call that gets no response."""

_CHECK_EVERY = 0.5  # seconds between two checks whether the member has left


class GroupStore:
    """Keeps positions in a group's engine. A call without a response is repeated until there is one."""

    def __init__(self, group: Group, clock: Clock) -> None:
        self._group = group
        self._clock = clock
        self._patience = Patience(clock, PATIENCE, verb="positions")
        self._has_ended = False

    def end(self) -> None:
        """Stop repeating calls: the member has left."""
        self._has_ended = True

    async def open(self, worker: str, fence: int) -> Saved | None:
        """Return what is saved for a Worker; None if a later owner has it."""
        return await self._answered(lambda: self._group.load(worker, fence))

    async def save(self, worker: str, fence: int, seq: int, position: str, *args: "str | bytes") -> bool:
        """Save a position, and append `args[1:]` to the list named `args[0]`, both or neither.

        So after `await batch.commit("lines", *lines)` each line is in the engine's list `lines` exactly once.
        """
        return await self._answered(lambda: self._group.save(worker, fence, seq, position, args))

    async def _answered(self, call: Callable[[], Coroutine[object, object, T]]) -> T:
        while True:
            if self._has_ended:
                raise EngineError("positions are not saved any more: this process has left the fleet")
            try:
                result = await call()
            except EngineError as error:
                if not self._patience.outlasts(error):
                    raise
                while (pause := self._patience.due - self._clock.now()) > 0 and not self._has_ended:
                    await self._clock.sleep(min(pause, _CHECK_EVERY))
            else:
                self._patience.succeeded()
                return result


class RedisStore(GroupStore):
    """Keeps the positions of a tail in a Redis or Valkey, under the name of a `group`.

    With it, a bot without a fleet can continue on another machine:
    `client.tail(tags, store=RedisStore("redis://cache/0", group="bot"))`. A `Fleet` has such a store already.
    `engine` is the same as for `Fleet`.

    A call without a response is repeated for five minutes, and then raises EngineError. Switch on the
    engine's persistence: if it loses the positions, running builds come again from their first line.
    """

    def __init__(self, engine: str | RedisClient, *, group: str) -> None:
        self._over = RedisEngine(engine)
        super().__init__(RedisGroup(self._over, group), self._over.clock)

    def __repr__(self) -> str:
        return f"RedisStore({self._over.name!r})"

    async def open(self, worker: str, fence: int) -> Saved | None:
        """Return what is saved for a Worker; None if a later owner has it."""
        await self._answered(self._over.open)
        return await super().open(worker, fence)

    async def aclose(self) -> None:
        """Close the connection, unless it is borrowed."""
        await self._over.aclose()
