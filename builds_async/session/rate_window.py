"""The arithmetic of the rate budget: counters and dates. It never waits, and `now` is an argument."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from math import inf
from weakref import WeakKeyDictionary

import msgspec

from builds_async.session.budget_protocol import BudgetSnapshot
from builds_async.session.headers import Allowance

LONGEST_CLOSURE = 300.0
"""The longest time in seconds for which a 429 closes the gate: the API's own block is no longer."""

_LONGEST_RESET = 3600.0  # seconds; a reset further ahead is a mistake of the server
_SAMPLES = 8  # moments of the window at which a steady rate is checked
_FLOOR = 0.37  # the part of the even rate that a burst of polls never uses up
_SHORTEST_HORIZON = 1.0  # seconds
_SETTLED = 60.0  # seconds of history before the rate of single calls is believed


class RateWindow:
    """Counts the requests of a sliding window, and says when the next one may be sent.

    A request counts while it is in flight, and until `length` seconds after its response: whenever the server
    counts it, it is inside. The server's own limits and the closing after a 429 come on top.
    """

    def __init__(self, limit: int, length: float, reserve: float) -> None:
        self.length: float = length
        self.closings: int = 0
        self.closed_until: float = -inf
        self.next_poll_at: float = -inf
        self._share = 1 - reserve
        self._taken = 0  # all requests that were ever counted, less those that were given back
        self._in_flight = 0
        self._responded: deque[float] = deque()  # when the counted requests got their responses, oldest first
        self._responded_singles: deque[float] = deque()  # the same for single calls alone
        # After a 429 one request goes first, the probe: it is due, then out. Then the others go one by one.
        self._probe_due = self._probing = self._staggered = False
        self._next_at = -inf
        self._server_limits: dict[str, _ServerLimit] = {}
        # Until when each verb polls, and for how many builds.
        self._horizons: WeakKeyDictionary[object, tuple[float, int]] = WeakKeyDictionary()
        self.capacity: int
        self.poll_capacity: int
        self._set_limit(limit)

    def _set_limit(self, limit: int) -> None:
        self._narrowest = limit
        # 10 * (1 - 0.1) must not end up below 9.
        self.capacity = max(1, int(limit * self._share + 1e-9))
        self._even_spacing = self.length / self.capacity
        self.poll_capacity = max(1, self.capacity - max(1, self.capacity // 10))

    @property
    def used(self) -> int:
        """The requests that count now, including those in flight."""
        return self._in_flight + len(self._responded)

    def try_take(self) -> bool:
        """Count a single call without a look at the clock, as nearly all can be: time only frees more."""
        if self._probing or self._probe_due or self._staggered:
            return False
        if self._in_flight + len(self._responded) >= self.capacity:
            return False
        for limit in self._server_limits.values():
            if limit.last <= self._taken:
                return False
        self._taken += 1
        self._in_flight += 1
        return True

    def take(self, now: float, *, poll: bool, waiting: int) -> None:
        """Count a request that is ready now, with `waiting` requests in the queues, itself included."""
        self._taken += 1
        self._in_flight += 1
        if poll:
            self.next_poll_at = now + self.poll_spacing(now)
        if self._probe_due:
            self._probe_due, self._probing = False, True
        if self._staggered:
            self._staggered = waiting > 1
            self._next_at = now + self._even_spacing if self._staggered else now

    def respond(self, now: float, *, poll: bool) -> bool:
        """End a request that was sent. True if it was the probe: others may be ready now."""
        self._in_flight -= 1
        self._responded.append(now)
        if not poll:
            self._responded_singles.append(now)
        if self._responded[0] <= now - self.length:
            self._forget(now)
        # A probe is sent alone, but requests from before the 429 may still be out: the last response is its.
        if self._probing and not self._in_flight:
            self._probing = False
            return True
        return False

    def give_back(self) -> None:
        """End a request that was not sent."""
        self._taken -= 1
        self._in_flight -= 1
        if self._probing and not self._in_flight:
            self._probing, self._probe_due = False, True

    def close(self, now: float, seconds: float) -> float:
        """Close the gate after a 429, at most for LONGEST_CLOSURE. Returns for how long."""
        seconds = min(seconds, LONGEST_CLOSURE)
        self.closed_until = max(self.closed_until, now + seconds)
        self.closings += 1
        self._probe_due, self._probing, self._staggered = True, False, True
        return seconds

    def observe(self, now: float, allowances: Mapping[str, Allowance]) -> None:
        """Take in the server's own limits."""
        for name, allowance in allowances.items():
            # The server may not have counted those in flight yet. So what is left of the limit, less those,
            # is counted from all that were taken: then neither taking nor giving back has to touch it.
            last = self._taken - self._in_flight + int(allowance.left * self._share)
            reset_at = now + min(allowance.reset, _LONGEST_RESET)
            limit = self._server_limits.get(name)
            if limit is None:
                self._server_limits[name] = _ServerLimit(last, reset_at)
            else:
                limit.last, limit.reset_at = last, reset_at
            quota = allowance.quota
            if quota and quota < self._narrowest and allowance.window == self.length:
                self._set_limit(quota)

    def _forget(self, now: float) -> None:
        """Drop all that is over."""
        gone = now - self.length
        for responded in (self._responded, self._responded_singles):
            while responded and responded[0] <= gone:
                responded.popleft()
        if self._server_limits:
            self._server_limits = {name: it for name, it in self._server_limits.items() if it.reset_at > now}

    def ready_at(self, now: float, *, poll: bool, ahead: int = 0, behind_singles: bool = False) -> float:
        """When a request may be sent behind `ahead` others, as far as is known now.

        Infinity while a probe is out: its end is unknown.
        """
        self._forget(now)
        if self._probing:
            return inf
        at = max(now, self.closed_until, self._next_at)
        capacity = self.poll_capacity if poll else self.capacity
        over = self._in_flight + len(self._responded) + 1 + ahead - capacity
        if over > 0:
            # The end of those in flight is unknown, but it is not before now.
            oldest = self._responded[over - 1] if over <= len(self._responded) else now
            at = max(at, oldest + self.length)
        for limit in self._server_limits.values():
            if limit.last <= self._taken:
                at = max(at, limit.reset_at)
        if poll:
            at = max(at, self.next_poll_at)
            if behind_singles:
                at = max(at, now + self._even_spacing)
        return at

    def blocked_until(self, now: float) -> float:
        """Until when the API blocks all requests, as far as it said; `now` if it does not."""
        used_up = (limit.reset_at for limit in self._server_limits.values() if limit.last <= self._taken)
        return max([now, self.closed_until, *used_up])

    def history(self, now: float, step: float) -> list[tuple[float, int]]:
        """The responses of the last window: how many seconds ago, in steps of `step`, and how many."""
        self._forget(now)
        ages = Counter((now - at) // step for at in self._responded)
        return [(steps * step, count) for steps, count in sorted(ages.items())]

    def snapshot(self, now: float) -> BudgetSnapshot:
        """What is left, and until when."""
        self._forget(now)
        used = self._in_flight + len(self._responded)
        left = min(
            [self.capacity - used, *(limit.last - self._taken for limit in self._server_limits.values())]
        )
        closed_for = max(0.0, self.closed_until - now)
        if closed_for or self._probing:
            left = 0
        elif self._probe_due:
            left = min(left, 1)
        return BudgetSnapshot(
            capacity=self.capacity,
            used=used,
            left=max(0, left),
            resets_in=max(0.0, self._reset_at(now) - now),
            closed_for=closed_for,
        )

    def _reset_at(self, now: float) -> float:
        """When all of the capacity is free again, at the earliest, if nothing more is sent."""
        at = self.closed_until
        if self._in_flight:
            at = max(at, now + self.length)
        elif self._responded:
            at = max(at, self._responded[-1] + self.length)
        limits = self._server_limits.values()
        return max([at, *(it.reset_at for it in limits if it.last - self._taken < self.capacity)])

    # How polls are spread.

    def set_horizon(self, poller: object, now: float, seconds: float | None, builds: int = 1) -> None:
        """Until when `poller` will poll, and for how many builds; None if it has nothing to poll for."""
        if seconds is None:
            self._horizons.pop(poller, None)
        else:
            self._horizons[poller] = now + max(seconds, _SHORTEST_HORIZON), builds

    def horizon(self, now: float) -> float | None:
        """For how many seconds polls will be needed, at most a window; None if no verb says."""
        until = max((until for until, _ in self._horizons.values()), default=-inf)
        return min(until - now, self.length) if until > now else None

    def polled_builds(self, now: float) -> int:
        """For how many builds the verbs poll."""
        return sum(builds for until, builds in self._horizons.values() if until > now)

    def poll_spacing(self, now: float, *, others: int = 0) -> float:
        """Seconds between two polls, chosen so that a burst neither stops all polls later nor comes again.

        `others` are requests of other processes in the same window: they are taken to be spread over it as
        those of this one are.
        """
        own = self._in_flight + len(self._responded)
        used = own + others
        left = self.poll_capacity - used
        horizon = self.horizon(now)
        if horizon is None and 4 * used < self.capacity:
            rate = inf
        elif left < 1:
            return 0.0  # the window itself holds the next one back
        else:
            rate = self._lasting_rate(now, left, used / own) if own else self._even_rate
            if horizon is not None and horizon < self.length:
                rate = max(rate, self._burst_rate(now, left, horizon))
        for limit in self._server_limits.values():
            left = limit.last - self._taken
            if 4 * left < 3 * self.capacity:
                until = limit.reset_at - now
                rate = min(rate, max(1, left) / (until if horizon is None else min(horizon, until)))
        return 1 / rate

    @property
    def _even_rate(self) -> float:
        return self.poll_capacity / self.length

    def _lasting_rate(self, now: float, left: int, scale: float) -> float:
        """The polls per second that can go on forever.

        At no moment may more polls have been sent at this rate than are left now plus those that have become
        free by then, minus the share of single calls, should they come again as in the last window.
        """
        responded, used = self._responded, self._in_flight + len(self._responded)
        rate = (left + scale * _freed(used, len(self._responded_singles))) / self.length
        # The bound is tight just before a request leaves the window. A few of these moments are enough.
        for i in range(0, len(responded), len(responded) // _SAMPLES + 1):
            freed = _freed(i, bisect_left(self._responded_singles, responded[i]))
            rate = min(rate, (left + scale * freed) / max(responded[i] + self.length - now, 1e-9))
        return rate

    def _burst_rate(self, now: float, left: int, horizon: float) -> float:
        """The polls per second if none are needed after the horizon.

        A build may take longer than expected, and others may follow. So a part of the even rate is kept for
        the time until the oldest request leaves the window, and only the rest is spread over the horizon: a
        wrong expectation slows polls down to that part, but never stops them.
        """
        even = self._even_rate
        oldest = self._responded[0] if self._responded else now
        # Regular single calls, such as a lookup each minute, will take their part as well.
        singles = min(len(self._responded_singles) / max(now - oldest, _SETTLED), even / 3)
        floor = _FLOOR * even
        surplus = left - (floor + singles) * (oldest + self.length - now)
        return floor + surplus / horizon


def _freed(requests: int, singles: int) -> float:
    """The polls for which there is room once `requests` have left the window, `singles` of them single calls.

    Each single call is expected to come again and to take its place back, but at most a third of the
    requests: a burst of them need not come again.
    """
    return requests - min(singles, requests / 3)


class _ServerLimit(msgspec.Struct, gc=False):
    """One limit of the server until its reset: it is used up when `last` requests have been taken in all."""

    last: int
    reset_at: float
