"""On bad days, on a virtual clock, the members of one budget never send too many requests.

There is one exception. Only the engine knows the requests of a process that has ended. If the engine loses
its memory within a window, only the API's headers can show them, so the two do not happen together here.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from math import inf

import pytest

from builds_async.simulator import VirtualClock
from tests.support.fleet import WINDOW, Engine, Judge, Member

SEEDS = int(os.environ.get("FLEET_SEEDS", "25"))
"""The number of days to try. Try hundreds before you trust a change of the protocol."""

BOUND = 285
"""The capacity of 270, and half the reserve of 30, which is the maximum of all rations together."""


class Day:
    """Two to five members and random events, which are the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  # the same every time
        self.clock = VirtualClock(idle_turns=8, keep_naps=1)
        self.engine = Engine(self.clock, seed)
        self.judge = Judge(self.clock, headers=self.random.random() < 0.5)
        self.members: list[Member] = []
        self.story: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.ended_at = -inf

    async def run(self) -> None:
        for _ in range(self.random.randint(2, 5)):
            await self.join()
        end = self.clock.now() + 4 * WINDOW
        while self.clock.now() < end:
            await self.clock.sleep(self.random.uniform(0.3, 5))
            await self.random.choice(self.happenings())()
        for member in self.members:
            await member.stop()
        for task in self.tasks:
            task.cancel()

    def happenings(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.crash,
            self.pause,
            self.cut,
            self.go_down,
            self.forget,
            self.lose,
            self.close,
            self.leave,
        ]

    def tell(self, what: str) -> None:
        self.story.append(f"{self.clock.now():.2f} {what}")

    async def join(self) -> None:
        member = Member(self.engine, self.judge, seed=self.random.randrange(10**6))
        pause, callers = self.random.choice([0.0, 0.0, 0.5, 5.0]), self.random.choice([1, 3, 8])
        self.members.append(member)
        self.tell(f"join {callers} callers, pause {pause}")
        await member.start(callers, pause=pause, polls=self.random.random() < 0.3)

    async def crash(self) -> None:
        if (member := self.take_known()) is None:
            return
        self.tell("crash")
        self.ended_at = self.clock.now()
        await member.crash()
        await self.join()

    async def leave(self) -> None:
        if (member := self.take_known()) is None:
            return
        self.tell("leave")
        self.ended_at = self.clock.now()
        await member.stop()
        await self.join()

    def take_known(self) -> Member | None:
        """A member that may end: the engine has not just forgotten it, so its requests stay known."""
        member = self.members[self.random.randrange(len(self.members))]
        model = self.engine.users.get("default")
        if model is None or member.budget._supply._member not in model.totals:
            return None
        self.members.remove(member)
        return member

    async def pause(self) -> None:
        member, seconds = self.random.choice(self.members), self.random.uniform(0.1, 9)
        self.tell(f"pause {seconds:.1f}")
        member.asleep_until = self.clock.now() + seconds

    async def cut(self) -> None:
        member, seconds = self.random.choice(self.members), self.random.uniform(0.5, 18)
        self.tell(f"cut {seconds:.1f}")
        member.link.is_cut = True
        self.later(seconds, lambda: setattr(member.link, "is_cut", False))

    async def go_down(self) -> None:
        seconds = self.random.uniform(0.5, 12)
        self.tell(f"down {seconds:.1f}")
        self.engine.is_down = True
        self.later(seconds, lambda: setattr(self.engine, "is_down", False))

    async def forget(self) -> None:
        if self.clock.now() < self.ended_at + WINDOW + 1:
            return  # only the engine knows the requests of a member that has ended
        await self.go_down()
        self.tell("and forgets")
        self.engine.forget()

    async def lose(self) -> None:
        member = self.random.choice(self.members)
        self.tell("lossy")
        member.link.lost = self.random.choice([0.0, 0.2, 0.6])

    async def close(self) -> None:
        self.tell("429")
        self.random.choice(self.members).budget.close(self.random.uniform(0.1, 3))

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        async def run() -> None:
            await self.clock.sleep(seconds)
            action()

        self.tasks.append(asyncio.ensure_future(run()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_day(seed: int) -> None:
    """No request is ever refused, and no window has more than the capacity and the rations."""
    day = Day(seed)
    await day.run()
    story = "\n".join([f"at most {day.judge.most} in a window", *day.story])
    assert (day.judge.refused, day.judge.most <= BOUND) == (0, True), story
