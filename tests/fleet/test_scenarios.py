"""Four processes at the limit, on each of the bad days that a fleet is designed for.

Each scenario runs with twenty seeds on a virtual clock, with the API of `tests/support/fleet.py`: 300
requests in 10 s. `test_chaos_model.py` combines all events at random.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable

import pytest

from builds_async.simulator import VirtualClock
from tests.support.fleet import WINDOW, Engine, Judge, Member

SEEDS = int(os.environ.get("FLEET_SEEDS", "20"))

CAPACITY = 270
BOUND = CAPACITY + 15
"""The capacity, and half the reserve of 30, which is the maximum of all rations together."""

MEMBERS, CALLERS = 4, 5


class Crowd:
    """The members, and their random events."""

    def __init__(self, seed: int, *, headers: bool) -> None:
        self.random = random.Random(seed)  # noqa: S311  # the same every time
        self.clock = VirtualClock(idle_turns=8, keep_naps=1)
        self.engine = Engine(self.clock, seed)
        self.judge = Judge(self.clock, headers=headers)
        self.members: list[Member] = []

    async def join(self, *, pause: float = 0.0) -> None:
        """Add one member with its callers."""
        member = Member(self.engine, self.judge, seed=self.random.randrange(10**6))
        self.members.append(member)
        await member.start(CALLERS, pause=pause)

    async def leave(self) -> None:
        """End all members in good order."""
        for member in self.members:
            await member.stop()

    async def pause(self, low: float, high: float) -> None:
        """Let some time pass."""
        await self.clock.sleep(self.random.uniform(low, high))


async def calm(crowd: Crowd) -> None:
    """Let two windows pass."""
    await crowd.pause(2 * WINDOW, 2 * WINDOW)


async def stopped_and_killed(crowd: Crowd) -> None:
    """Stop members for up to 9 s, or kill and replace them."""
    end = crowd.clock.now() + 3 * WINDOW
    while crowd.clock.now() < end:
        await crowd.pause(0.5, 4)
        member = crowd.random.choice(crowd.members)
        if crowd.random.random() < 0.5:
            member.asleep_until = crowd.clock.now() + crowd.random.uniform(0.3, 9)
        else:
            crowd.members.remove(member)
            await member.crash()
            await crowd.join()


async def _down(crowd: Crowd, seconds: float, *, forgets: bool) -> None:
    crowd.engine.is_down = True
    if forgets:
        crowd.engine.forget()
    await crowd.pause(seconds, seconds)
    crowd.engine.is_down = False


async def frozen(crowd: Crowd) -> None:
    """Freeze the engine for 2 s, and later for 8 s."""
    for seconds in (2.0, 8.0):
        await crowd.pause(3, 9)
        await _down(crowd, seconds, forgets=False)


async def back_empty(crowd: Crowd) -> None:
    """Kill the engine, and restart it 8 s later without its data."""
    await crowd.pause(3, 9)
    await _down(crowd, 8.0, forgets=True)


async def _cut_off(crowd: Crowd, count: int, seconds: float) -> None:
    await crowd.pause(3, 9)
    cut = crowd.random.sample(crowd.members, count)
    for member in cut:
        member.link.is_cut = True
    await crowd.pause(seconds, seconds)
    for member in cut:
        member.link.is_cut = False


async def one_cut_off(crowd: Crowd) -> None:
    """Cut one of four members off from the engine for 18 s."""
    await _cut_off(crowd, 1, 18.0)


async def two_cut_off(crowd: Crowd) -> None:
    """Cut two of four members off from the engine for 3 to 9 s."""
    await _cut_off(crowd, 2, crowd.random.uniform(3, 9))


async def any_time(crowd: Crowd) -> None:
    """After 5 to 11 s, stop the engine for 3 to 9 s, with its data or without."""
    await crowd.pause(5, 11)
    await _down(crowd, crowd.random.uniform(3, 9), forgets=crowd.random.random() < 0.5)


SCENARIOS: tuple[Callable[[Crowd], Awaitable[None]], ...] = (
    *(calm, stopped_and_killed, frozen, back_empty),
    *(one_cut_off, two_cut_off, any_time),
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("headers", [True, False], ids=["headers", "no headers"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda it: it.__name__)
def test_no_429(scenario: Callable[[Crowd], Awaitable[None]], seed: int, headers: bool) -> None:
    """No request is refused, no window has more than 285 of 300, and all members continue afterwards."""
    judge, after = asyncio.run(_day(scenario, seed, headers=headers))
    assert (judge.refused, judge.most <= BOUND) == (0, True), f"at most {judge.most} in a window"
    assert after > 4 * CAPACITY * 2 / 3


async def _day(
    scenario: Callable[[Crowd], Awaitable[None]], seed: int, *, headers: bool
) -> tuple[Judge, int]:
    """The judge, and the number of requests in the four windows after the scenario.

    Callers at the limit send in bursts, one for each window. The API's headers have whole seconds, so a burst
    waits up to a second longer than a window, and one of the four may have a burst less.
    """
    crowd = Crowd(seed, headers=headers)
    for _ in range(MEMBERS):
        await crowd.join()
    await scenario(crowd)
    before = crowd.judge.requests
    await crowd.pause(4 * WINDOW, 4 * WINDOW)
    after = crowd.judge.requests - before
    await crowd.leave()
    return crowd.judge, after


@pytest.mark.parametrize("seed", range(SEEDS))
def test_one_429(seed: int) -> None:
    """A 429 of one member stops all others: only requests in flight arrive within its Retry-After."""
    asyncio.run(_closing(seed))


async def _closing(seed: int) -> None:
    crowd = Crowd(seed, headers=False)
    for _ in range(MEMBERS):
        await crowd.join(pause=0.5)
    await crowd.pause(2 * WINDOW, 2 * WINDOW)
    crowd.random.choice(crowd.members).budget.close(3.0)
    await crowd.clock.sleep(0.1)  # requests in flight
    before = crowd.judge.requests
    await crowd.clock.sleep(2.8)
    assert crowd.judge.requests == before
    await crowd.clock.sleep(3.0)
    assert crowd.judge.requests > before + MEMBERS * CALLERS
    await crowd.leave()
