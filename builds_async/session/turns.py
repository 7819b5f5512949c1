"""The queues of a budget: waiting requests go one at a time, first come, first served."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

from builds_async.session.clock import Clock


class Turns:
    """Two queues, one of single calls and one of polls. Only the head of a queue may be sent.

    A head that has to wait sleeps, and checks again when `wake` is called.
    """

    def __init__(self) -> None:
        self.singles: deque[asyncio.Future[None]] = deque()
        self.polls: deque[asyncio.Future[None]] = deque()
        self._naps: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self.singles) + len(self.polls)

    @contextmanager
    def queue(self, *, poll: bool) -> Iterator[asyncio.Future[None] | None]:
        """Stand in the queue while the block runs. Yields None at the head, else a future that ends the wait.

        However the block ends, even by cancellation, the next request in the queue gets its turn.
        """
        line = self.polls if poll else self.singles
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            yield None if line[0] is turn else turn
        finally:
            line.remove(turn)
            if line and not line[0].done():
                line[0].set_result(None)

    async def nap(self, clock: Clock, seconds: float) -> None:
        """Sleep, but at most until the next `wake`. Infinity waits for `wake` alone."""
        woken = asyncio.get_running_loop().create_future()
        self._naps.add(woken)
        sleeper = None if seconds == inf else asyncio.ensure_future(clock.sleep(seconds))
        try:
            if sleeper is None:
                await woken
                return
            done, _ = await asyncio.wait({woken, sleeper}, return_when=asyncio.FIRST_COMPLETED)
            if sleeper in done:
                sleeper.result()
        finally:
            self._naps.discard(woken)
            if sleeper is not None:
                sleeper.cancel()

    def wake(self) -> None:
        """Let the heads of the queues check again whether they may go."""
        for woken in self._naps:
            if not woken.done():
                woken.set_result(None)
