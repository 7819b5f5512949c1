"""The common base of `RateBudget` and `SharedBudget`: a window of requests, and queues."""

import logging
from math import inf

from builds_async.session.clock import Clock
from builds_async.session.rate_window import RateWindow
from builds_async.session.turns import Turns

logger: logging.Logger = logging.getLogger("builds_async")

_LONG_WAIT = 5.0  # seconds; a longer wait is logged


class WindowBudget:
    """The part of a budget that needs only the window of this process."""

    def __init__(self, window: RateWindow, clock: Clock) -> None:
        self._window: RateWindow = window
        self._clock: Clock = clock
        self._turns: Turns = Turns()
        self._warned_until: float = -inf

    @property
    def closed_for(self) -> float:
        """Seconds for which a 429 keeps the gate closed; 0 when it is open."""
        return max(0.0, self._window.closed_until - self._clock.now())

    @property
    def blocked_for(self) -> float:
        """Seconds for which a 429 or the API's headers block all requests; 0 if neither does."""
        now = self._clock.now()
        return self._window.blocked_until(now) - now

    @property
    def closings(self) -> int:
        """How often the gate was closed. A request counted before and not sent yet is given back."""
        return self._window.closings

    def set_horizon(self, poller: object, seconds: float | None, *, builds: int = 1) -> None:
        """Spread polls so that the budget lasts while `poller` polls; None removes its horizon.

        The largest horizon counts, up to the window. A horizon ends when its time is over or its `poller` is
        gone.
        """
        self._window.set_horizon(poller, self._clock.now(), seconds, builds)

    def _log_wait(self, now: float, until: float, otherwise: str) -> None:
        """Log that calls wait until `until`, unless that is soon, unknown or logged already.

        `otherwise` is the reason if the API itself does not block the requests.
        """
        if not max(now, self._warned_until) + _LONG_WAIT < until < inf:
            return
        self._warned_until = until
        if self._window.closed_until > now:
            why = "the API responded with 429"
        elif self._window.blocked_until(now) > now:
            why = "the API says that nothing is left of the rate limit"
        else:
            why = otherwise
        logger.warning("waiting %.0f s for the rate budget: %s", until - now, why)
