"""Time as an argument: everything that waits or measures takes a `Clock`, so that no test has to wait."""

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """A clock that only goes forward, and a way to sleep on it."""

    def now(self) -> float:
        """Seconds since some fixed moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed, or at the next turn of the loop if that is not positive."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    now: "staticmethod[[], float]" = staticmethod(time.monotonic)
    """Seconds since some fixed moment."""

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(max(0.0, seconds))

    def __repr__(self) -> str:
        return "SystemClock()"
