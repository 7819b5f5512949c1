"""The rate budget: how many requests may go out, and when. Counters and dates; a future only to wait."""

import asyncio
import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from typing import Protocol
from weakref import WeakKeyDictionary

import msgspec

from builds_async.session.clock import Clock, SystemClock
from builds_async.session.headers import Allowance
from builds_async.session.numbers import seconds as checked_seconds
from builds_async.session.numbers import whole

logger: logging.Logger = logging.getLogger("builds_async")

LONGEST_CLOSURE = 300.0
"""The longest time in seconds for which a 429 closes the gate: the API's own block is no longer."""

_LONGEST_RESET = 3600.0
_LONG_WAIT = 5.0
_NEVER = float("-inf")
_UNKNOWN = float("inf")
_SAMPLES = 8

_FLOOR = 0.37
"""The share of the even rate that no burst of polls may use up."""

_SHORTEST_HORIZON = 1.0
_SETTLED = 60.0


class BudgetSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a budget at one moment."""

    capacity: int
    """How many requests may be sent in a window, the reserve for other tools taken off."""

    used: int
    """How many of them were sent in the last window, those in flight included."""

    left: int
    """How many can be sent at once."""

    resets_in: float
    """Seconds until all of `capacity` can be sent again, if none is sent meanwhile.

    By then the last request has left the window, the gate is open, and what the API said is left was reset.
    """

    closed_for: float
    """Seconds for which a 429 keeps the gate shut; 0 when it is open."""


class Budget(Protocol):
    """What paces a client. `RateBudget` does it within one process.

    A request is counted by `try_acquire` or `acquire`, and each that was counted is over exactly once: by
    `done` when it was sent, whatever became of it, or by `give_back` when it was not. `poll` says that it
    belongs to a live verb: single calls go first.

    All methods are called in the event loop of the client. Only `acquire` waits; the others return at once.
    """

    def bind(self, clock: Clock) -> None:
        """The clock of the client, once, before the first request."""
        ...

    def try_acquire(self, *, poll: bool) -> bool:
        """Count a request and return True, if it may go out now and no other waits for the same."""
        ...

    async def acquire(self, *, poll: bool, max_wait: float) -> bool:
        """Wait until a request may go out, and count it.

        False, and nothing is counted, if the API lets nothing through for longer than `max_wait` seconds; a
        wait for the budget's own pacing is not limited by it. Cancelled while it waits, it has counted
        nothing.
        """
        ...

    def done(self, *, poll: bool = False) -> None:
        """A counted request got its response, failed or was cancelled."""
        ...

    def give_back(self) -> None:
        """A counted request was not sent after all."""
        ...

    def close(self, seconds: float) -> float:
        """A response was 429: let nothing through for that many seconds, or fewer. Returns how many."""
        ...

    def observe(self, allowances: Mapping[str, Allowance]) -> None:
        """What the `Ratelimit` headers of a response say."""
        ...

    @property
    def closings(self) -> int:
        """How often `close` was called. A request that was counted before the last time may not be sent."""
        ...

    @property
    def blocked_for(self) -> float:
        """For how many seconds the API lets nothing through, as far as it said: by a 429 or its headers."""
        ...

    def ready_in(self, *, poll: bool) -> float:
        """In how many seconds one more request could go, behind those that wait already; 0 when it could now.

        Infinity while that is not known. It promises nothing: a request still has to be counted. A caller
        that has many requests to choose from waits that long, and then chooses the one that matters most by
        then.
        """
        ...

    def set_horizon(self, poller: object, seconds: float | None) -> None:
        """For how many seconds from now a live verb expects to poll: its builds will be over by then.

        None when it has nothing to poll for. Of several verbs the largest counts, and one that was dropped,
        or has not said anything new in that time, does not count any more. A budget may ignore it.
        """
        ...

    def snapshot(self) -> BudgetSnapshot:
        """What is left, and until when."""
        ...


class RateBudget:
    """Paces requests so that the user of the token is never locked out.

    The API allows 1,200 requests per 5 minutes for each *user*, all tokens and the dashboard counted
    together, and blocks everything for 5 minutes when that is passed. So: at most `limit` requests
    (1,200) in any `window` seconds (300), of which the share `reserve` (0.1) is left to the user's other
    tools. A burst is allowed; what would go beyond waits, first come, first served.

    - The bound is exact as the server sees it: a request counts from before it is sent until `window`
      seconds after its response.
    - `Ratelimit` headers are obeyed: when others spend from the same allowance, this one shrinks. A reset
      more than an hour ahead counts as an hour, so that one absurd value does not end the client's work.
    - One 429 closes the gate for everybody until Retry-After has passed, at most for the 5 minutes of the
      API's own block, however much more it asks. Then one request goes first; the others follow one by one
      when its response is there.
    - A call that has to wait for more than 5 seconds says so in the log (WARNING), with how long and why:
      once for all calls that wait for the same moment.
    - Polls (`follow` and its kin) leave a tenth free, and once a quarter is used they are spread so that
      what is left lasts. Where a live verb says how long its builds may still need (`set_horizon`), they are
      spread over that time from the first one on. Single calls never wait behind them.

    A client makes its own; pass one object to several clients of the same user to share it. They must
    run in the same event loop.
    """

    def __init__(self, *, limit: int = 1200, window: float = 300.0, reserve: float = 0.1) -> None:
        self._limit = whole("limit", limit, at_least=1)
        self._window = checked_seconds("window", window, above_zero=True)
        if isinstance(reserve, bool) or not isinstance(reserve, int | float):
            raise TypeError(f"reserve is a number from 0 to below 1, not a {type(reserve).__name__}")
        if not 0 <= reserve < 1:
            raise ValueError(f"reserve is a number from 0 to below 1, not {reserve}")
        self._reserve, self._share = reserve, 1 - reserve
        self._clock: Clock = SystemClock()
        self._in_flight = 0
        self._responded: deque[float] = deque()  # when the counted requests got their responses, oldest first
        self._responded_singles: deque[float] = deque()
        self._closed_until = _NEVER
        self._closings = 0
        self._probe_due = self._probing = False
        self._staggered = False
        self._next_at = _NEVER
        self._next_poll_at = _NEVER
        self._server_limits: dict[str, _ServerLimit] = {}
        self._singles: deque[asyncio.Future[None]] = deque()
        self._polls: deque[asyncio.Future[None]] = deque()
        self._freed: set[asyncio.Future[None]] = set()
        self._warned_until = _NEVER
        self._horizons: WeakKeyDictionary[object, float] = WeakKeyDictionary()  # until when each verb polls
        self._set_limit(limit)

    def __repr__(self) -> str:
        return f"RateBudget(limit={self._limit}, window={self._window}, reserve={self._reserve})"

    def snapshot(self) -> BudgetSnapshot:
        """What is left, and until when."""
        now = self._clock.now()
        self._forget(now)
        used = self._in_flight + len(self._responded)
        left = min([self._capacity - used, *(it.left for it in self._server_limits.values())])
        closed_for = max(0.0, self._closed_until - now)
        if closed_for or self._probing:
            left = 0
        elif self._probe_due:
            left = min(left, 1)
        return BudgetSnapshot(
            capacity=self._capacity,
            used=used,
            left=max(0, left),
            resets_in=max(0.0, self._reset_at(now) - now),
            closed_for=closed_for,
        )

    def _reset_at(self, now: float) -> float:
        """When all of the capacity is free again, at the earliest, if nothing more is sent."""
        at = self._closed_until
        if self._in_flight:
            at = max(at, now + self._window)
        elif self._responded:
            at = max(at, self._responded[-1] + self._window)
        return max([at, *(it.reset_at for it in self._server_limits.values() if it.left < self._capacity)])

    def bind(self, clock: Clock) -> None:
        """Measure and wait by `clock` from now on."""
        self._clock = clock

    @property
    def closed_for(self) -> float:
        """How many seconds the gate stays shut, 0 when it is open."""
        return max(0.0, self._closed_until - self._clock.now())

    @property
    def blocked_for(self) -> float:
        """How many seconds the API lets nothing through, as far as it said: by a 429 or by its headers."""
        now = self._clock.now()
        return max(0.0, self._blocked_until(now) - now)

    @property
    def closings(self) -> int:
        """How often the gate was closed: what was counted before a closing has to be given back."""
        return self._closings

    def try_acquire(self, *, poll: bool) -> bool:
        """Count a request and return True, if it may go out now and no other waits for the same."""
        if self._singles or (poll and self._polls):
            return False
        if not poll and self._has_room:
            self._take()
            return True
        now = self._clock.now()
        if self._ready_at(now, poll=poll) > now:
            return False
        self._count(now, poll=poll)
        return True

    def ready_in(self, *, poll: bool) -> float:
        """In how many seconds one more request could go, behind those that wait already; 0 when it could now.

        Infinity while the first request after a 429 is out: its response decides.
        """
        now = self._clock.now()
        ahead = len(self._singles) + (len(self._polls) if poll else 0)
        at = self._ready_at(now, poll=poll, ahead=ahead)
        if poll and self._polls:
            at = max(at, self._next_poll_at + len(self._polls) * self._poll_spacing(now))
        return at - now

    def set_horizon(self, poller: object, seconds: float | None) -> None:
        """Spread polls so that what is left lasts as long as `poller` will need it; None when it needs none.

        The largest of all counts, at most the window, until that time is over or `poller` is dropped.
        """
        if seconds is None:
            self._horizons.pop(poller, None)
        else:
            self._horizons[poller] = self._clock.now() + max(seconds, _SHORTEST_HORIZON)

    @property
    def _has_room(self) -> bool:
        """Whether a single call may go out whatever the time is, as nearly all may: time only frees more."""
        if self._probing or self._probe_due or self._staggered:
            return False
        for it in self._server_limits.values():
            if it.left <= 0:
                return False
        return self._in_flight + len(self._responded) < self._capacity

    async def acquire(self, *, poll: bool, max_wait: float) -> bool:
        """Wait until a request may go out, and count it.

        False, without counting, if the API lets nothing through for longer than `max_wait` seconds; the
        wait for the own window is not measured by it. Cancelled while waiting, it has taken nothing and the
        next one moves up.
        """
        queue = self._polls if poll else self._singles
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            if queue[0] is not turn:
                if self.blocked_for > max_wait:
                    return False
                if not poll:  # polls queue all the time: they are paced
                    self._warn(self._ready_at(self._clock.now(), poll=poll, ahead=len(queue) - 1))
                await turn
            return await self._wait_at_the_head(poll=poll, max_wait=max_wait)
        finally:
            queue.remove(turn)
            if queue and not queue[0].done():
                queue[0].set_result(None)

    async def _wait_at_the_head(self, *, poll: bool, max_wait: float) -> bool:
        while True:
            now = self._clock.now()
            ready_at = self._ready_at(now, poll=poll)
            if self._blocked_until(now) - now > max_wait:
                return False
            if ready_at <= now:
                self._count(now, poll=poll)
                return True
            self._warn(ready_at)
            await self._nap(ready_at - now)

    def _warn(self, until: float) -> None:
        """Say that a call waits until then, unless it is short or was said already."""
        now = self._clock.now()
        if not max(now, self._warned_until) + _LONG_WAIT < until < _UNKNOWN:
            return
        self._warned_until = until
        if self._closed_until > now:
            why = "the API answered 429"
        elif self._blocked_until(now) > now:
            why = "the API says that nothing is left of the rate limit"
        else:
            why = f"{self._capacity} requests of the last {self._window:g} s are all that this client sends"
        logger.warning("waiting %.0f s for the rate budget: %s", until - now, why)

    async def _nap(self, seconds: float) -> None:
        """Sleep, or less when something is given back meanwhile."""
        freed = asyncio.get_running_loop().create_future()
        self._freed.add(freed)
        if seconds == _UNKNOWN:
            try:
                await freed
            finally:
                self._freed.discard(freed)
            return
        sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            done, _ = await asyncio.wait({freed, sleeper}, return_when=asyncio.FIRST_COMPLETED)
            if sleeper in done:
                sleeper.result()
        finally:
            self._freed.discard(freed)
            sleeper.cancel()

    def done(self, *, poll: bool = False) -> None:
        """A counted request got its response, failed or was cancelled. It counts for a window from now."""
        self._in_flight -= 1
        now = self._clock.now()
        self._responded.append(now)
        if not poll:
            self._responded_singles.append(now)
        if self._responded[0] <= now - self._window:
            self._forget(now)
        # While a probe is out nothing else goes, so its response is there when nothing is in flight any more.
        if self._probing and not self._in_flight:
            self._probing = False
            self._wake()

    def give_back(self) -> None:
        """A counted request was not sent after all: one that waits may go instead."""
        self._in_flight -= 1
        for it in self._server_limits.values():
            it.left += 1
        if self._probing and not self._in_flight:
            self._probing, self._probe_due = False, True
        self._wake()

    def _wake(self) -> None:
        """Let the heads of the queues look again whether they may go."""
        for freed in self._freed:
            if not freed.done():
                freed.set_result(None)

    def close(self, seconds: float) -> float:
        """A response was 429: let nothing through for that long, at most for LONGEST_CLOSURE."""
        seconds = min(seconds, LONGEST_CLOSURE)
        self._closed_until = max(self._closed_until, self._clock.now() + seconds)
        self._closings += 1
        self._probe_due, self._probing = True, False
        self._staggered = True
        self._wake()
        return seconds

    def observe(self, allowances: Mapping[str, Allowance]) -> None:
        """Learn from the rate headers of a response."""
        now = self._clock.now()
        for name, said in allowances.items():
            # Those in flight may not be counted by the server yet.
            left = int(said.left * self._share) - self._in_flight
            self._server_limits[name] = _ServerLimit(left, now + min(said.reset, _LONGEST_RESET))
            if said.quota and said.quota < self._narrowest and said.window == self._window:
                self._set_limit(said.quota)
        if self._freed:
            self._wake()

    # The arithmetic.

    def _set_limit(self, limit: int) -> None:
        self._narrowest = limit
        self._capacity = max(1, int(limit * self._share + 1e-9))
        self._even_spacing = self._window / self._capacity
        self._poll_capacity = max(1, self._capacity - max(1, self._capacity // 10))

    def _take(self) -> None:
        self._in_flight += 1
        for it in self._server_limits.values():
            it.left -= 1

    def _count(self, now: float, *, poll: bool) -> None:
        self._take()
        if poll:
            self._next_poll_at = now + self._poll_spacing(now)
        if self._probe_due:
            self._probe_due, self._probing = False, True
        if self._staggered:
            self._staggered = len(self._singles) + len(self._polls) > 1
            self._next_at = now + self._even_spacing if self._staggered else now

    def _ready_at(self, now: float, *, poll: bool, ahead: int = 0) -> float:
        """When the next request of this kind may go out behind `ahead` others, as far as is known now.

        Infinity while a probe is out: the end of that is not known.
        """
        self._forget(now)
        if self._probing:
            return _UNKNOWN
        at = max(now, self._closed_until, self._next_at)
        capacity = self._poll_capacity if poll else self._capacity
        over = self._in_flight + len(self._responded) + 1 + ahead - capacity
        if over > 0:
            # The end of those in flight is not known; it can't be before now.
            oldest = self._responded[over - 1] if over <= len(self._responded) else now
            at = max(at, oldest + self._window)
        for it in self._server_limits.values():
            if it.left <= 0:
                at = max(at, it.reset_at)
        if poll:
            at = max(at, self._next_poll_at)
            if self._singles:
                at = max(at, now + self._even_spacing)
        return at

    def _blocked_until(self, now: float) -> float:
        """Until when the API lets nothing through, as far as it said."""
        used_up = (it.reset_at for it in self._server_limits.values() if it.left <= 0)
        return max([now, self._closed_until, *used_up])

    def _forget(self, now: float) -> None:
        responded, gone = self._responded, now - self._window
        while responded and responded[0] <= gone:
            responded.popleft()
        singles = self._responded_singles
        while singles and singles[0] <= gone:
            singles.popleft()
        if self._server_limits:
            self._server_limits = {name: it for name, it in self._server_limits.items() if it.reset_at > now}

    def _horizon(self, now: float) -> float | None:
        """For how many seconds polls will be needed, at most the window; None if no verb says."""
        until = max(self._horizons.values(), default=_NEVER)
        return min(until - now, self._window) if until > now else None

    def _poll_spacing(self, now: float) -> float:
        """Seconds between two polls: no stop-and-go, no echo of an old burst."""
        used = self._in_flight + len(self._responded)
        left = self._poll_capacity - used
        horizon = self._horizon(now)
        if horizon is None and 4 * used < self._capacity:
            rate = _UNKNOWN
        elif left < 1:
            return 0.0  # the window itself holds the next one back
        else:
            rate = self._lasting_rate(now, left)
            if horizon is not None and horizon < self._window:
                rate = max(rate, self._burst_rate(now, left, horizon))
        for it in self._server_limits.values():
            if 4 * it.left < 3 * self._capacity:
                until = it.reset_at - now
                rate = min(rate, max(1, it.left) / (until if horizon is None else min(horizon, until)))
        return 1 / rate

    def _lasting_rate(self, now: float, left: int) -> float:
        """The polls in a second that can go on for ever.

        Spread evenly, at no time may more have gone out than is left plus what has come free by then, less
        what single calls take meanwhile if they come again as in the last window.
        """
        responded, used = self._responded, self._in_flight + len(self._responded)
        rate = (left + _freed(used, len(self._responded_singles))) / self._window
        for i in range(0, len(responded), len(responded) // _SAMPLES + 1):
            freed = _freed(i, bisect_left(self._responded_singles, responded[i]))
            rate = min(rate, (left + freed) / max(responded[i] + self._window - now, 1e-9))
        return rate

    def _burst_rate(self, now: float, left: int, horizon: float) -> float:
        """The polls in a second if none will be needed beyond the horizon.

        Builds may take longer than expected, and others may follow. So a part of the even rate is kept for
        the time until the first of the counted requests leaves the window, and only the rest is spread over
        the horizon: a wrong expectation slows polls down to that part, but never stops them.
        """
        even = self._poll_capacity / self._window
        oldest = self._responded[0] if self._responded else now
        # Single calls that come again and again, such as a look-up each minute, will take their part as well.
        singles = min(len(self._responded_singles) / max(now - oldest, _SETTLED), even / 3)
        floor = _FLOOR * even
        surplus = left - (floor + singles) * (oldest + self._window - now)
        return floor + surplus / horizon


def _freed(requests: int, singles: int) -> float:
    """How many polls a number of requests that leave the window are worth, some of which were single calls.

    Those come again, one each time as it were; but not more than a third: a burst need not come again.
    """
    return requests - min(singles, requests / 3)


class _ServerLimit(msgspec.Struct, gc=False):
    """What the server said is left, until when."""

    left: int
    reset_at: float
