"""The `Budget` protocol, which a client uses to pace its requests, and the snapshot of a budget."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from builds_async.session.clock import Clock
from builds_async.session.headers import Allowance


class BudgetSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a budget at one moment."""

    capacity: int
    """The maximum number of requests in one window, without the reserve for other tools."""

    used: int
    """How many requests were sent in the last window, including those in flight."""

    left: int
    """How many requests can be sent now."""

    resets_in: float
    """Seconds until all of `capacity` can be sent again, if nothing is sent in the meantime.

    By then the last request has left the window, the gate is open, and the API's own limit was reset.
    """

    closed_for: float
    """Seconds for which a 429 keeps the gate closed; 0 when it is open."""


class Budget(Protocol):
    """The pacing of a client. `RateBudget` is the one for a single process.

    `try_acquire` and `acquire` count a request. Each counted request ends exactly once: with `done` if it was
    sent, whatever the outcome, or with `give_back` if it was not. `poll` marks a request of a live verb:
    single calls go first.

    All methods are called in the client's event loop. Only `acquire` waits; the others return at once.
    """

    def bind(self, clock: Clock) -> None:
        """Use the client's clock. Called once, before the first request."""
        ...

    def try_acquire(self, *, poll: bool) -> bool:
        """Count a request and return True if it may be sent now and no other request waits in front of it."""
        ...

    async def acquire(self, *, poll: bool, max_wait: float) -> bool:
        """Wait until a request may be sent, and count it.

        Returns False without counting if the API blocks all requests for longer than `max_wait` seconds;
        `max_wait` does not limit a wait for the budget's own pacing. A canceled wait counts nothing.
        """
        ...

    def done(self, *, poll: bool = False) -> None:
        """End a counted request that was sent: it got its response, failed or was canceled."""
        ...

    def give_back(self) -> None:
        """End a counted request that was not sent after all."""
        ...

    def close(self, seconds: float) -> float:
        """Hold back all requests for `seconds`, or less, after a 429. Returns the seconds that it chose."""
        ...

    def observe(self, allowances: Mapping[str, Allowance]) -> None:
        """Take in the `Ratelimit` headers of a response."""
        ...

    @property
    def closings(self) -> int:
        """How often `close` was called. A request counted before and not sent yet is given back."""
        ...

    @property
    def blocked_for(self) -> float:
        """Seconds for which a 429 or the API's headers block all requests; 0 if neither does."""
        ...

    def ready_in(self, *, poll: bool) -> float:
        """Seconds until one more request could be sent, after those that wait already; 0 if it could be now.

        Infinity while that is unknown. The time is an estimate and reserves nothing: the request still has to
        be counted. A caller with many possible requests waits for that long and then picks the most urgent.
        """
        ...

    def set_horizon(self, poller: object, seconds: float | None, *, builds: int = 1) -> None:
        """Announce for how many seconds from now a live verb expects to poll, until its builds have ended.

        This is the horizon of the verb, `poller`. With None the verb has nothing to poll. `builds` is the
        number of builds that it polls: a shared budget gives more polls to a process with more builds. The
        largest horizon counts. A horizon ends when its time is over or its `poller` is gone. A budget may
        ignore horizons.
        """
        ...

    def snapshot(self) -> BudgetSnapshot:
        """The state of the budget now."""
        ...
