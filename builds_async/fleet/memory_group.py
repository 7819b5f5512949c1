"""The engine's part of a group in memory: for tests on a virtual clock, and as the model of the scripts."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from builds_async.fleet.group import Beat, Dead, Standing, UnknownWorkers
from builds_async.fleet.memory import MemoryEngine
from builds_async.live.stores import Saved
from builds_async.session.clock import Clock

_UNWANTED = 240  # leases after which a free Worker that no member wants is forgotten
_KNOWN = 10  # leases for which the Workers of a digest are kept


@dataclass
class _Worker:
    fence: int = 0
    seq: int = 0
    holder: str = ""
    position: str = ""


@dataclass(frozen=True)
class _Wants:
    """The Workers that a member wants, and the version and number of those it had at its last heartbeat."""

    digest: str
    version: int = 0
    count: int = 0


@dataclass
class _State:
    """One group."""

    members: dict[str, int] = field(default_factory=dict)  # deadline in ms
    wants: dict[str, _Wants] = field(default_factory=dict)
    known: dict[str, tuple[int, set[str]]] = field(default_factory=dict)  # by digest: until when, Workers
    workers: dict[str, _Worker] = field(default_factory=dict)
    free: dict[str, int] = field(default_factory=dict)  # since when, in ms
    fence: int = 0

    def bury(self, member: str, now: int) -> None:
        """Forget a member that has left or died, and free its Workers."""
        for worker in self.held_by(member):
            self.release(worker, now)
        self.members.pop(member, None)
        self.wants.pop(member, None)

    def held_by(self, member: str) -> list[str]:
        return sorted(worker for worker, it in self.workers.items() if it.holder == member)

    def release(self, worker: str, now: int) -> None:
        self.workers[worker].holder = ""
        self.free[worker] = now

    def give(self, worker: str, member: str, us: int) -> int:
        it = self.workers.setdefault(worker, _Worker())
        it.fence = self.next_fence(us, it.fence)
        it.holder = member
        self.free.pop(worker, None)
        return it.fence

    def next_fence(self, us: int, known: int = 0) -> int:
        self.fence = max(us, max(self.fence, known) + 1)
        return self.fence


class MemoryGroups:
    """An engine in memory for the fleets of one process, such as a test on a `VirtualClock`. It never fails.

    Each method of its groups does the same as the script with that name.
    """

    def __init__(self, clock: Clock, *, now: Callable[[], int] | None = None) -> None:
        self.clock = clock
        """Measures leases, and is the engine's own clock."""

        self.now: Callable[[], int] = (lambda: round(clock.now() * 1e6)) if now is None else now
        """The engine's time in microseconds."""

        self.budgets: MemoryEngine = MemoryEngine(clock)
        """The engine of budgets."""

        self.lists: dict[str, list[str | bytes]] = {}
        """The lines that commits have appended, by the name of their list."""

        self._states: dict[str, _State] = {}
        self._listeners: dict[str, list[Callable[[], object]]] = {}

    def __repr__(self) -> str:
        return "MemoryGroups()"

    def group(self, name: str) -> "MemoryGroup":
        """The group with this name."""
        return MemoryGroup(self, name)

    def forget(self) -> None:
        """Lose all groups, as an engine that restarts without its data."""
        self._states.clear()

    def state(self, name: str) -> _State:
        """The state of a group."""
        return self._states.setdefault(name, _State())

    def listeners(self, name: str) -> list[Callable[[], object]]:
        """The functions to call when a group changes."""
        return self._listeners.setdefault(name, [])


