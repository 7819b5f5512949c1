"""The arithmetic of the rate budget: counters and dates. It never waits, and `now` is an argument."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from math import inf
from weakref import WeakKeyDictionary

import msgspec

from builds_async.session.budget_protocol import BudgetSnapshot
from builds_async.session.headers import LONGEST_BLOCK, Allowance

LONGEST_CLOSURE = LONGEST_BLOCK
"""The longest time, in seconds, for which a 429 closes the gate, whatever its Retry-After."""

_LONGEST_RESET = 3600.0  # seconds; a later reset is taken for an error of the server
_SAMPLES = 8  # moments of the window at which a steady rate is checked
_FLOOR = 0.37  # the part of the even rate that a burst of polls leaves for later
_SHORTEST_HORIZON = 1.0  # seconds
_SETTLED = 60.0  # seconds of history before the rate of single calls is believed


class RateWindow:
    """Counts the requests of a sliding window, and computes when the next one may be sent.

    A request counts while it is in flight, and until `length` seconds after its response. The server counts
    it at some moment in between, so the server's count is never higher. The server's own limits and the
    closing after a 429 apply in addition.
    """

    def __init__(self, limit: int, length: float, reserve: float) -> None:
        self.length: float = length
        self.closings: int = 0
        self.closed_until: float = -inf
        self.next_poll_at: float = -inf
        self._share = 1 - reserve
        self._taken = 0  # all requests that were ever counted, minus those that were given back
        self._in_flight = 0
        self._responded: deque[float] = deque()  # when requests of the window ended, oldest first
        self._responded_singles: deque[float] = deque()  # the same for single calls alone
        # After a 429 one request goes first, the probe: it is due, then in flight. Its response lets the
        # others go one by one.
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
        # 1e-9 against rounding errors: 10 * (1 - 0.1) must not become 8.
        self.capacity = max(1, int(limit * self._share + 1e-9))
        self._even_spacing = self.length / self.capacity
        self.poll_capacity = max(1, self.capacity - max(1, self.capacity // 10))

    @property
    def used(self) -> int:
        """The requests that count now, including those in flight."""
        return self._in_flight + len(self._responded)

    def try_take(self) -> bool:
        """Count a single call if it may be sent, without reading the clock.

        This fast path is safe because time only makes more room. Nearly all single calls take it.
        """
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
        """End a request that was sent. True if that ends the probe, so that others may be ready now."""
        self._in_flight -= 1
        self._responded.append(now)
        if not poll:
            self._responded_singles.append(now)
        if self._responded[0] <= now - self.length:
            self._forget(now)
        # Requests from before the 429 may be in flight too, and only their number is known. So the probe has
        # certainly ended when none is left.
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
        """Close the gate after a 429, at most for LONGEST_CLOSURE. Returns the seconds."""
        seconds = min(seconds, LONGEST_CLOSURE)
        self.closed_until = max(self.closed_until, now + seconds)
        self.closings += 1
        self._probe_due, self._probing, self._staggered = True, False, True
        return seconds

    def observe(self, now: float, allowances: Mapping[str, Allowance]) -> None:
        """Apply the limits that the server reported."""
        for name, allowance in allowances.items():
            # The server may not have counted the requests in flight yet, so they are subtracted from its
            # `left`. The result is stored as the value of `_taken` at which nothing is left, so that `take`
            # and `give_back` need not update it.
            last = self._taken - self._in_flight + int(allowance.left * self._share)
            reset_at = now + min(allowance.reset, _LONGEST_RESET)
            limit = self._server_limits.get(name)
            if limit is None:
                self._server_limits[name] = _ServerLimit(last, reset_at)
            else:
                limit.last, limit.reset_at = last, reset_at
            quota = allowance.quota
            # Only a lower quota counts: the limit that the user has set is not exceeded.
            if quota and quota < self._narrowest and allowance.window == self.length:
                self._set_limit(quota)

    def _forget(self, now: float) -> None:
        """Drop the responses and limits that no longer count."""
        gone = now - self.length
        for responded in (self._responded, self._responded_singles):
            while responded and responded[0] <= gone:
                responded.popleft()
        if self._server_limits:
            self._server_limits = {name: it for name, it in self._server_limits.items() if it.reset_at > now}

    def ready_at(self, now: float, *, poll: bool, ahead: int = 0, behind_singles: bool = False) -> float:
        """When a request with `ahead` others before it may be sent, as far as is known now.

        Infinity while a probe is in flight, because its end is unknown.
        """
        self._forget(now)
        if self._probing:
            return inf
        at = max(now, self.closed_until, self._next_at)
        capacity = self.poll_capacity if poll else self.capacity
        over = self._in_flight + len(self._responded) + 1 + ahead - capacity
        if over > 0:
            # When requests in flight end is unknown, but it is not before now.
            oldest = self._responded[over - 1] if over <= len(self._responded) else now
            at = max(at, oldest + self.length)
        for limit in self._server_limits.values():
            if limit.last <= self._taken:
                at = max(at, limit.reset_at)
        if poll:
            at = max(at, self.next_poll_at)
            if behind_singles:  # single calls go first, so a poll looks again after about one of them
                at = max(at, now + self._even_spacing)
        return at

    def blocked_until(self, now: float) -> float:
        """Until when the API blocks all requests, by a 429 or by its headers; `now` if it does not."""
        used_up = (limit.reset_at for limit in self._server_limits.values() if limit.last <= self._taken)
        return max([now, self.closed_until, *used_up])

    def history(self, now: float, step: float) -> list[tuple[float, int]]:
        """The responses of the last window, as pairs of an age, rounded to `step` seconds, and a number."""
        self._forget(now)
        ages = Counter((now - at) // step for at in self._responded)
        return [(steps * step, count) for steps, count in sorted(ages.items())]

    def snapshot(self, now: float) -> BudgetSnapshot:
        """The state of the window at `now`."""
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
        """Note for how many seconds `poller` will poll, and for how many builds; None if it will not."""
        if seconds is None:
            self._horizons.pop(poller, None)
        else:
            self._horizons[poller] = now + max(seconds, _SHORTEST_HORIZON), builds

    def horizon(self, now: float) -> float | None:
        """Seconds for which polls are needed, at most one window; None if no verb has set a horizon."""
        until = max((until for until, _ in self._horizons.values()), default=-inf)
        return min(until - now, self.length) if until > now else None

    def polled_builds(self, now: float) -> int:
        """For how many builds the verbs poll."""
        return sum(builds for until, builds in self._horizons.values() if until > now)

    def poll_spacing(self, now: float, *, others: int = 0) -> float:
        """Seconds between two polls, chosen so that a burst neither stops later polls nor is repeated.

        `others` are requests of other processes in the same window. They are assumed to be spread over it
        like the requests of this process.
        """
        own = self._in_flight + len(self._responded)
        used = own + others
        left = self.poll_capacity - used
        horizon = self.horizon(now)
        if horizon is None and 4 * used < self.capacity:
            rate = inf
        elif left < 1:
            return 0.0  # the window itself holds back the next poll
        else:
            rate = self._lasting_rate(now, left, used / own) if own else self._even_rate
            if horizon is not None and horizon < self.length:
                rate = max(rate, self._burst_rate(now, left, horizon))
        for limit in self._server_limits.values():
            left = limit.last - self._taken
            if 4 * left < 3 * self.capacity:  # a quarter is used, perhaps by other tools
                until = limit.reset_at - now
                rate = min(rate, max(1, left) / (until if horizon is None else min(horizon, until)))
        return 1 / rate

    @property
    def _even_rate(self) -> float:
        return self.poll_capacity / self.length

    def _lasting_rate(self, now: float, left: int, scale: float) -> float:
        """The polls per second that can be sent forever.

        At no moment may this rate have sent more polls than there is room for: the requests left now, plus
        those that have left the window by then, minus the single calls that are expected to come again.
        """
        responded, used = self._responded, self._in_flight + len(self._responded)
        rate = (left + scale * _freed(used, len(self._responded_singles))) / self.length
        # Room is smallest just before a request leaves the window. Checking a few of these moments is enough.
        for i in range(0, len(responded), len(responded) // _SAMPLES + 1):
            freed = _freed(i, bisect_left(self._responded_singles, responded[i]))
            rate = min(rate, (left + scale * freed) / max(responded[i] + self.length - now, 1e-9))
        return rate

    def _burst_rate(self, now: float, left: int, horizon: float) -> float:
        """The polls per second if none are needed after the horizon.

        A build may take longer than expected, and others may follow. So `_FLOOR` of the even rate is kept for
        the time until the oldest request leaves the window, and only the rest is spread over the horizon. If
        the expectation was wrong, polls slow down to the floor, but never stop.
        """
        even = self._even_rate
        oldest = self._responded[0] if self._responded else now
        # Regular single calls, such as a lookup each minute, need room as well, at most a third of it: see
        # `_freed`.
        singles = min(len(self._responded_singles) / max(now - oldest, _SETTLED), even / 3)
        floor = _FLOOR * even
        surplus = left - (floor + singles) * (oldest + self.length - now)
        return floor + surplus / horizon


def _freed(requests: int, singles: int) -> float:
    """How many polls there is room for once `requests` have left the window, `singles` of them single calls.

    Each single call is expected to come again and to need its place, but at most a third of the requests,
    because a burst of single calls need not come again.
    """
    return requests - min(singles, requests / 3)


class _ServerLimit(msgspec.Struct, gc=False):
    """One limit of the server until its reset. It is used up once `_taken` has reached `last`."""

    last: int
    reset_at: float
