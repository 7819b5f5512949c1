"""A watch whose Workers are divided among the members of a fleet."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

import msgspec

from builds_async.errors import BuildsError, ConfigurationError
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.closing import ClosedAtExit
from builds_async.live.keeper import Keeper
from builds_async.live.ownership import Ownership
from builds_async.live.roster import Roster
from builds_async.live.watch import BuildWatcher
from builds_async.models.changes import BuildChange, WatchPosition
from builds_async.session.clock import Clock
from builds_async.session.ids import checked_tags, normalized_id
from builds_async.session.observe import Observer

PREFIX = "watch:"
"""The prefix of a watch's keys, because a tail of the same fleet may have the same Workers."""


class SharedWatcher(ClosedAtExit):
    """The changes of the builds of many Workers, as an async iterator: each comes to one member of a fleet.

    Changes come as from `BuildWatcher`. Each Worker is watched by one member, and its position is kept in the
    fleet's engine. The position after a change is saved when the next change is requested. So no change is
    missed, but one comes again if the process is killed while it processes the change.

    After a `break` the change comes again with the next loop. `async with`, `aclose()` and closing the client
    hand over the Workers. After `await fleet.leave()` the loop ends by itself.
    """

    def __init__(
        self,
        external_script_ids: Iterable[str],
        watcher: BuildWatcher,
        *,
        fleet: Ownership,
        clock: Clock,
        account: AccountWorkers | None = None,
        observer: Observer | None = None,
    ) -> None:
        keys = [PREFIX + normalized_id(tag) for tag in checked_tags(external_script_ids)]
        self._watcher = watcher
        self._share = fleet.share(keys, self._wake)
        self._keeper = Keeper(
            _WatchFeed(watcher),
            fleet.store,
            self._share,
            clock=clock,
            most=1,
            roster=None if account is None else Roster(account, self._join),
            observer=observer,
        )

    @property
    def failures(self) -> Mapping[str, BuildsError]:
        """The error of each Worker whose last lookup failed, by tag."""
        return self._watcher.failures

    @property
    def external_script_ids(self) -> tuple[str, ...]:
        """The tags of the Workers that this member watches now."""
        return tuple(key.removeprefix(PREFIX) for key in self._keeper.keys)

    def __aiter__(self) -> Self:
        """Begin a loop. The change that an interrupted loop left unsaved comes again."""
        self._keeper.begin()
        return self

    async def __anext__(self) -> BuildChange:
        """Save the position after the last change, and return the next. Canceling it is safe."""
        batch = await self._keeper.next()
        if batch is None:
            raise StopAsyncIteration
        return batch.items[0]

    async def aclose(self) -> None:
        """Save the positions of processed changes, and hand over the Workers."""
        await self._keeper.aclose()

    async def _join(self, tag: str) -> None:
        await self._share.add(PREFIX + tag)

    def _wake(self) -> None:
        self._keeper.wake()


class _WatchFeed:
    """A `BuildWatcher` whose Workers come and go."""

    def __init__(self, watcher: BuildWatcher) -> None:
        self._watcher = watcher
        self._keys: set[str] = set()
        self._again: Callable[[], object] = bool  # begins a waiting pass again; at first, does nothing

    async def read(self, most: int) -> Sequence[BuildChange]:  # noqa: ARG002  # one at a time
        """The next change."""
        while True:
            step = asyncio.ensure_future(anext(self._watcher))
            self._again = step.cancel  # a waiting pass begins again when a Worker is added
            try:
                await asyncio.wait({step})
            finally:
                step.cancel()
            if not step.cancelled():
                try:
                    return (step.result(),)
                except StopAsyncIteration:  # the last Worker was removed
                    return ()

    def key_of(self, item: BuildChange) -> str:
        """The Worker of a change."""
        return PREFIX + normalized_id(item.external_script_id)

    def tag_of(self, key: str) -> str:
        """The tag in a key."""
        return key.removeprefix(PREFIX)

    def position_of(self, key: str) -> WatchPosition:
        """The position of one Worker."""
        return self._watcher.position_of(self.tag_of(key))

    def positions(self) -> Mapping[str, WatchPosition]:
        """The positions of the Workers that were looked up."""
        found = {key: self.position_of(key) for key in self._keys}
        return {key: position for key, position in found.items() if position.workers}

    def before_first(self, key: str) -> WatchPosition:
        """The position of a Worker before its first build."""
        return WatchPosition({self.tag_of(key): None})

    async def follow(self, starts: Mapping[str, WatchPosition | None]) -> None:
        """Watch more Workers."""
        for key, start in starts.items():
            self._keys.add(key)
            await self._watcher.add(self.tag_of(key), start=start)
        self._again()

    async def drop(self, key: str) -> None:
        """Watch a Worker no longer."""
        self._keys.discard(key)
        await self._watcher.remove(self.tag_of(key))

    def encode(self, position: WatchPosition) -> str:
        """The position as JSON."""
        return msgspec.json.encode(position).decode()

    def decode(self, text: str) -> WatchPosition:
        """The position from JSON."""
        try:
            return msgspec.json.decode(text, type=WatchPosition)
        except (msgspec.DecodeError, UnicodeError):
            raise ConfigurationError("the position in the store is not that of a watch") from None

    async def aclose(self) -> None:
        """Do nothing: between two changes nothing is open."""
