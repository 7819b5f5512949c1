"""The cap on requests in flight. Plain counters; a future only for who has to wait."""

import asyncio
from collections import deque


class Places:
    """As many places as requests may be in flight at once, all but one of them open to polls.

    So ten polls that hang never hold up a single call, and single calls go before polls. Among equals: first
    come, first served. Cancelled while waiting, a caller has taken nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._poll_limit = max(1, limit - 1)
        self._taken = 0
        self._taken_by_polls = 0
        self._singles: deque[asyncio.Future[None]] = deque()
        self._polls: deque[asyncio.Future[None]] = deque()

    def try_take(self, *, poll: bool) -> bool:
        """Take a place, if one is free and nobody waits for it."""
        if self._taken >= self.limit or self._singles:
            return False
        if poll:
            if self._polls or self._taken_by_polls >= self._poll_limit:
                return False
            self._taken_by_polls += 1
        self._taken += 1
        return True

    async def take(self, *, poll: bool) -> None:
        """Wait for a place and take it."""
        if self.try_take(poll=poll):
            return
        queue = self._polls if poll else self._singles
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it got its place in the moment in which it was cancelled
                self.leave(poll=poll)
            elif turn in queue:
                queue.remove(turn)
            raise

    def leave(self, *, poll: bool) -> None:
        """Give a place back, to who waits for it."""
        self._taken -= 1
        if poll:
            self._taken_by_polls -= 1
        if self._singles:
            self._call_up(self._singles, poll=False)
        if self._polls:
            self._call_up(self._polls, poll=True)

    def _call_up(self, queue: deque[asyncio.Future[None]], *, poll: bool) -> None:
        while queue and self._has_room(poll=poll):
            turn = queue.popleft()
            if not turn.done():  # else it is being cancelled
                self._count(poll=poll)
                turn.set_result(None)

    def _has_room(self, *, poll: bool) -> bool:
        return self._taken < self.limit and not (poll and self._taken_by_polls >= self._poll_limit)

    def _count(self, *, poll: bool) -> None:
        self._taken += 1
        if poll:
            self._taken_by_polls += 1
