"""The budget's engine in memory: the model of `lease.lua`, with the time as an argument."""

import math
from collections import Counter
from collections.abc import Callable
from math import inf

from builds_async.fleet.engine import Claim, Grant
from builds_async.session.clock import Clock, SystemClock

_DEFAULT_WAIT = 250  # milliseconds until the next claim, where it is unknown when tokens become free
_SHORTEST_STEP = 50
_STEPS = 60


class LeaseModel:
    """The state of one user in an engine. All times are milliseconds.

    It gives the same grants as `lease.lua`; the comments there explain why.
    """

    def __init__(self) -> None:
        self.born: int | None = None
        # Requests that have ended, by the end of their bucket.
        self.charged: Counter[int] = Counter[int]()
        self.window: int = 0
        self.held: dict[str, int] = {}
        self.deadlines: dict[str, int] = {}
        self.totals: dict[str, int] = {}
        self.heard: dict[str, int] = {}
        self.polling: dict[str, int] = {}
        self.closed: int = 0
        # By the API's headers: how many requests are left, and until when that holds.
        self.left: int = 0
        self.left_until: int = 0
        self.probe: str = ""
        self.probe_until: int = 0

    @property
    def spent(self) -> int:
        """The requests in the window that have ended."""
        return self.charged.total()

    def lease(self, claim: Claim, now: int) -> tuple[Grant, int]:
        """The grant of a member, and for how long its claim closes the gate for all others, or 0."""
        me, is_known = claim.member, claim.member in self.totals
        if not is_known and claim.history is None and not claim.leaving:
            return Grant(known=False), 0
        self.born = now if self.born is None else self.born
        self.window = claim.window
        self._drop_old(now)
        self._charge_late(claim, now)
        answered = max(0, claim.total - self.totals[me]) if is_known else 0
        self._charge(claim, now, now, answered)
        if not is_known:
            for age, count in claim.history or ():
                self._charge(claim, now, now - age, count)
        self.left -= answered
        publish = self._close(claim, now)
        if claim.leaving:
            self._charge(claim, now, now + claim.timeout, claim.in_flight)
            for names in (self.held, self.deadlines, self.totals, self.heard, self.polling):
                names.pop(me, None)
        else:
            self.held[me] = claim.in_flight + claim.unused
            self.totals[me] = claim.total
            self.deadlines[me] = now + claim.session
            self.heard[me] = now
            self.polling[me] = claim.polling
        self._advance_probe(claim, now, answered)
        if claim.api_left >= 0 and (self.left_until <= now or claim.api_left < self.left):
            self.left, self.left_until = claim.api_left, now + claim.api_left_for
        return self._grant(claim, now), publish

    def _drop_old(self, now: int) -> None:
        for end in [end for end in self.charged if end + self.window <= now]:
            del self.charged[end]

    def _charge(self, claim: Claim, now: int, at: int, count: int) -> None:
        step = max(_SHORTEST_STEP, claim.window // _STEPS)
        bucket = math.ceil(at / step) * step
        if count > 0 and bucket + claim.window > now:
            self.charged[bucket] += count

    def _charge_late(self, claim: Claim, now: int) -> None:
        for late in [member for member, deadline in self.deadlines.items() if deadline <= now]:
            self._charge(claim, now, self.deadlines.pop(late) + claim.timeout, self.held.pop(late))
            self.polling.pop(late, None)
        step = max(_SHORTEST_STEP, claim.window // _STEPS)
        silent = now - claim.window - 2 * claim.session - claim.timeout - step
        for member in [member for member, heard in self.heard.items() if heard <= silent]:
            if member != claim.member:
                del self.heard[member], self.totals[member]

    def _close(self, claim: Claim, now: int) -> int:
        if claim.close <= 0:
            return 0
        self.probe, self.probe_until = "due", 0
        if now + claim.close <= self.closed:
            return 0
        self.closed = now + claim.close
        return claim.close

    def _advance_probe(self, claim: Claim, now: int, answered: int) -> None:
        if self.probe == claim.member:
            if claim.leaving or not claim.in_flight + claim.unused:
                self.probe = "" if answered > 0 else "due"
        elif self.probe not in {"", "due"} and self.probe_until <= now:
            self.probe = "due"

    def _grant(self, claim: Claim, now: int) -> Grant:
        held, born = sum(self.held.values()), 0 if self.born is None else self.born
        free = claim.capacity - self.spent - held
        if self.left_until > now:
            unheard = claim.capacity // 10 if now < born + claim.window else 0
            free = min(free, self.left - held - unheard)
        in_grace = now < born + claim.session and self.left_until <= now
        want = 0 if claim.leaving else claim.want + claim.want_polls
        grant, polls = self._tokens(claim, now, free, in_grace=in_grace)
        if not claim.leaving:
            self.held[claim.member] += grant + polls
        return Grant(
            tokens=grant,
            polls=polls,
            closed=max(0, self.closed - now),
            members=len(self.deadlines),
            polling=sum(self.polling.values()),
            free=free - grant - polls,
            wait=0 if grant + polls >= want else self._wait(now, born + claim.session, in_grace),
            probing=self.probe == claim.member,
        )

    def _tokens(self, claim: Claim, now: int, free: int, *, in_grace: bool) -> tuple[int, int]:
        """How many of the `free` tokens a member gets, for single calls and for polls."""
        want, want_polls = claim.want, claim.want_polls
        if now < self.closed or claim.leaving:
            return 0, 0
        if self.probe:
            if self.probe != "due" or free <= 0 or not want + want_polls:
                return 0, 0
            self.probe, self.probe_until = claim.member, now + claim.session + claim.timeout
            return (1, 0) if want else (0, 1)
        if in_grace:
            return max(0, min(want, 1, free)) if _is_blank(claim) else 0, 0
        share = 2 * len(self.deadlines)
        grant = max(0, min(want, max(1, free // share), free))
        free_polls = free - grant - max(1, claim.capacity // 10)
        return grant, max(0, min(want_polls, max(1, free_polls // share), free_polls))

    def _wait(self, now: int, grace_ends: int, in_grace: bool) -> int:
        wait = _DEFAULT_WAIT
        if now < self.closed:
            wait = self.closed - now
        elif self.probe:
            wait = _DEFAULT_WAIT
        elif in_grace:
            wait = grace_ends - now
        elif self.charged:
            wait = min(self.charged) + self.window - now
        return max(10, wait)


def _is_blank(claim: Claim) -> bool:
    """Whether a member has sent no request yet."""
    return not (claim.total or claim.in_flight or claim.unused or claim.history)


class MemoryEngine:
    """A `BudgetEngine` for members within one process, on any clock: for tests with the simulator.

    `latency` is how many seconds one call takes, 0 by default.
    """

    def __init__(self, clock: Clock | None = None, *, latency: float = 0.0) -> None:
        self.name: str = "the engine in memory"
        """Its name in messages."""
        self.clock: Clock = SystemClock() if clock is None else clock
        """The clock of the engine and of its members."""
        self.latency: float = latency
        """How many seconds one call takes."""
        self.users: dict[str, LeaseModel] = {}
        """The state of each user."""
        self._listeners: dict[str, list[Callable[[float], object]]] = {}

    async def open(self) -> None:
        """Nothing to check."""

    async def lease(self, user: str, claim: Claim) -> Grant:
        """The grant of a member. The request and the reply take half of the latency each."""
        await self.clock.sleep(self.latency / 2)
        now = int(self.clock.now() * 1000)
        grant, closing = self.users.setdefault(user, LeaseModel()).lease(claim, now)
        if closing:
            for heard in tuple(self._listeners.get(user, ())):
                heard(closing / 1000)
        await self.clock.sleep(self.latency / 2)
        return grant

    async def listen_to_closings(self, user: str, heard: Callable[[float], object]) -> None:
        """Call `heard` with the seconds of each closing, until canceled."""
        listeners = self._listeners.setdefault(user, [])
        listeners.append(heard)
        try:
            await self.clock.sleep(inf)
        finally:
            listeners.remove(heard)

    async def aclose(self) -> None:
        """Nothing to close."""
