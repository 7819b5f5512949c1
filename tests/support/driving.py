"""Drives a coroutine by hand, so that a cancellation can strike at each await."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def stepped(step: Coroutine[object, object, T], cancel_at: int | None = None) -> T:
    """Run a coroutine to its end, or cancel it after a number of turns of the event loop."""
    task = asyncio.ensure_future(step)
    if cancel_at is not None:
        for _ in range(cancel_at + 1):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait({task})
    if task.cancelled():
        raise CancelledStep
    return task.result()


class CancelledStep(Exception):  # noqa: N818  # not an error
    """The step was canceled at an await."""


def drive(step: Coroutine[object, object, T], cancel_at: int | None = None) -> T:
    """Run a coroutine to its end, or cancel it at its n-th await."""
    waits = 0
    try:
        while True:
            step.send(None)
            if waits == cancel_at:
                step.throw(asyncio.CancelledError())
            waits += 1
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    except asyncio.CancelledError:
        raise CancelledStep from None