class MemoryGroup:
    """A `Group` in memory."""

    def __init__(self, engine: MemoryGroups, name: str) -> None:
        self._engine = engine
        self._name = name

        self.clock: Clock = engine.clock
        """Measures leases."""

    async def open(self) -> bool | None:
        """True: it never restarts."""
        return True

    async def beat(self, beat: Beat) -> Standing | Dead | UnknownWorkers:
        """Renew the lease, learn what has changed, and take free Workers."""
        state, us = self._engine.state(self._name), self._engine.now()
        now, me = us // 1000, beat.member
        dead = [member for member, deadline in _in_order(state.members) if deadline <= now]
        for member in dead:
            state.bury(member, now)
        namesakes = [it for it in state.members if beat.name and it != me and it.startswith(f"{beat.name}#")]
        before = state.wants.get(me)
        if before is None and beat.workers is None:
            self._publish(dead)
            return Dead(superseded=bool(namesakes))
        if before is None:
            for member in namesakes:
                state.bury(member, now)
        lease = round(beat.lease * 1000)
        state.members[me] = now + lease
        until, known = state.known.get(beat.digest, (0, set[str]()))
        is_known = until > now
        if beat.workers is not None:
            known = (known if is_known else set()) | set(beat.workers)
            for worker in beat.workers:
                if not state.workers.get(worker, _Worker()).holder:
                    state.free.setdefault(worker, now)
        if is_known or beat.workers is not None:
            state.known[beat.digest] = now + _KNOWN * lease, known
        self._publish(dead, before is None)
        is_unchanged = before is not None and (before.digest, before.version) == (beat.digest, beat.version)
        if beat.digest not in state.known or not (is_unchanged or beat.follows is not None):
            return UnknownWorkers()
        return self._divide(state, beat, known, us)

    def _divide(self, state: _State, beat: Beat, known: set[str], us: int) -> Standing:
        now, me = us // 1000, beat.member
        before = state.wants.get(me, _Wants(beat.digest))
        lease = round(beat.lease * 1000)
        taken, gone = dict[str, int](), frozenset[str]()
        mine, version = before.count, before.version
        if beat.follows is not None:
            mine, gone = self._reconcile(state, beat, known, us, taken)
        state.wants[me] = _Wants(beat.digest, version, mine)
        alike = sum(it.digest == beat.digest for it in state.wants.values())
        fair = math.ceil(len(known) / alike)
        wanted = min(beat.most, fair - mine)
        for worker, since in _in_order(state.free) if wanted > 0 else ():
            if worker in known:
                if wanted > 0:
                    taken[worker] = state.give(worker, me, us)
                    wanted, mine = wanted - 1, mine + 1
            elif since < now - _UNWANTED * lease:
                del state.free[worker]
        if beat.follows is not None or taken:
            version = state.next_fence(us)
        state.wants[me] = _Wants(beat.digest, version, mine)
        members = _in_order(state.members)
        lapse = next((deadline - now for member, deadline in members if member != me), 0)
        return Standing(
            members=tuple(member for member, _ in members),
            excess=mine - fair,
            lapse=lapse / 1000,
            version=version,
            taken=taken,
            gone=gone,
        )

    def _reconcile(
        self, state: _State, beat: Beat, known: set[str], us: int, taken: dict[str, int]
    ) -> tuple[int, frozenset[str]]:
        """Assign once more the Workers that the member has but does not list.

        Returns the number of Workers that it has, and the Workers that it lists but does not have.
        """
        followed, mine = dict(beat.follows or {}), 0
        for worker in state.held_by(beat.member):
            if worker not in known:
                state.release(worker, us // 1000)
                continue
            mine += 1
            if followed.pop(worker, None) != state.workers[worker].fence:
                taken[worker] = state.give(worker, beat.member, us)
        return mine, frozenset(followed)

    async def load(self, worker: str, fence: int) -> Saved | None:
        """Return what is saved for a Worker, and refuse smaller fences from now on."""
        it = self._engine.state(self._name).workers.get(worker, _Worker())
        if fence < it.fence:
            return None
        if fence != it.fence:
            it.fence = fence
            self._engine.state(self._name).workers[worker] = it
        return Saved(it.seq, it.position or None)

    async def save(
        self, worker: str, fence: int, seq: int, position: str, append: Sequence[str | bytes] = ()
    ) -> bool:
        """Save a position, and append to a list."""
        workers = self._engine.state(self._name).workers
        it = workers.get(worker, _Worker())
        if fence < it.fence:
            return False
        if (fence, seq) == (it.fence, it.seq):
            return True
        if seq != it.seq + 1:
            return False
        it.fence, it.seq, it.position = fence, seq, position
        workers[worker] = it
        if append:
            self._engine.lists.setdefault(str(append[0]), []).extend(append[1:])
        return True

    async def release(self, member: str, workers: Mapping[str, int]) -> None:
        """Give up Workers."""
        state, now = self._engine.state(self._name), self._engine.now() // 1000
        freed = [
            worker
            for worker, fence in workers.items()
            if (it := state.workers.get(worker)) is not None and (it.holder, it.fence) == (member, fence)
        ]
        for worker in freed:
            state.release(worker, now)
        if freed and (wants := state.wants.get(member)) is not None:
            state.wants[member] = _Wants(wants.digest)
        self._publish(freed)

    async def leave(self, member: str) -> None:
        """Give up all Workers, and leave the group."""
        state = self._engine.state(self._name)
        freed = state.held_by(member)
        state.bury(member, self._engine.now() // 1000)
        self._publish(freed)

    async def listen(self, heard: Callable[[], object]) -> None:
        """Call `heard` whenever members or free Workers have changed."""
        listeners = self._engine.listeners(self._name)
        listeners.append(heard)
        try:
            await self.clock.sleep(math.inf)
        finally:
            listeners.remove(heard)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _publish(self, *changes: object) -> None:
        if any(changes):
            for heard in tuple(self._engine.listeners(self._name)):
                heard()


def _in_order(scores: Mapping[str, int]) -> list[tuple[str, int]]:
    """The members of a sorted set in the engine's order: by score, then by bytes."""
    return sorted(scores.items(), key=lambda it: (it[1], it[0].encode()))
