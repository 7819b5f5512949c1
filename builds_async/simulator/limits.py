"""The global rate limit: a sliding window, and a block once it is exceeded. Pure: time is an argument."""

import math
from collections import deque

from builds_async.simulator.behaviour import RateLimit


class RateWindow:
    """Counts the requests of one user, over all clients. Without a limit everything is allowed."""

    def __init__(self, limit: RateLimit | None, now: float) -> None:
        self.limit = limit
        self._spent: deque[tuple[float, int]] = deque()
        self._used = 0
        self._blocked_until = now

    def enter(self, now: float) -> float:
        """Count a request, and return the seconds for which it is refused, 0.0 for none.

        The request that exceeds the limit starts a block of a whole window, for every client.
        """
        limit = self.limit
        if limit is None:
            return 0.0
        if now < self._blocked_until:  # which a request during the block does not make longer
            return self._blocked_until - now
        if self._left(limit, now) < 1:
            self._blocked_until = now + limit.window
            return limit.window
        self.spend(1, now)
        return 0.0

    def spend(self, requests: int, now: float) -> None:
        """Count requests of other clients. They use up the window, but don't start a block."""
        if requests < 1:
            return
        # One entry per call: any number of requests at one moment costs the same memory.
        self._spent.append((now, requests))
        self._used += requests

    def headers(self, now: float) -> dict[str, str]:
        """The rate limit headers: what is left, and the seconds until some of it comes back."""
        limit = self.limit
        if limit is None:
            return {}
        # `spend` may overdraw the window, and a block leaves nothing of it.
        left = 0 if now < self._blocked_until else max(self._left(limit, now), 0)
        return {
            "Ratelimit": f'"default";r={left};t={math.ceil(self._reset(limit, now))}',
            "Ratelimit-Policy": f'"default";q={limit.limit};w={math.ceil(limit.window)}',
        }

    def _left(self, limit: RateLimit, now: float) -> int:
        # The window slides: what was spent longer than a window ago counts no more.
        while self._spent and self._spent[0][0] <= now - limit.window:
            self._used -= self._spent.popleft()[1]
        return limit.limit - self._used

    def _reset(self, limit: RateLimit, now: float) -> float:
        if now < self._blocked_until:
            return self._blocked_until - now
        return self._spent[0][0] + limit.window - now if self._spent else limit.window
