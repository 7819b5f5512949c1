"""`SharedBudget` with an engine in memory, on a virtual clock: the limits of one and several members."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from itertools import pairwise
from math import inf

import pytest

from builds_async import GateClosed, Observation, Rationed
from builds_async.fleet import SharedBudget
from builds_async.fleet.memory import MemoryEngine
from builds_async.simulator import VirtualClock
from tests.support import nothing_left
from tests.support.case import cases
from tests.support.fleet import LIMIT, WINDOW, Engine, Judge, Member

CAPACITY = 270
GRACE = 6.0


class World:
    """An engine past its first window, the API, and members that stop at the end of the test."""

    def __init__(self) -> None:
        self.clock = VirtualClock(idle_turns=8, keep_naps=1)
        self.engine = Engine(self.clock)
        self.judge = Judge(self.clock)
        self.members: list[Member] = []

    async def member(self, callers: int = 0, **options: object) -> Member:
        pause, polls = options.pop("pause", 0.0), options.pop("polls", False)
        member = Member(self.engine, self.judge, seed=len(self.members) + 1, **options)
        self.members.append(member)
        await member.start(callers, pause=pause, polls=polls)  # type: ignore[arg-type]  # by name
        return member


@pytest.fixture
async def world() -> AsyncIterator[World]:
    it = World()
    first = await it.member()
    await it.clock.sleep(WINDOW)
    await first.stop()
    it.members.clear()
    yield it
    for member in it.members:
        await member.stop()


class TestOneMember:
    async def test_few_round_trips(self, world: World) -> None:
        """A block of tokens is fetched once, and refilled in the background when a quarter is left."""
        member = await world.member()
        for _ in range(30):
            await member.send()
        assert member.link.calls <= 4
        tasks = [member.send() for _ in range(40)]
        await asyncio.gather(*tasks)
        assert member.link.calls <= 6

    async def test_whole_capacity(self, world: World) -> None:
        """A single member may send all but the reserve at once; the next call waits for the window."""
        member = await world.member()
        began = world.clock.now()
        await asyncio.gather(*(member.send() for _ in range(CAPACITY)))
        assert world.clock.now() - began < 3
        await member.send()
        assert world.clock.now() - began > WINDOW
        assert (world.judge.refused, world.judge.most) == (0, CAPACITY)

    async def test_given_back(self, world: World) -> None:
        """Unused tokens are given back after some seconds, and an idle member makes no calls."""
        member = await world.member()
        await member.send()
        assert world.engine.users["default"].held[member.budget._supply._member] > 0
        await world.clock.sleep(20)
        calls = member.link.calls
        await world.clock.sleep(60)
        assert member.link.calls == calls
        assert sum(world.engine.users["default"].held.values()) == 0

    async def test_close_gives_back(self, world: World) -> None:
        """Closing the budget gives its tokens back, and the engine forgets the member."""
        member = await world.member()
        await member.send()
        await member.stop()
        state = world.engine.users["default"]
        assert (state.held, state.totals, state.spent) == ({}, {}, 1)

    async def test_polls_leave_a_tenth(self, world: World) -> None:
        """Polls leave a tenth for single calls, which never wait for polls."""
        poller = await world.member(callers=5, polls=True)
        await world.clock.sleep(8)
        assert poller.sent < 0.9 * CAPACITY
        began = world.clock.now()
        await poller.send()
        assert world.clock.now() - began < 0.5

    async def test_polls_are_spread(self, world: World) -> None:
        """Above a quarter of the capacity, polls are spread evenly over the window, so they never stop."""
        poller = await world.member(callers=5, polls=True)
        sent = []
        for _ in range(12):
            await world.clock.sleep(1)
            sent.append(poller.sent)
        rates = [b - a for a, b in pairwise(sent[2:])]
        assert all(8 <= rate <= 30 for rate in rates), str(rates)

    async def test_horizon(self, world: World) -> None:
        """With a horizon, the remaining requests are spread over that time."""
        poller = await world.member()
        verb = VirtualClock()  # any object that can be referenced weakly
        poller.budget.set_horizon(verb, 3.0)
        await poller.call(10, polls=True)
        await world.clock.sleep(3)
        assert 150 < poller.sent < 0.9 * CAPACITY, poller.sent

    async def test_snapshot(self, world: World) -> None:
        """The snapshot counts the requests of all members."""
        one, two = await world.member(), await world.member()
        for member in (one, two):
            await asyncio.gather(*(member.send() for _ in range(20)))
        await world.clock.sleep(6)
        await one.send()
        it = one.budget.snapshot()
        assert (it.capacity, it.members, it.rationed, it.closed_for) == (CAPACITY, 2, False, 0.0)
        assert 41 <= it.used <= 41 + 50
        assert it.left == it.capacity - it.used
        assert it.resets_in == pytest.approx(WINDOW)

    async def test_ready_in(self, world: World) -> None:
        """A request can be sent at once, even before there are tokens, until the window is full."""
        member = await world.member()
        assert member.budget.ready_in(poll=False) == 0
        assert member.budget.ready_in(poll=True) == 0
        await asyncio.gather(*(member.send() for _ in range(CAPACITY)))
        assert 0 < member.budget.ready_in(poll=False) <= WINDOW
        member.budget.close(3)
        assert member.budget.ready_in(poll=False) >= 3

    async def test_give_back(self, world: World) -> None:
        """A request that was not sent frees its token."""
        member = await world.member()
        for _ in range(3 * CAPACITY):
            assert await member.budget.acquire(poll=False, max_wait=inf)
            member.budget.give_back()
        assert world.clock.now() < WINDOW + 2

    async def test_max_wait(self, world: World) -> None:
        """A call that would wait longer than its maximum for a 429 is refused, even in the queue."""
        member = await world.member()
        member.budget.close(100)
        assert member.budget.blocked_for == member.budget.closed_for == 100
        patient = asyncio.ensure_future(member.budget.acquire(poll=False, max_wait=inf))
        await asyncio.sleep(0)
        assert not await member.budget.acquire(poll=False, max_wait=99)
        patient.cancel()
        assert not await member.budget.acquire(poll=False, max_wait=99)
        assert member.budget.closings == 1

    async def test_long_wait_is_logged(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """A call that waits for other members' requests logs a warning once."""
        world.judge.headers = False
        one, two = await world.member(), await world.member()
        await asyncio.gather(*(one.send() for _ in range(CAPACITY)))
        with caplog.at_level(logging.WARNING, logger="builds_async"):
            await two.send()
        assert [it.partition(": ")[2] for it in caplog.messages] == [
            "all members have sent 270 requests in the last 10 s"
        ]

    async def test_cancelled(self, world: World) -> None:
        """A canceled wait counts nothing, and the next one moves up."""
        member = await world.member()
        await asyncio.gather(*(member.send() for _ in range(CAPACITY)))
        first, second = (
            asyncio.ensure_future(member.budget.acquire(poll=False, max_wait=inf)) for _ in range(2)
        )
        await world.clock.sleep(1)
        first.cancel()
        assert await second
        member.budget.done()


