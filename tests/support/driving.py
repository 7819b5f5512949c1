"""Driving a coroutine by hand, so that a cancel can strike at each place where it waits."""

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
    """The step was cancelled where it waited."""


def drive(step: Coroutine[object, object, T], cancel_at: int | None = None) -> T:
    """Run a coroutine to its end, or cancel it where it waits for the n-th time."""
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
