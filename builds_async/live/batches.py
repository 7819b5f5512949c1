"""The lines of many Workers in batches of one Worker each, with the position of each Worker in a store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TypeAlias

import msgspec

from builds_async.errors import BuildsError, ConfigurationError, LeaseLostError
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.closing import ClosedAtExit
from builds_async.live.keeper import Batch, Keeper
from builds_async.live.ownership import Alone, Ownership, Share
from builds_async.live.roster import Roster
from builds_async.live.stores import PositionStore
from builds_async.live.tail import BuildTail
from builds_async.models.changes import WorkerMark
from builds_async.models.tail import TailEnd, TailItem, TailLine, TailLog, TailPosition
from builds_async.session.clock import Clock
from builds_async.session.ids import checked_tags, normalized_id
from builds_async.session.numbers import whole
from builds_async.session.observe import Observer

_Batch: TypeAlias = Batch[TailItem, TailPosition]
_MakeTail: TypeAlias = Callable[[Iterable[str], TailPosition | None], BuildTail]


class TailBatch:
    """Some lines and ends of the builds of one Worker, to be processed as a whole.

    The position after it is saved when the next batch is requested, or by `commit`.
    """

    def __init__(self, batch: _Batch, keeper: Keeper[TailItem, TailPosition]) -> None:
        first = batch.items[0]
        self._batch = batch
        self._keeper = keeper

        self.external_script_id: str = first.external_script_id
        """The tag of the Worker, as the caller passed it."""

        self.lines: tuple[TailLine, ...] = tuple(it for it in batch.items if isinstance(it, TailLine))
        """The lines, in order, each with its build and its number. Empty if the batch has only ends."""

        self.ends: tuple[TailEnd, ...] = tuple(it for it in batch.items if isinstance(it, TailEnd))
        """The builds that have ended, after their last lines."""

        self.fence: int = batch.owner.fence
        """A number that is higher for each later owner of this Worker; 0 without a fleet."""

    def __repr__(self) -> str:
        return f"<TailBatch of {self.external_script_id}: {len(self.lines)} lines, {len(self.ends)} ends>"

    async def commit(self, *args: Any) -> None:  # noqa: ANN401  # for the store
        """Save the position after this batch now. Does nothing if it is saved already.

        `args` are passed to the store's `save`, for example the connection whose transaction also writes the
        lines. With the lines and the position in one transaction, no line is lost and none comes twice.

        LeaseLostError if another process has taken over the Worker, or if the store's position is not the one
        at which this batch began. Roll back the transaction, drop the batch, and go on with the loop. An
        error of the store is raised unchanged, and the batch comes again.

        Once `commit` was called, or with a store that has `only_commit`, requesting the next batch saves
        nothing: a batch without a commit comes again.
        """
        if not await self._keeper.commit(self._batch, args):
            raise LeaseLostError(
                f"the batch of Worker {self.external_script_id} can't be committed: another process has taken"
                " over the Worker or saved its position; drop the batch and go on with the loop"
            )

    def rows(self) -> list[tuple[str, int, datetime, str]]:
        """The lines as rows of a table: build UUID, number, time and message.

        Build UUID and number identify a line. A NUL character, which databases refuse, is replaced.
        """
        return [
            (
                it.build.build_uuid,
                it.number,
                it.line.time,
                it.line.message.replace("\0", "\N{REPLACEMENT CHARACTER}"),
            )
            for it in self.lines
        ]


class TailBatches(ClosedAtExit):
    """The lines and ends of all builds of many Workers, as an endless async iterator of `TailBatch`.

    Lines and ends come as from `BuildTail`: every line once and in order, then the end of its build. Each
    batch has lines of one Worker, at most `max_lines`. The position of each Worker is kept in a store.

    **Deliver, then save.** The position after a batch is saved when the next batch is requested, never
    before. If the process is killed, its last batch comes again, and no line is lost. After a `break` or an
    exception in the loop, the batch comes again with the next loop. There are three ways to handle that:

    1. Do nothing: after a crash or a take-over, a batch may come twice.
    2. Use `(build.build_uuid, number)` as a key where you store the lines: a repeated line changes nothing.
    3. Call `batch.commit` in the transaction that writes the lines: nothing is lost, and nothing comes twice.

    With a fleet, the Workers are divided among its members, and move between members that join and leave. The
    batches of a Worker come to one member at a time. If two members believe that they have the Worker, only
    one can commit. A Worker is handed over between two batches, so request the next one without a long delay.

    `async with`, `aclose()` and closing the client save the positions of processed batches, and hand over the
    Workers. After `await fleet.leave()` the loop ends by itself.
    """

    def __init__(
        self,
        external_script_ids: Iterable[str],
        make_tail: _MakeTail,
        *,
        store: PositionStore | None,
        fleet: Ownership | None,
        clock: Clock,
        max_lines: int,
        account: AccountWorkers | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._spelled: dict[str, str] = {}
        for tag in checked_tags(external_script_ids):
            self._spelled.setdefault(normalized_id(tag), tag)
        if fleet is None:
            if store is None:
                raise ValueError("pass a store, a fleet, or both")
            self._share: Share = Alone(self._spelled, self._wake)
        else:
            store = fleet.store if store is None else store
            self._share = fleet.share(self._spelled, self._wake)
        self._feed = _TailFeed(make_tail, self._spelled)
        self._keeper = Keeper(
            self._feed,
            store,
            self._share,
            clock=clock,
            most=whole("max_lines", max_lines, at_least=1),
            roster=None if account is None else Roster(account, self._join),
            observer=observer,
        )

    @property
    def failures(self) -> Mapping[str, BuildsError]:
        """The error of each Worker or log whose last request failed, by tag or build UUID."""
        return self._feed.failures

    @property
    def external_script_ids(self) -> tuple[str, ...]:
        """The tags of the Workers that are followed here: all, or with a fleet those of this member."""
        return tuple(self._spelled.get(key, key) for key in self._keeper.keys)

    async def add(self, external_script_id: str) -> None:
        """Add a Worker. Does nothing if it was added before. ValueError for anything but a tag."""
        (checked,) = checked_tags([external_script_id])
        await self._join(checked)

    async def remove(self, external_script_id: str) -> None:
        """Remove a Worker. Its position stays in the store. Does nothing if it was not added."""
        (checked,) = checked_tags([external_script_id])
        key = normalized_id(checked)
        if self._spelled.pop(key, None) is not None:
            await self._share.remove(key)

    def __aiter__(self) -> Self:
        """Begin a loop. The batch that an interrupted loop left unsaved comes again."""
        self._keeper.begin()
        return self

    async def __anext__(self) -> TailBatch:
        """Save the position after the last batch, and return the next one. Waits until there is one.

        Canceling it is safe.
        """
        batch = await self._keeper.next()
        if batch is None:
            raise StopAsyncIteration
        return TailBatch(batch, self._keeper)

    async def aclose(self) -> None:
        """Save the positions of processed batches, hand over the Workers, and end the requests."""
        await self._keeper.aclose()

    async def _join(self, tag: str) -> None:
        key = normalized_id(tag)
        if key not in self._spelled:
            self._spelled[key] = tag
            await self._share.add(key)

    def _wake(self) -> None:
        self._keeper.wake()


class _TailFeed:
    """A `BuildTail` whose Workers come and go."""

    def __init__(self, make: _MakeTail, spelled: Mapping[str, str]) -> None:
        self._make = make
        self._spelled = spelled
        self._tail: BuildTail | None = None

    @property
    def failures(self) -> Mapping[str, BuildsError]:
        """The error of each last request that failed."""
        return {} if self._tail is None else self._tail.failures

    async def read(self, most: int) -> Sequence[TailItem]:
        """The next lines and ends."""
        return () if self._tail is None else await self._tail.read(most=most)

    def key_of(self, item: TailItem) -> str:
        """The tag of an item's Worker in lowercase."""
        return normalized_id(item.external_script_id)

    def tag_of(self, key: str) -> str:
        """The tag: it is the key."""
        return key

    def position_of(self, key: str) -> TailPosition:
        """The position of one Worker."""
        return TailPosition() if self._tail is None else self._tail.position_of(key)

    def positions(self) -> Mapping[str, TailPosition]:
        """The positions of all Workers that were looked up, or continue from a position."""
        if self._tail is None:
            return {}
        whole = self._tail.position
        logs: dict[str, dict[str, TailLog]] = {}
        for uuid, log in whole.logs.items():
            logs.setdefault(log.external_script_id, {})[uuid] = log
        return {
            tag: TailPosition({tag: whole.workers[tag]} if tag in whole.workers else {}, logs.get(tag, {}))
            for tag in (*whole.workers, *(tag for tag in logs if tag not in whole.workers))
        }

    def before_first(self, key: str) -> TailPosition:
        """The position of a Worker before its first build."""
        return TailPosition({key: None})

    async def follow(self, starts: Mapping[str, TailPosition | None]) -> None:
        """Follow more Workers."""
        if self._tail is not None:
            for key, start in starts.items():
                await self._tail.add(self._spelled.get(key, key), start=start)
            return
        # All positions together: the dates in one of them help to tell which builds of others are new.
        marks: dict[str, WorkerMark | None] = {}
        logs: dict[str, TailLog] = {}
        for start in starts.values():
            if start is not None:
                marks |= start.workers
                logs |= start.logs
        position = TailPosition(marks, logs) if marks or logs else None
        self._tail = self._make([self._spelled.get(key, key) for key in starts], position)

    async def drop(self, key: str) -> None:
        """Follow a Worker no longer."""
        if self._tail is not None:
            await self._tail.remove(key)

    def encode(self, position: TailPosition) -> str:
        """The position as JSON."""
        return msgspec.json.encode(position).decode()

    def decode(self, text: str) -> TailPosition:
        """The position from JSON."""
        try:
            return msgspec.json.decode(text, type=TailPosition)
        except (msgspec.DecodeError, UnicodeError):
            raise ConfigurationError("the position in the store is not that of a tail") from None

    async def aclose(self) -> None:
        """End all requests."""
        if self._tail is not None:
            await self._tail.aclose()
