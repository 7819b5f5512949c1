"""The rate budget of one process: how many requests are sent, and when."""

from collections.abc import Mapping

from builds_async.session.budget_protocol import Budget, BudgetSnapshot
from builds_async.session.clock import Clock, SystemClock
from builds_async.session.headers import Allowance
from builds_async.session.numbers import fraction, whole
from builds_async.session.numbers import seconds as checked_seconds
from builds_async.session.rate_window import LONGEST_CLOSURE, RateWindow
from builds_async.session.window_budget import WindowBudget

__all__ = ["LONGEST_CLOSURE", "Budget", "BudgetSnapshot", "RateBudget"]


class RateBudget(WindowBudget):
    """Paces requests so that the user of the token is never locked out.

    The API allows 1,200 requests per 5 minutes for each *user*, for all tokens and the dashboard together,
    and blocks all requests for 5 minutes once that is exceeded. So at most `limit` requests (1,200) are sent
    in any `window` seconds (300), minus the share `reserve` (0.1) for the user's other tools. Bursts are
    allowed. A request above the limit waits, first come, first served.

    - The limit is kept by the server's count too: a request counts from before it is sent until `window`
      seconds after its response.
    - `Ratelimit` headers are obeyed: the more other tools use of the limit, the less this budget sends. A
      reset more than an hour ahead counts as an hour, so that one absurd value does not stop the client.
    - A 429 closes the gate for all calls until Retry-After has passed, but at most for 5 minutes, which is
      the API's own block. When the gate opens, one request goes first, and the others follow one by one after
      its response.
    - A call that has to wait for more than 5 seconds logs how long and why (WARNING). Calls that wait for the
      same moment log it once.
    - Polls (of `follow` and other live verbs) leave a tenth of the limit free. Once a quarter is used, they
      are spread so that the rest lasts. If a live verb knows for how long its builds may still run
      (`set_horizon`), they are spread over that time from the start. Single calls never wait behind polls.

    Each client makes its own budget by default. To share one, pass it to several clients of the same user,
    which must run in the same event loop.

    ValueError or TypeError for a number that is out of range.
    """

    def __init__(self, *, limit: int = 1200, window: float = 300.0, reserve: float = 0.1) -> None:
        self._limit = whole("limit", limit, at_least=1)
        length = checked_seconds("window", window, above_zero=True)
        self._reserve = fraction("reserve", reserve)
        super().__init__(RateWindow(limit, length, reserve), SystemClock())

    def __repr__(self) -> str:
        return f"RateBudget(limit={self._limit}, window={self._window.length}, reserve={self._reserve})"

    def bind(self, clock: Clock) -> None:
        """Use `clock` from now on."""
        self._clock = clock

    def snapshot(self) -> BudgetSnapshot:
        """The state of the budget now."""
        return self._window.snapshot(self._clock.now())

    def try_acquire(self, *, poll: bool) -> bool:
        """Count a request and return True if it may be sent now and no other request waits in front of it."""
        turns = self._turns
        if turns.singles or (poll and turns.polls):
            return False
        if not poll and self._window.try_take():
            return True
        now = self._clock.now()
        if self._ready_at(now, poll=poll) > now:
            return False
        self._take(now, poll=poll)
        return True

    async def acquire(self, *, poll: bool, max_wait: float) -> bool:
        """Wait until a request may be sent, and count it.

        Returns False without counting if the API blocks all requests for longer than `max_wait` seconds;
        `max_wait` does not limit a wait for the budget's own window. A canceled wait counts nothing, and the
        next request in the queue takes its turn.
        """
        with self._turns.queue(poll=poll) as turn:
            if turn is not None:
                if self.blocked_for > max_wait:  # now, rather than when its turn comes
                    return False
                if not poll:  # polls are paced, so it is normal that they wait
                    ahead = len(self._turns.singles) - 1
                    self._warn(self._ready_at(self._clock.now(), poll=poll, ahead=ahead))
                await turn
            while True:
                now = self._clock.now()
                if self._window.blocked_until(now) - now > max_wait:
                    return False
                ready_at = self._ready_at(now, poll=poll)
                if ready_at <= now:
                    self._take(now, poll=poll)
                    return True
                self._warn(ready_at)
                await self._turns.nap(self._clock, ready_at - now)

    def done(self, *, poll: bool = False) -> None:
        """End a request that was sent, whatever the outcome. It counts for one more window from now."""
        if self._window.respond(self._clock.now(), poll=poll):
            self._turns.wake()

    def give_back(self) -> None:
        """End a request that was not sent after all, so that another one may go instead."""
        self._window.give_back()
        self._turns.wake()

    def close(self, seconds: float) -> float:
        """Hold back all requests for `seconds` after a 429, at most for 300. Returns the seconds."""
        seconds = self._window.close(self._clock.now(), seconds)
        self._turns.wake()
        return seconds

    def observe(self, allowances: Mapping[str, Allowance]) -> None:
        """Take in the `Ratelimit` headers of a response."""
        self._window.observe(self._clock.now(), allowances)
        self._turns.wake()

    def ready_in(self, *, poll: bool) -> float:
        """Seconds until one more request could be sent, after those that wait already; 0 if it could be now.

        Infinity while the first request after a 429 is in flight, because its response decides.
        """
        now = self._clock.now()
        polls = len(self._turns.polls) if poll else 0
        at = self._ready_at(now, poll=poll, ahead=len(self._turns.singles) + polls)
        if polls:
            at = max(at, self._window.next_poll_at + polls * self._window.poll_spacing(now))
        return at - now

    def _ready_at(self, now: float, *, poll: bool, ahead: int = 0) -> float:
        behind_singles = bool(self._turns.singles)
        return self._window.ready_at(now, poll=poll, ahead=ahead, behind_singles=behind_singles)

    def _take(self, now: float, *, poll: bool) -> None:
        self._window.take(now, poll=poll, waiting=len(self._turns))

    def _warn(self, until: float) -> None:
        """Log that calls wait until `until`."""
        window = self._window
        otherwise = f"this client has sent {window.capacity} requests in the last {window.length:g} s"
        self._log_wait(self._clock.now(), until, otherwise)
