"""A clock that does not stop while the machine is suspended.

A suspended machine's lease ends in the engine, so it has to end on that machine as well. `time.monotonic`
stands still during a suspend on Linux and macOS.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import anyio


def _boot_time() -> Callable[[], float]:
    if sys.platform == "linux":
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":  # its CLOCK_MONOTONIC counts sleep; Python's `monotonic` is another clock
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    return time.monotonic


class BootClock:
    """A `Clock` that also counts the time during which the machine was suspended."""

    now: "staticmethod[[], float]" = staticmethod(_boot_time())
    """Seconds since the machine was started."""

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(max(0.0, seconds))

    def __repr__(self) -> str:
        return "BootClock()"