class TestSeveral:
    @pytest.mark.parametrize("headers", [True, False], ids=["headers", "no headers"])
    async def test_at_the_limit(self, world: World, headers: bool) -> None:
        """Four members at the limit send as much as one could, and no more."""
        world.judge.headers = headers
        for _ in range(4):
            await world.member(callers=5)
        await world.clock.sleep(3 * WINDOW)
        assert world.judge.refused == 0
        assert world.judge.most <= CAPACITY
        assert world.judge.requests > 2.5 * CAPACITY
        sent = [member.sent for member in world.members]
        assert min(sent) > max(sent) / 3

    async def test_other_tools(self, world: World) -> None:
        """Members see the requests of other tools in the headers, even those that another member received."""
        one, two = await world.member(), await world.member()
        world.judge.window.spend(280, world.clock.now())
        await one.send()
        await world.clock.sleep(4)
        began = world.clock.now()
        await asyncio.gather(*(two.send() for _ in range(40)))
        assert world.clock.now() - began > 4
        assert world.judge.refused == 0

    async def test_gate(self, world: World) -> None:
        """A 429 of one member closes the gate for the others at once, and then a single request probes."""
        seen: list[Observation] = []
        one, two, three = [await world.member() for _ in range(3)]
        await asyncio.gather(*(it.send() for it in world.members))
        two.budget.report_to(seen.append)
        one.budget.close(5)
        await world.clock.sleep(0.01)
        began = world.clock.now()
        sends = [asyncio.ensure_future(it.send()) for it in (one, two, three) for _ in range(10)]
        await world.clock.sleep(4.9)
        assert world.judge.requests == 3
        await world.clock.sleep(0.15)
        assert world.judge.requests == 4
        await asyncio.gather(*sends)
        assert world.clock.now() - began < 9
        [closed] = seen
        assert isinstance(closed, GateClosed)
        assert closed.by_other
        assert closed.seconds == pytest.approx(5, abs=0.01)

    async def test_own_closing(self, world: World) -> None:
        """A member reports its own 429 once and ignores the echo."""
        seen: list[Observation] = []
        member = await world.member()
        stop = member.budget.report_to(seen.append)
        assert member.budget.close(900) == 300
        await world.clock.sleep(10)
        assert seen == [GateClosed(seconds=300.0, by_other=False)]
        stop()
        member.budget.close(1)
        assert len(seen) == 1


