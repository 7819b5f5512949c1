"""How fast a member may send: how many polls it takes at a time, and the ration without an engine."""

from math import inf

_FRESH = 60  # the API's headers are believed for a sixtieth of a window


def tokens_for(seconds: float, spacing: float, most: int) -> int:
    """How many polls fit into `seconds` at that spacing: at least 1 and at most `most`."""
    return most if spacing <= 0 else max(1, min(most, int(seconds / spacing)))


class Ration:
    """The pace of a member that can't reach the engine: an equal share of half the reserve, evenly spread.

    The engine never grants the reserve. So the members on a ration and those that still reach the engine stay
    below the limit together. On top of the ration, one request at a time may be in flight while the API's
    latest headers say that more than half of the limit is left. `chance` is from 0 to 1 and delays the first
    request, so that the members do not all begin at once.
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
        """Note how many requests are left by the API's headers, out of `quota`."""
        self._plenty_until = now + self._fresh if 2 * left > quota else -inf

    def allows(self, now: float, *, in_flight: int) -> bool:
        """Whether a request may be sent now."""
        return now >= self.next_at or (in_flight == 0 and now < self._plenty_until)

    def spend(self, now: float) -> None:
        """Count a request that is sent."""
        if now >= self.next_at:
            self.next_at = now + self.interval
