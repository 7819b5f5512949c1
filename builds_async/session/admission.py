"""The gate that every request passes: the rate budget, and the limit on requests in flight."""

import asyncio
from collections import deque

from builds_async.session.budget import Budget


class InFlightLimit:
    """Allows at most `limit` requests in flight, of which `limit - 1` may be polls (1 if `limit` is 1).

    With a limit above 1, polls that hang never hold up a single call. Single calls go before polls; otherwise
    it is first come, first served. A canceled wait takes nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._poll_limit = max(1, limit - 1)
        self._taken = 0
        self._taken_by_polls = 0
        self._singles: deque[asyncio.Future[None]] = deque()
        self._polls: deque[asyncio.Future[None]] = deque()

    def try_acquire(self, *, poll: bool) -> bool:
        """Take a place if one is free and no request waits that goes first."""
        if self._taken >= self.limit or self._singles:
            return False
        if poll:
            if self._polls or self._taken_by_polls >= self._poll_limit:
                return False
            self._taken_by_polls += 1
        self._taken += 1
        return True

    async def acquire(self, *, poll: bool) -> None:
        """Wait for a place and take it."""
        if self.try_acquire(poll=poll):
            return
        queue = self._polls if poll else self._singles
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place was already given to this request
                self.release(poll=poll)
            elif turn in queue:
                queue.remove(turn)
            raise

    def release(self, *, poll: bool) -> None:
        """Return a place. It goes to the next request in line."""
        self._taken -= 1
        if poll:
            self._taken_by_polls -= 1
        if self._singles:
            self._wake_next(self._singles, poll=False)
        if self._polls:
            self._wake_next(self._polls, poll=True)

    def _wake_next(self, queue: deque[asyncio.Future[None]], *, poll: bool) -> None:
        while queue and self._has_room(poll=poll):
            turn = queue.popleft()
            if not turn.done():  # a done one was canceled
                # Counted now and not when its task runs, because another call could take the place first.
                self._taken += 1
                if poll:
                    self._taken_by_polls += 1
                turn.set_result(None)

    def _has_room(self, *, poll: bool) -> bool:
        return self._taken < self.limit and not (poll and self._taken_by_polls >= self._poll_limit)


class Admission:
    """Admits a request when the budget has room for it and a place in flight is free.

    Each request that enters leaves exactly once, whatever the outcome. `poll` marks a request of a live verb:
    single calls go first.
    """

    def __init__(self, budget: Budget, in_flight: InFlightLimit) -> None:
        self.budget = budget
        self.in_flight = in_flight

    def try_enter(self, *, poll: bool) -> bool:
        """Enter if that is possible without waiting."""
        if not self.in_flight.try_acquire(poll=poll):
            return False
        if self.budget.try_acquire(poll=poll):
            return True
        self.in_flight.release(poll=poll)
        return False

    async def enter(self, *, poll: bool, max_wait: float) -> bool:
        """Wait for the budget and for a place in flight, and enter.

        Returns False and takes nothing if the API blocks all requests for longer than `max_wait` seconds.
        A canceled wait takes nothing.
        """
        # The budget comes first: a request may wait for it for minutes, and must not hold a place meanwhile.
        while await self.budget.acquire(poll=poll, max_wait=max_wait):
            closings = self.budget.closings
            try:
                await self.in_flight.acquire(poll=poll)
            except asyncio.CancelledError:
                self.budget.give_back()
                raise
            if self.budget.closings == closings:
                return True
            # A 429 closed the gate while this request waited for its place, so it has to wait for the gate.
            self.turn_back(poll=poll)
        return False

    def turn_back(self, *, poll: bool) -> None:
        """Undo the entry of a request that was not sent."""
        self.in_flight.release(poll=poll)
        self.budget.give_back()

    def leave(self, *, poll: bool) -> None:
        """End a request that has entered, whatever the outcome."""
        self.budget.done(poll=poll)
        self.in_flight.release(poll=poll)