class TestLessons:
    """Errors of a prototype. `test_lesson_1` to `_10` of this folder cover all of its lessons."""

    async def test_lesson_1_a_closing_during_a_call(self, world: World) -> None:
        """A 429 during a call of the engine is reported as soon as the call returns."""
        world.engine.latency = 0.4
        one, two = await world.member(), await world.member()
        await two.send()
        await one.send()
        one.budget._supply._start(world.clock.now())
        await world.clock.sleep(0.1)
        one.budget.close(60)
        await world.clock.sleep(0.8)
        assert two.budget.closed_for > 58

    async def test_lesson_3_an_empty_engine(self, world: World) -> None:
        """An engine that comes back empty grants nothing until all members have reported their requests."""
        world.judge.headers = False
        members = [await world.member(callers=5) for _ in range(4)]
        await world.clock.sleep(5)
        world.engine.forget()
        began = world.judge.requests
        await world.clock.sleep(4.1)  # earlier grants have ended
        assert sum(len(member.budget._turns) for member in members) == 20
        ended = world.judge.requests
        assert ended - began < 200
        await world.clock.sleep(GRACE - 4.3)
        assert world.judge.requests == ended
        await world.clock.sleep(15)
        assert (world.judge.refused, world.judge.most <= CAPACITY) == (0, True)
        assert world.judge.requests > ended

    async def test_lesson_4_the_ration(self, world: World) -> None:
        """All members that are cut off share half of the reserve, so the total stays within the limit."""
        world.judge.headers = False
        members = [await world.member(callers=5) for _ in range(4)]
        await world.clock.sleep(1)
        for cut in members[:3]:
            cut.link.is_cut = True
        await world.clock.sleep(3 * WINDOW)
        before = sum(cut.sent for cut in members[:3])
        await world.clock.sleep(WINDOW)
        rationed = sum(cut.sent for cut in members[:3]) - before
        assert 6 <= rationed <= 15 * 3 / 4 + 3
        assert (world.judge.refused, world.judge.most <= 285) == (0, True)

    async def test_lesson_5_no_early_ration(self, world: World) -> None:
        """No ration is used before the engine counts the member as late, one session later."""
        world.judge.headers = False
        member = await world.member()
        await asyncio.gather(*(member.send() for _ in range(CAPACITY)))
        await world.clock.sleep(WINDOW + 1)
        await member.send()
        member.budget._supply.tokens.drop()
        world.engine.is_down = True
        began = world.clock.now()
        await member.send()
        assert world.clock.now() - began > GRACE

    async def test_lesson_10_no_await(self, world: World) -> None:
        """A loop that never waits for a response waits for the refill at its last token."""
        member = await world.member()
        for _ in range(200):
            assert await member.budget.acquire(poll=False, max_wait=inf)
            member.budget.done()
        assert world.clock.now() < WINDOW + 5


