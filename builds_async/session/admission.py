"""The gate that every request passes: the rate budget, and the limit on requests in flight."""

import asyncio
from collections import deque

from builds_async.session.budget import Budget


class Admission:
    """Admits a request when the budget has room for it and fewer than `limit` requests are in flight.

    `poll` marks a request of a live verb. At most `limit - 1` requests in flight are polls (1 if `limit` is
    1), so with a limit above 1, polls that hang never hold up a single call. Single calls go before polls;
    otherwise it is first come, first served.

    Each request that enters leaves exactly once, whatever the outcome.
    """

    def __init__(self, budget: Budget, limit: int) -> None:
        self.limit = limit
        """The maximum number of requests in flight."""

        self._budget = budget
        self._poll_limit = max(1, limit - 1)
        self._in_flight = 0
        self._polls_in_flight = 0
        self._singles: deque[asyncio.Future[None]] = deque()  # the requests that wait for a place
        self._polls: deque[asyncio.Future[None]] = deque()

    def try_enter(self, *, poll: bool) -> bool:
        """Enter if that is possible without waiting."""
        # Every request passes here and through `leave`, so neither calls more than it must.
        if self._singles or self._in_flight >= self.limit:
            return False
        if poll and (self._polls or self._polls_in_flight >= self._poll_limit):
            return False
        if not self._budget.try_acquire(poll=poll):
            return False
        self._in_flight += 1
        self._polls_in_flight += poll
        return True

    async def enter(self, *, poll: bool, max_wait: float) -> bool:
        """Wait for the budget and for a place in flight, and enter.

        Returns False and takes nothing if the API blocks all requests for longer than `max_wait` seconds.
        A canceled wait takes nothing.
        """
        # The budget comes first: a request may wait for it for minutes, and must not hold a place meanwhile.
        while await self._budget.acquire(poll=poll, max_wait=max_wait):
            closings = self._budget.closings
            try:
                await self._take_place(poll=poll)
            except asyncio.CancelledError:
                self._budget.give_back()
                raise
            if self._budget.closings == closings:
                return True
            # A 429 closed the gate while this request waited for its place, so it has to wait for the gate.
            self.turn_back(poll=poll)
        return False

    def turn_back(self, *, poll: bool) -> None:
        """Undo the entry of a request that was not sent."""
        self._free_place(poll=poll)
        self._budget.give_back()

    def leave(self, *, poll: bool) -> None:
        """End a request that was sent, whatever the outcome."""
        self._budget.done(poll=poll)
        self._in_flight -= 1
        self._polls_in_flight -= poll
        if self._singles or self._polls:
            self._wake()

    async def _take_place(self, *, poll: bool) -> None:
        queue = self._polls if poll else self._singles
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._wake()  # this one, if a place is free
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it got its place just before it was canceled
                self._free_place(poll=poll)
            elif turn in queue:
                queue.remove(turn)
            raise

    def _free_place(self, *, poll: bool) -> None:
        self._in_flight -= 1
        self._polls_in_flight -= poll
        self._wake()

    def _wake(self) -> None:
        """Give free places to the next requests in line."""
        for queue, poll in ((self._singles, False), (self._polls, True)):
            while queue and self._in_flight < self.limit:
                if poll and self._polls_in_flight >= self._poll_limit:
                    break
                turn = queue.popleft()
                if not turn.done():  # a done one is being canceled
                    # Counted here and not when the task runs, since another call could take the place before.
                    self._in_flight += 1
                    self._polls_in_flight += poll
                    turn.set_result(None)
