"""Delivers batches and then saves their positions, for a `tail` or `watch` with a store."""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, Literal, Protocol, TypeVar

from builds_async.errors import BuildsError
from builds_async.live.background import Tasks, together
from builds_async.live.ownership import Share
from builds_async.live.roster import Roster
from builds_async.live.single_reader import SingleReader
from builds_async.live.stores import PositionStore
from builds_async.session.clock import Clock
from builds_async.session.observe import LeaseLost, LeaseTaken, Observer

Item = TypeVar("Item")
Pos = TypeVar("Pos")

SAVE_EVERY = 1.0
"""Seconds after which a position that moved without an item is saved."""

_AT_ONCE = 20
"""How many positions are loaded or saved at the same time."""

_READ, _LIST = "read", "list"

logger: logging.Logger = logging.getLogger("builds_async")


class Feed(Protocol[Item, Pos]):
    """A source of items of many Workers, with a position for each Worker."""

    async def read(self, most: int) -> Sequence[Item]:
        """The next items, at least one. Waits while there is none."""
        ...

    def key_of(self, item: Item) -> str:
        """The key of the Worker that an item belongs to."""
        ...

    def tag_of(self, key: str) -> str:
        """The tag of the Worker with this key."""
        ...

    def position_of(self, key: str) -> Pos:
        """The position of one Worker after its last item."""
        ...

    def positions(self) -> Mapping[str, Pos]:
        """The positions of all Workers that have one."""
        ...

    def before_first(self, key: str) -> Pos:
        """The position of a Worker before its first build: all of its builds are new."""
        ...

    async def follow(self, starts: Mapping[str, Pos | None]) -> None:
        """Follow more Workers, each from its position."""
        ...

    async def drop(self, key: str) -> None:
        """Follow a Worker no longer."""
        ...

    def encode(self, position: Pos) -> str:
        """A position as text."""
        ...

    def decode(self, text: str) -> Pos:
        """A position from its text; ConfigurationError if it is not one."""
        ...

    async def aclose(self) -> None:
        """End all requests."""
        ...


class Followed(Generic[Pos]):
    """A Worker that is followed: its fence, and the position that the store has."""

    def __init__(self, key: str, fence: int, seq: int, saved: Pos | None) -> None:
        self.key = key
        """The Worker."""

        self.fence = fence
        """The fence with which it was opened."""

        self.seq = seq
        """The number of the position that is saved."""

        self.saved: Pos | None = saved
        """The position that is saved."""

        self.doubt: Pos | None = None
        """A position that may or may not be saved, because there was no response; else None."""


class Batch(Generic[Item, Pos]):
    """Items of one Worker, and its position after them."""

    def __init__(self, owner: Followed[Pos], items: tuple[Item, ...], position: Pos) -> None:
        self.owner: Followed[Pos] = owner
        """The Worker as it was followed when the items were read."""

        self.items = items
        """The items, in order."""

        self.position: Pos = position
        """The position of the Worker after the items."""

        self.state: Literal["open", "saved", "lost"] = "open"
        """Whether the position was saved, or can't be, because another process follows the Worker."""