class TestRation:
    async def test_reported(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """Start and end of a ration are logged and reported once each, and the budget recovers afterwards."""
        seen: list[Observation] = []
        member = await world.member()
        member.budget.report_to(seen.append)
        await member.send()
        world.engine.is_down = True
        with caplog.at_level(logging.WARNING, logger="builds_async"):
            await world.clock.sleep(30)
            assert member.budget.snapshot().rationed
            assert member.budget.snapshot().left == 0
            world.engine.is_down = False
            await world.clock.sleep(5)
        began, ended = seen
        assert isinstance(began, Rationed)
        assert began.active
        assert began.interval == pytest.approx(WINDOW / 15)
        assert began.error is not None
        assert isinstance(ended, Rationed)
        assert (ended.active, ended.error) == (False, None)
        assert ended.seconds > 20
        assert len(caplog.messages) == 2
        assert not member.budget.snapshot().rationed
        await asyncio.gather(*(member.send() for _ in range(50)))

    async def test_stop(self, world: World) -> None:
        """With `when_down="stop"`, nothing is sent until the engine is back."""
        member = await world.member(callers=2, when_down="stop")
        await world.clock.sleep(1)
        world.engine.is_down = True
        await world.clock.sleep(5)
        sent = member.sent
        assert member.budget.ready_in(poll=False) == inf or member.sent
        await world.clock.sleep(60)
        assert member.sent == sent
        world.engine.is_down = False
        await world.clock.sleep(5)
        assert member.sent > sent

    async def test_plenty(self, world: World) -> None:
        """While the headers show more than half left, single requests exceed the ration."""
        member = await world.member(callers=3)
        await world.clock.sleep(1)
        world.engine.is_down = True
        await world.clock.sleep(25)
        sent = member.sent
        await world.clock.sleep(WINDOW)
        assert 60 < member.sent - sent <= LIMIT / 2 + 15
        assert world.judge.refused == 0

    async def test_reported_afterwards(self, world: World) -> None:
        """Requests sent on a ration count once the engine is back."""
        member = await world.member(callers=3)
        await world.clock.sleep(1)
        world.engine.is_down = True
        await world.clock.sleep(25)
        world.engine.is_down = False
        await world.clock.sleep(3)
        model = world.engine.users["default"]
        assert model.totals[member.budget._supply._member] >= member.sent - 5
        assert model.spent + sum(model.held.values()) >= len(world.judge.arrived) - 5

    async def test_down_from_the_start(self, caplog: pytest.LogCaptureFixture) -> None:
        """An unreachable engine at the start is no error: the ration is that of one in ten members."""
        world = World()
        world.judge.headers = False
        world.engine.is_down = True
        member = await world.member(callers=1)
        await world.clock.sleep(6 * WINDOW)
        assert 5 <= member.sent <= 10
        assert "requests wait until it can be reached" in caplog.text
        await member.stop()

    async def test_closing_while_down(self, world: World) -> None:
        """A 429 during an outage is reported when the engine is back."""
        one, two = await world.member(callers=1), await world.member()
        world.engine.is_down = True
        await world.clock.sleep(10)
        one.budget.close(60)
        await world.clock.sleep(5)
        world.engine.is_down = False
        await world.clock.sleep(2)
        assert 50 < two.budget.closed_for < 55


class TestMisuse:
    async def test_not_open(self) -> None:
        """A call before opening raises RuntimeError, as do a second opening and a call after closing."""
        budget = SharedBudget(MemoryEngine())
        with pytest.raises(RuntimeError, match="is not open: use it as `async with"):
            budget.try_acquire(poll=False)
        async with budget:
            with pytest.raises(RuntimeError, match="only once"):
                await budget.__aenter__()
        with pytest.raises(RuntimeError, match="is closed"):
            await budget.acquire(poll=False, max_wait=0)
        await budget.aclose()

    async def test_closed_while_waiting(self, world: World) -> None:
        """A call that is waiting when the budget closes gets a RuntimeError."""
        member = await world.member()
        await asyncio.gather(*(member.send() for _ in range(CAPACITY)))
        waiting = asyncio.ensure_future(member.send())
        await world.clock.sleep(0.1)
        await member.stop()
        with pytest.raises(RuntimeError, match="is closed"):
            await waiting

    async def test_fork(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A forked process may not use the tokens of its parent."""
        async with SharedBudget(MemoryEngine()) as budget:
            with monkeypatch.context() as patch:
                patch.setattr(os, "getpid", lambda: 1)
                with pytest.raises(RuntimeError, match="opened before a fork"):
                    budget.try_acquire(poll=False)

    async def test_second_loop(self) -> None:
        """Another event loop may not use the tokens."""
        async with SharedBudget(MemoryEngine()) as budget:
            errors: list[str] = []

            async def use() -> None:
                try:
                    await budget.acquire(poll=False, max_wait=0)
                except RuntimeError as error:
                    errors.append(str(error))

            thread = threading.Thread(target=asyncio.run, args=(use(),))
            thread.start()
            thread.join()
            assert errors == ["the SharedBudget was opened in another event loop: open one in each loop"]

    @cases(
        ("arguments", "reason"),
        [
            ({"limit": 0}, "limit must be at least 1"),
            ({"window": 0}, "window must be above 0"),
            ({"reserve": 1}, "reserve must be a number from 0 to below 1"),
            ({"user": "a{b"}, "user must be 1 to 200"),
            ({"when_down": "share"}, 'when_down must be "ration" or "stop"'),
        ],
    )
    def test_arguments(self, arguments: dict[str, object], reason: str) -> None:
        """An argument out of range is refused by name."""
        with pytest.raises(ValueError, match=reason):
            SharedBudget(MemoryEngine(), **arguments)  # type: ignore[arg-type]  # on purpose

    async def test_nothing_left(self) -> None:
        """A budget that is closed in any state leaves no task behind."""
        clock = VirtualClock()
        for down in (False, True):
            async with nothing_left():
                engine = Engine(clock)
                engine.is_down = down
                member = Member(engine, Judge(clock))
                await member.start(callers=3)
                await clock.sleep(1.5)
                await member.stop()


def test_repr() -> None:
    """The repr shows the arguments and no password."""
    budget = SharedBudget("redis://bot:s3cret@cache:1/2?password=s3cret", user="me")
    assert repr(budget) == (
        "SharedBudget('redis://cache:1/2', user='me', limit=1200, window=300.0, reserve=0.1,"
        " when_down='ration')"
    )


class TestNewEngine:
    """An engine without memory, which does not know the earlier requests of other members."""

    @cases(("headers", "least", "most"), [(True, 0.0, 0.3), (False, GRACE - 0.3, GRACE + 1)])
    async def test_second_request(self, headers: bool, least: float, most: float) -> None:
        """The second request waits for the API's headers or for the reports of all members."""
        world = World()
        world.judge.headers = headers
        member = await world.member()
        began = world.clock.now()
        await member.send()
        await member.send()
        assert least <= world.clock.now() - began <= most
        await member.stop()

    async def test_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        """The warning of the long wait gives the reason."""
        world = World()
        world.judge.headers = False
        member = await world.member()
        await member.send()
        await member.send()
        assert "the engine has just started to count" in caplog.text
        await member.stop()
