"""Concurrent starts, and canceled starts."""

import asyncio
from collections.abc import Sequence

import pytest

from builds_async import (
    Build,
)
from builds_async.simulator import (
    VirtualClock,
)
from tests.resources.starting.support import LOST, Shop
from tests.support import nothing_left
from tests.support.case import cases


@cases("lost", [(0,), (1,), (0, 1), (0, 1, 2), (4,), (1, 3), (0, 1, 2, 3, 4)], ids=str)
async def test_each_its_own(lost: Sequence[int]) -> None:
    """Each concurrent start returns its own build, whichever responses get lost."""
    shop = Shop(VirtualClock(idle_turns=10))
    await shop.know()
    for number in range(5):
        if number in lost:
            shop.lose()
        else:
            shop.wire.losses.append(None)
    builds = await asyncio.gather(*(shop.start() for _ in range(5)))
    assert sorted(build.build_uuid for build in builds) == sorted(map(str, shop.wire.made))
    assert shop.wire.posts == 5


async def test_slow_response() -> None:
    """A lookup does not take the build of another call whose response is still in flight."""
    shop = Shop(VirtualClock(idle_turns=10))
    await shop.know()
    gate = asyncio.Event()
    shop.wire.gates += [gate, None]
    shop.wire.losses += [None, (LOST["connection"][0], False)]
    slow = asyncio.create_task(shop.start())
    lost = asyncio.create_task(shop.start())
    await shop.clock.sleep(60)  # both calls can only wait now
    gate.set()
    outcomes = await asyncio.gather(slow, lost, return_exceptions=True)
    given = [it.build_uuid for it in outcomes if isinstance(it, Build)]
    assert len(given) == len(set(given))
    assert isinstance(outcomes[0], Build)
    assert outcomes[0].build_uuid == shop.wire.made[0]


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
async def test_cancel_anywhere(arrived: bool) -> None:
    """A start can be canceled at any moment: nothing is sent twice, and nothing is left behind."""
    turns, done = 0, False
    while not done:
        async with nothing_left():
            shop = Shop(VirtualClock(idle_turns=2))
            shop.lose(arrived=arrived)
            task = asyncio.ensure_future(shop.start())
            for _ in range(turns):
                await asyncio.sleep(0)
            done = task.done()
            task.cancel()
            await asyncio.wait([task])
            assert shop.wire.posts <= 1
            assert task.cancelled() is not done
            assert not done or (task.exception() is None) is arrived
        turns += 1
    assert turns > 5
