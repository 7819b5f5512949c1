"""How fast a member goes: how polls are spread over all members, and the ration without an engine."""

import math
from math import inf

_FRESH = 60  # parts of a window, for one of which the API's word is believed
_FLOOR = 0.37  # the part of the even rate that a burst of polls never uses up


def poll_spacing(
    *, used: int, capacity: int, poll_capacity: int, window: float, pollers: int, horizon: float | None
) -> float:
    """Seconds between two polls of one member, of `pollers` that poll; 0 while most of the window is free.

    `used` counts the requests of all members. Without a horizon nothing is spread up to a quarter of the
    capacity, and then evenly. With one, what is left is spread over it, but for a part of the even rate.
    """
    even = poll_capacity / window
    if horizon is None or horizon >= window:
        rate = inf if horizon is None and 4 * used < capacity else even
    else:
        floor = _FLOOR * even
        rate = max(even, floor + (poll_capacity - used - floor * window) / horizon)
    return max(1, pollers) / rate


def tokens_for(seconds: float, spacing: float, most: int) -> int:
    """How many polls fit into `seconds` at that spacing: at least 1, and no more than `most`."""
    return most if spacing <= 0 else max(1, min(most, math.ceil(seconds / spacing)))


class Ration:
    """What a member may send without the engine: its part of half the reserve, evenly spread.

    The engine never grants the reserve, so the members on a ration and those that still reach the engine stay
    below the limit together. Where the API itself said just now that more than half of its limit is left, one
    request at a time goes beyond that. `chance` is from 0 to 1: the members do not all begin at once.
    """

    def __init__(
        self, now: float, *, limit: int, reserve: float, window: float, members: int, chance: float
    ) -> None:
        self.interval: float = members * window / max(1.0, limit * reserve / 2)
        """Seconds between two requests."""
        self.next_at: float = now + chance * self.interval
        """When the next request may be sent."""
        self._fresh = max(1.0, window / _FRESH)
        self._plenty_until = -inf

    def observe(self, now: float, left: int, quota: int) -> None:
        """The API says what is left of its limit."""
        self._plenty_until = now + self._fresh if 2 * left > quota else -inf

    def allows(self, now: float, *, in_flight: int) -> bool:
        """Whether a request may be sent now."""
        return now >= self.next_at or (in_flight == 0 and now < self._plenty_until)

    def spend(self, now: float) -> None:
        """Count a request that is sent."""
        if now >= self.next_at:
            self.next_at = now + self.interval
