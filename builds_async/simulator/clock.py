"""A clock whose minutes pass in milliseconds, for a client, a simulator or both."""

import asyncio
import heapq
import itertools
import math
import selectors
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class VirtualClock:
    """A `Clock` that, once every task waits, jumps to the next moment at which a sleeping task is due.

    Any number of tasks may sleep at once. Time moves only while all tasks wait: when at least one task sleeps
    on this clock, and the event loop has made `idle_turns` turns in a row (50) without a call of this clock,
    time jumps to the earliest due moment. It jumps at once in a loop of asyncio in which nothing else is
    ready, and which has no open socket, pipe or thread that could wake it. All sleepers of that moment wake
    together, in the order in which they went to sleep; no others do. A simulator and a client that share the
    clock both read it with each request, so a request in flight on a loopback socket stops time, and a
    program on this clock behaves identically in every run. More `idle_turns` are safer and slower.

    It can't see real waiting. A real timer, a thread (such as a name lookup), a process or a peer outside
    this loop looks like idleness, and time runs ahead of it. Wrap such code in `hold()` or `real_time()`. A
    timeout of `asyncio` or `aiohttp` counts real seconds and does not follow this clock.

    `now()` starts at `start` seconds (0.0); `naps` keeps the last `keep_naps` durations (1000). Use a clock
    in one event loop at a time. It does no work while no task sleeps.
    """

    def __init__(self, start: float = 0.0, *, idle_turns: int = 50, keep_naps: int = 1000) -> None:
        self._now = start
        self._idle_turns = idle_turns
        self._naps: deque[float] = deque(maxlen=keep_naps)
        self._wakers: list[tuple[float, int]] = []
        self._sleepers: dict[int, asyncio.Future[None]] = {}
        self._numbers = itertools.count()
        self._quiet_turns = 0
        self._holders = 0
        self._real_users = 0
        self._real_since = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pulse: asyncio.Handle | None = None

    def __repr__(self) -> str:
        return f"VirtualClock(now={self._time()!r}, sleepers={len(self._sleepers)})"

    @property
    def naps(self) -> list[float]:
        """The durations of the last `keep_naps` sleeps, oldest first."""
        return list(self._naps)

    @property
    def sleepers(self) -> int:
        """How many tasks are asleep on this clock."""
        return len(self._sleepers)

    def now(self) -> float:
        """Seconds on this clock. The call stops time for another `idle_turns` turns of the loop."""
        self._quiet_turns = 0
        return self._time()

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed on this clock, or at the next turn of the loop if not positive.

        A canceled sleep leaves nothing behind: time does not stop where it would have ended.
        """
        self._quiet_turns = 0
        self._naps.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        # Not in the heap: this sleep ends only by cancellation, and must not keep time from moving.
        if seconds == math.inf:
            await future
        number = next(self._numbers)
        # The number keeps sleeps of the same moment in order, and keeps the heap from comparing futures.
        self._sleepers[number] = future
        heapq.heappush(self._wakers, (self._time() + seconds, number))
        self._arm(loop)
        try:
            await future
        finally:
            self._sleepers.pop(number, None)
            self._sweep()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Stop time inside this block; sleepers wait until it ends. May be nested."""
        self._holders += 1
        self._rearm()
        try:
            yield
        finally:
            self._holders -= 1
            self._quiet_turns = 0
            self._rearm()

    @contextmanager
    def real_time(self) -> Iterator[None]:
        """Let real time pass inside this block; after it, time jumps again. May be nested."""
        self._settle()
        self._real_users += 1
        self._rearm()
        try:
            yield
        finally:
            self._settle()
            self._real_users -= 1
            self._rearm()

    def _time(self) -> float:
        return self._now + (time.monotonic() - self._real_since if self._real_users else 0.0)

    def _settle(self) -> None:
        # Nested blocks share one stretch of real time: each start and end of a block adds what has passed.
        self._now = self._time()
        self._real_since = time.monotonic()
        self._quiet_turns = 0

    def _rearm(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
            self._pulse = None
        # The loop may be closed by now, after a test for instance; then its sleepers never wake.
        if self._sleepers and self._loop is not None and not self._loop.is_closed():
            self._arm(self._loop)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._pulse is not None and self._real_users:
            self._pulse.cancel()  # the new sleeper may be due before the timer
            self._pulse = None
        self._loop = loop
        if self._pulse is not None:
            return
        if self._real_users:
            wait = self._next_moment() - self._time()
            self._pulse = loop.call_later(max(wait, 0.0), self._ring) if wait < math.inf else None
        elif not self._holders:
            self._pulse = loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._pulse = None
        # Runs once per turn of the loop. Each call of `now` or `sleep` resets the count.
        self._quiet_turns += 1
        if self._quiet_turns < self._idle_turns and not is_idle(self._loop):
            # Nearly all turns end here. A clock with thousands of sleepers takes millions of them.
            if self._sleepers and not self._holders and self._loop is not None:
                self._pulse = self._loop.call_soon(self._turn)
            return
        moment = self._next_moment()
        if moment < math.inf:
            # `real_time` may already have moved the clock past the moment.
            self._now = max(self._now, moment)
            self._wake(moment)
        self._rearm()

    def _ring(self) -> None:
        self._pulse = None
        self._wake(self._time())
        self._rearm()

    def _next_moment(self) -> float:
        # Wakers of canceled sleeps are dropped when they reach the top, or all at once by `_sweep`.
        while self._wakers:
            moment, number = self._wakers[0]
            sleeper = self._sleepers.get(number)
            if sleeper is not None and not sleeper.done():
                return moment
            heapq.heappop(self._wakers)
        return math.inf

    def _wake(self, moment: float) -> None:
        self._quiet_turns = 0
        # Only the sleepers of this moment: they may have work to do before the next moment.
        while self._wakers and self._wakers[0][0] <= moment:
            _, number = heapq.heappop(self._wakers)
            sleeper = self._sleepers.pop(number, None)
            if sleeper is not None and not sleeper.done():
                sleeper.set_result(None)

    def _sweep(self) -> None:
        if len(self._wakers) > 2 * len(self._sleepers) + 64:  # left by canceled sleeps
            self._wakers = [waker for waker in self._wakers if waker[1] in self._sleepers]
            heapq.heapify(self._wakers)


def is_idle(loop: object) -> bool:
    """Whether the callback that asks is the last one, and no socket, pipe or thread can bring another.

    Loops other than asyncio's own don't show it: for them, and in doubt, the answer is False.
    """
    selector = getattr(loop, "_selector", None)
    return (
        getattr(loop, "_ready", None) == deque()
        and getattr(loop, "_default_executor", loop) is None
        and isinstance(selector, selectors.BaseSelector)
        and len(selector.get_map()) <= 1  # the pipe by which threads and signals wake the loop
    )