class Keeper(Generic[Item, Pos]):
    """Delivers items in batches, and saves the position after a batch once its reader has processed it.

    A batch counts as processed when the next one is requested. With a store that has `only_commit`, or once
    `commit` was called for any batch, only `commit` counts: a batch without it comes again.

    A save without a response may or may not have happened. So before anything else is saved or delivered, the
    store is asked for its position.
    """

    def __init__(
        self,
        feed: Feed[Item, Pos],
        store: PositionStore,
        share: Share,
        *,
        clock: Clock,
        most: int,
        roster: Roster | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._roster = roster
        self._observer = observer
        self._feed: Feed[Item, Pos] = feed
        self._store = store
        self._share = share
        self._clock = clock
        self._most = most
        self._version = 0  # of the share, as it was last acted upon
        self._followed: dict[str, Followed[Pos]] = {}
        self._ready: deque[Batch[Item, Pos]] = deque()
        self._current: Batch[Item, Pos] | None = None  # delivered last, and not settled
        self._only_commit: bool = getattr(store, "only_commit", False)
        self._save_due = clock.now()
        self._tasks = Tasks(clock)
        self._single = SingleReader("this")
        self._closed = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The Workers that are followed."""
        return tuple(self._followed)

    def wake(self) -> None:
        """Wake a waiting reader, because the share has changed."""
        self._tasks.wake()

    def begin(self) -> None:
        """Begin a loop. A batch that an interrupted loop left unsaved comes again."""
        if self._current is not None and not self._single.is_reading:
            self._take_back(self._current)

    async def next(self) -> Batch[Item, Pos] | None:
        """Save the position after the last batch, and return the next one; None at the end."""
        with self._single:
            try:
                return await self._next()
            except BuildsError as error:
                if not self._has_left(error):
                    raise
                return None

    async def _next(self) -> Batch[Item, Pos] | None:
        await self._settle()
        while not self._closed:
            await self._reconcile()
            if (batch := self._next_ready()) is not None:
                self._current = batch
                return batch
            if self._is_over:
                return None
            if self._clock.now() >= self._save_due:
                await self._save_moved(tuple(self._followed))
                self._save_due = self._clock.now() + SAVE_EVERY
            await self._wait()
        return None

    async def commit(self, batch: Batch[Item, Pos], args: tuple[Any, ...]) -> bool:
        """Save the position after a batch; False if it is refused. Does nothing if it is saved already."""
        self._only_commit = True
        if batch.state == "open" and self._followed.get(batch.owner.key) is batch.owner:
            try:
                await self._save_batch(batch, args)
            except BuildsError as error:
                if not self._has_left(error):
                    raise
                batch.state = "lost"
        return batch.state == "saved"

    def _has_left(self, error: BuildsError) -> bool:
        """Whether the share has ended. The error then only means that other members go on; it is logged."""
        if self._share.ended:
            logger.warning("%s; this process has left the fleet, and others go on", str(error))
        return self._share.ended

    async def aclose(self) -> None:
        """Save the positions that have moved, give up all Workers, and end the requests."""
        self._closed = True
        await self._tasks.aclose()
        try:
            held = {batch.owner.key for batch in (self._current, *self._ready) if batch is not None}
            free = [key for key in self._followed if key not in held and self._share.is_sure(key)]
            await self._save_moved(free)
        except BuildsError as error:
            logger.warning("%s; the last position was not saved", str(error))
        finally:
            await self._feed.aclose()
            await self._share.aclose()

    # Delivered batches.

    async def _settle(self) -> None:
        """Save the position after the delivered batch, or take the batch back."""
        batch = self._current
        if batch is None:
            return
        if batch.state == "open":
            if batch.owner.doubt is not None and not await self._clear_up(batch.owner):
                batch.state = "lost"
            elif batch.owner.saved is batch.position:
                batch.state = "saved"
            elif self._only_commit:
                self._take_back(batch)
            else:
                await self._save_batch(batch, ())
        self._current = None

    def _take_back(self, batch: Batch[Item, Pos]) -> None:
        self._current = None
        if batch.state == "open":
            self._ready.appendleft(batch)

    async def _save_batch(self, batch: Batch[Item, Pos], args: tuple[Any, ...]) -> None:
        is_saved = await self._save(batch.owner, batch.position, args)
        batch.state = "saved" if is_saved else "lost"

    async def _save(self, owner: Followed[Pos], position: Pos, args: tuple[Any, ...] = ()) -> bool:
        if owner.doubt is not None and not await self._clear_up(owner):
            return False
        if owner.saved is position:  # the save without a response had happened
            return True
        owner.doubt = position
        text = self._feed.encode(position)
        is_saved = await self._store.save(owner.key, owner.fence, owner.seq + 1, text, *args)
        owner.doubt = None
        if not is_saved:
            await self._refused(owner)
            return False
        owner.seq += 1
        owner.saved = position
        return True

    async def _clear_up(self, owner: Followed[Pos]) -> bool:
        """Find out whether a save without a response has happened.

        Returns False if another process follows the Worker.
        """
        saved = await self._store.open(owner.key, owner.fence)
        if saved is None or not 0 <= saved.seq - owner.seq <= 1:
            await self._refused(owner)
            return False
        if saved.seq != owner.seq:
            owner.seq, owner.saved = saved.seq, owner.doubt
        owner.doubt = None
        return True

    async def _refused(self, owner: Followed[Pos]) -> None:
        """Stop following a Worker whose position was refused, and open it again if it is still ours."""
        logger.info(
            "the position of %s was refused: another owner has saved one, or the sink rolled it back",
            owner.key,
        )
        await self._lose(owner)
        self._version = 0  # so that `_reconcile` looks at the share again

    # The Workers that are followed.

    @property
    def _is_over(self) -> bool:
        is_empty = self._share.is_empty and self._roster is None
        return not self._followed and (self._share.ended or is_empty)

    async def _reconcile(self) -> None:
        """Follow exactly the Workers that the share holds."""
        while self._version != (version := self._share.version):
            held = dict(self._share.held())
            for owner in tuple(self._followed.values()):
                if held.get(owner.key) != owner.fence:
                    await self._lose(owner)
            await self._open({key: fence for key, fence in held.items() if key not in self._followed})
            if leaving := [key for key in self._share.leaving() if key in self._followed]:
                await self._save_moved(leaving)
                for key in leaving:
                    await self._forget(key)
                await self._share.give_up(leaving)
            self._version = version

    async def _open(self, fences: Mapping[str, int]) -> None:
        opened = dict[str, Followed[Pos]]()
        refused = list[str]()

        async def open_one(key: str, fence: int) -> None:
            saved = await self._store.open(key, fence)
            if saved is None:
                refused.append(key)
            else:
                start = None if saved.position is None else self._feed.decode(saved.position)
                opened[key] = Followed(key, fence, saved.seq, start)

        await _in_turns(fences, lambda key: open_one(key, fences[key]))
        if refused:
            logger.warning(
                "the store knows of later owners of %d Workers, the first: %s", len(refused), refused[0]
            )
            await self._share.give_up(refused)
        if opened:
            await self._feed.follow({key: self._start_of(owner) for key, owner in opened.items()})
            self._followed |= opened
            if self._observer is not None:
                for owner in opened.values():
                    if owner.fence:
                        self._observer(
                            LeaseTaken(external_script_id=self._feed.tag_of(owner.key), fence=owner.fence)
                        )

    def _start_of(self, owner: Followed[Pos]) -> Pos | None:
        """The saved position; without one, that before the first build if the Worker was created lately."""
        is_created = self._roster is not None and self._feed.tag_of(owner.key) in self._roster.created
        return self._feed.before_first(owner.key) if is_created and owner.saved is None else owner.saved

    async def _lose(self, owner: Followed[Pos]) -> None:
        await self._forget(owner.key)
        if self._observer is not None and owner.fence and self._share.wants(owner.key):
            self._observer(LeaseLost(external_script_id=self._feed.tag_of(owner.key), fence=owner.fence))

    async def _forget(self, key: str) -> None:
        if self._followed.pop(key, None) is not None:
            await self._feed.drop(key)
        self._ready = deque(batch for batch in self._ready if batch.owner.key != key)

    # New batches.

    def _next_ready(self) -> Batch[Item, Pos] | None:
        """The next batch of a Worker that no other process can follow now."""
        for _ in range(len(self._ready)):
            batch = self._ready.popleft()
            if self._share.is_sure(batch.owner.key):
                return batch
            self._ready.append(batch)
        return None

    async def _save_moved(self, keys: Collection[str]) -> None:
        """Save the positions that moved without an item: after a first lookup, or for a queued build."""
        busy = {batch.owner.key for batch in self._ready}
        positions = self._feed.positions()
        moved = {
            owner.key: position
            for key in keys
            if key not in busy
            and (owner := self._followed[key]).saved != (position := positions.get(key))
            and position is not None
        }

        async def save_one(key: str) -> None:
            if (owner := self._followed.get(key)) is not None:
                await self._save(owner, moved[key])

        await _in_turns(moved, save_one)

    async def _wait(self) -> None:
        """Wait for items, for a change of the share, or until it is time to save."""
        if self._version != self._share.version:
            return
        names = self._tasks.names
        if self._followed and not self._ready and _READ not in names:
            self._tasks.start(_READ, self._read())
        if self._roster is not None and self._roster.due <= self._clock.now() and _LIST not in names:
            self._tasks.start(_LIST, self._roster.refresh())
        await self._tasks.wait_until(self._save_due)

    async def _read(self) -> None:
        items = await self._feed.read(self._most)
        by_key = dict[str, list[Item]]()
        for item in items:
            by_key.setdefault(self._feed.key_of(item), []).append(item)
        # Without an `await` in between: the positions must be read before anything else is delivered.
        for key, its in by_key.items():
            if (owner := self._followed.get(key)) is not None:
                self._ready.append(Batch(owner, tuple(its), self._feed.position_of(key)))


async def _in_turns(keys: Iterable[str], work: Callable[[str], Any]) -> None:
    """Run `work` for each key, at most `_AT_ONCE` at the same time."""
    waiting = iter(tuple(keys))
    while some := tuple(islice(waiting, _AT_ONCE)):
        await together(*map(work, some))
