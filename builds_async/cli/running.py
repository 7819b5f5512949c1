"""Running a command's coroutine so that Ctrl-C and SIGTERM end it cleanly."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import cast

from builds_async.cli.exits import Terminated


def terminate(_number: int, _frame: FrameType | None) -> None:
    """The handler of SIGTERM while no event loop runs."""
    raise Terminated


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end what blocks the event loop, which would wait for the end of it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if before[signal.SIGINT] is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_to_end(work: Coroutine[object, object, int]) -> int:
    """The exit code of the work. Ctrl-C is a KeyboardInterrupt and SIGTERM a Terminated, after its clean-up.

    Both cancel the work where it waits, never in the middle of a write. A second one ends it at once.
    """
    return asyncio.run(_terminable(work))


async def _terminable(work: Coroutine[object, object, int]) -> int:
    loop = asyncio.get_running_loop()
    task = cast("asyncio.Task[int]", asyncio.current_task())  # never None: this runs in one
    told: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if told:
            terminate(number, frame)
        told.append(number)
        # The handler may run inside the loop's wait, which goes on until something wakes it.
        loop.call_soon_threadsafe(task.cancel)

    # Not the loop's own handlers: those never get a turn while a write blocks.
    before = signal.signal(signal.SIGTERM, stop)
    try:
        return await work
    except asyncio.CancelledError:
        if told:
            raise Terminated from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
