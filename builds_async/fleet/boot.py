"""The time since the machine was started, which goes on while it sleeps.

A lease of a suspended machine has to end on that machine as it ends in the engine. `time.monotonic` stands
still during a suspend on Linux and macOS.
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
    """A `Clock` that counts the time for which the machine slept."""

    now: "staticmethod[[], float]" = staticmethod(_boot_time())
    """Seconds since the machine was started."""

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(max(0.0, seconds))

    def __repr__(self) -> str:
        return "BootClock()"
