"""How fast a member goes: how many polls it takes at a time, and the ration without an engine."""

from math import inf

_FRESH = 60  # parts of a window, for one of which the API's word is believed


def tokens_for(seconds: float, spacing: float, most: int) -> int:
    """How many polls fit into `seconds` at that spacing: at least 1, and no more than `most`."""
    return most if spacing <= 0 else max(1, min(most, int(seconds / spacing)))


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
