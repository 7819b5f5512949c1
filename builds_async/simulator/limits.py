"""The rate limit of a user: a sliding window, and a block when it is exceeded. The time is an argument."""

import math
from collections import deque

from builds_async.simulator.behavior import RateLimit


class RateWindow:
    """Counts the requests of one user from all clients. Without a limit, all requests pass."""

    def __init__(self, limit: RateLimit | None, now: float) -> None:
        self.limit = limit
        self._spent: deque[tuple[float, int]] = deque()
        self._used = 0
        self._blocked_until = now

    def enter(self, now: float) -> float:
        """Count a request. Returns for how many seconds requests are refused; 0.0 if this one passes.

        The request that exceeds the limit starts a block of a whole window, for every client.
        """
        limit = self.limit
        if limit is None:
            return 0.0
        if now < self._blocked_until:  # a request during the block does not extend it
            return self._blocked_until - now
        if self._left(limit, now) < 1:
            self._blocked_until = now + limit.window
            return limit.window
        self.spend(1, now)
        return 0.0

    def spend(self, requests: int, now: float) -> None:
        """Count requests of other clients, which use up the window but don't start a block."""
        if requests < 1:
            return
        # One entry per call, so the memory does not grow with the number of requests.
        self._spent.append((now, requests))
        self._used += requests

    def headers(self, now: float) -> dict[str, str]:
        """The rate limit headers: the requests that are left, and the seconds until more are allowed."""
        limit = self.limit
        if limit is None:
            return {}
        # Clamped because `spend` may overdraw the window; during a block nothing is left.
        left = 0 if now < self._blocked_until else max(self._left(limit, now), 0)
        return {
            "Ratelimit": f'"default";r={left};t={math.ceil(self._reset(limit, now))}',
            "Ratelimit-Policy": f'"default";q={limit.limit};w={math.ceil(limit.window)}',
        }

    def _left(self, limit: RateLimit, now: float) -> int:
        # The window slides: requests older than the window no longer count.
        while self._spent and self._spent[0][0] <= now - limit.window:
            self._used -= self._spent.popleft()[1]
        return limit.limit - self._used

    def _reset(self, limit: RateLimit, now: float) -> float:
        if now < self._blocked_until:
            return self._blocked_until - now
        return self._spent[0][0] + limit.window - now if self._spent else limit.window
