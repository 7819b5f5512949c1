"""A group in a Redis or Valkey: one script for each method."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from builds_async.fleet.group import Beat, Dead, Standing, UnknownWorkers
from builds_async.fleet.keys import checked_name, key
from builds_async.fleet.redis import RedisEngine, as_text
from builds_async.fleet.scripts import script
from builds_async.live.stores import Saved
from builds_async.session.clock import Clock

_STATUS_DEAD, _STATUS_SUPERSEDED, _STATUS_UNKNOWN = 0, -1, 2


class RedisGroup:
    """A `Group` in a Redis or Valkey. `now` replaces the engine's time, in microseconds, for tests."""

    def __init__(self, engine: RedisEngine, name: str, *, now: Callable[[], int] | None = None) -> None:
        self._engine = engine
        self._name = checked_name("group", name)
        self._now = now
        parts = ("members", "wants", "workers", "held", "free", "fence", "news")
        self._keys = {part: key("group", name, part) for part in parts}

        self.clock: Clock = engine.clock
        """Measures leases in this process."""

    def __repr__(self) -> str:
        return f"RedisGroup({self._engine.name!r}, {self._name!r})"

    async def open(self) -> bool | None:
        """Check the engine, and return whether its data survives a restart."""
        await self._engine.open()
        facts = await self._engine.facts()
        return None if facts is None else facts.persistent

    async def beat(self, beat: Beat) -> Standing | Dead | UnknownWorkers:
        """Renew the lease, learn what has changed, and take free Workers."""
        known = key("group", self._name, f"known:{beat.digest}")
        joins = beat.workers is not None
        head: tuple[str | int, ...] = (
            *(beat.member, beat.name, round(beat.lease * 1000), beat.digest, beat.most, int(joins)),
            *(-1 if beat.follows is None else len(beat.follows), beat.version, self._time()),
        )
        args = (*head, *_flat(beat.follows or {}), *(beat.workers or ()))
        status, *reply = await self._engine.run(script("beat"), [*self._keys.values(), known], args)
        if status in {_STATUS_DEAD, _STATUS_SUPERSEDED}:
            return Dead(superseded=status == _STATUS_SUPERSEDED)
        return UnknownWorkers() if status == _STATUS_UNKNOWN else _standing(reply)

    async def load(self, worker: str, fence: int) -> Saved | None:
        """Return what is saved for a Worker, and refuse smaller fences from now on."""
        reply = await self._engine.run(script("load"), [self._keys["workers"]], [worker, fence])
        if reply is None:
            return None
        seq, position = reply
        return Saved(seq, as_text(position) or None)

    async def save(
        self, worker: str, fence: int, seq: int, position: str, append: Sequence[str | bytes] = ()
    ) -> bool:
        """Save a position, and append to a list."""
        keys = [self._keys["workers"], *(as_text(it) for it in append[:1])]
        args = [worker, fence, seq, position, *append[1:]]
        return bool(await self._engine.run(script("commit"), keys, args) > 0)

    async def release(self, member: str, workers: Mapping[str, int]) -> None:
        """Give up Workers."""
        await self._release(member, 0, *_flat(workers))

    async def leave(self, member: str) -> None:
        """Give up all Workers, and leave the group."""
        await self._release(member, 1)

    async def _release(self, member: str, leaves: int, *workers: str | int) -> None:
        parts = ("members", "wants", "workers", "held", "free", "news")
        args = [member, leaves, self._time(), *workers]
        await self._engine.run(script("release"), [self._keys[part] for part in parts], args)

    async def listen(self, heard: Callable[[], object]) -> None:
        """Call `heard` whenever members or free Workers have changed."""
        await self._engine.listen(self._keys["news"], lambda _: heard())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._engine.aclose()

    def _time(self) -> str | int:
        return "" if self._now is None else self._now()


def _flat(fences: Mapping[str, int]) -> Iterator[str | int]:
    for worker, fence in fences.items():
        yield from (worker, fence)


def _standing(reply: Sequence[Any]) -> Standing:
    excess, lapse, version, members, taken, gone = reply
    pairs = [as_text(it) for it in taken]
    return Standing(
        members=tuple(map(as_text, members)),
        excess=excess,
        lapse=lapse / 1000,
        version=int(version),
        taken={worker: int(fence) for worker, fence in zip(pairs[::2], pairs[1::2], strict=True)},
        gone=frozenset(map(as_text, gone)),
    )
