"""The cap on requests in flight."""

import asyncio


class Places:
    """As many places as requests may be in flight at once, all but one of them open to polls.

    So ten polls that hang never hold up a single call. First come, first served; cancelled while waiting,
    a caller has taken nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._all = asyncio.Semaphore(limit)
        self._polls = asyncio.Semaphore(max(1, limit - 1))

    async def take(self, *, poll: bool) -> None:
        """Wait for a place."""
        if not poll:
            await self._all.acquire()
            return
        await self._polls.acquire()
        try:
            await self._all.acquire()
        except asyncio.CancelledError:
            self._polls.release()
            raise

    def leave(self, *, poll: bool) -> None:
        """Give a place back."""
        self._all.release()
        if poll:
            self._polls.release()
