"""The queues of a budget."""

import asyncio

import pytest

from builds_async.session.turns import Turns
from tests.support import VirtualClock, settle


async def test_in_order() -> None:
    """Each request gets its turn when the one before it leaves, and each queue has its own head."""
    turns, order = Turns(), list[str]()
    leave = {name: asyncio.Event() for name in "abpq"}

    async def wait(name: str, *, poll: bool) -> None:
        with turns.queue(poll=poll) as turn:
            if turn is not None:
                await turn
            order.append(name)
            await leave[name].wait()

    tasks = [asyncio.create_task(wait(name, poll=name in "pq")) for name in "abpq"]
    await settle(5)
    assert (order, len(turns)) == (["a", "p"], 4)
    leave["a"].set()
    await settle(5)
    assert (order, len(turns)) == (["a", "p", "b"], 3)
    for event in leave.values():
        event.set()
    await asyncio.gather(*tasks)
    assert (order[-1], len(turns)) == ("q", 0)


async def test_canceled_head() -> None:
    """A canceled head passes its turn on."""
    turns = Turns()

    async def wait() -> bool:
        with turns.queue(poll=False) as turn:
            if turn is None:
                await asyncio.Event().wait()
            else:
                await turn
            return True

    first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
    await settle(5)
    first.cancel()
    assert await second
    assert not turns.singles


@pytest.mark.parametrize("seconds", [60.0, float("inf")])
async def test_nap_woken(seconds: float) -> None:
    """`wake` ends a nap at once, whatever its length, and leaves no task behind."""
    turns, clock = Turns(), VirtualClock()
    before = asyncio.all_tasks()
    nap = asyncio.create_task(turns.nap(clock, seconds))
    await settle(5)
    turns.wake()
    await settle(5)
    assert nap.done()
    assert clock.now() == 0
    assert asyncio.all_tasks() == before


async def test_nap_over() -> None:
    """Without `wake`, a nap lasts its full time."""
    turns, clock = Turns(), VirtualClock()
    nap = asyncio.create_task(turns.nap(clock, 60))
    await clock.run_until(59)
    assert not nap.done()
    await clock.run_until(60)
    assert nap.done()
