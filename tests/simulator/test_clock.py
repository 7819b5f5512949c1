"""The virtual clock."""

import asyncio
import math
import socket
import time

import aiohttp
import pytest
from aiohttp import web

from builds_async.simulator import VirtualClock
from tests.support.case import cases


@pytest.mark.slow
async def test_an_hour_of_polling_by_several_tasks_passes_in_no_time() -> None:
    """An hour of polling by several tasks takes CPU time only, without waiting."""
    clock, began, polls = VirtualClock(), time.perf_counter(), 0

    async def poll() -> None:
        nonlocal polls
        for _ in range(3600):
            await clock.sleep(1.0)
            polls += 1

    await asyncio.gather(*(poll() for _ in range(5)))
    assert (clock.now(), polls) == (3600.0, 5 * 3600)
    assert time.perf_counter() - began < 10.0


async def test_sleepers_wake_in_order() -> None:
    """The earliest sleeper wakes first, and equals wake in the order of their sleeps."""
    clock, log = VirtualClock(start=100.0), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        log.append((name, clock.now()))

    await asyncio.gather(*(sleeper(n, s) for n, s in (("a", 3), ("b", 1), ("c", 3), ("d", 2.5), ("e", 1))))
    assert log == [("b", 101.0), ("e", 101.0), ("d", 102.5), ("a", 103.0), ("c", 103.0)]


async def test_one_jump_wakes_one_moment_only() -> None:
    """A jump wakes a single moment, and its tasks run before the next one."""
    clock, log = VirtualClock(), list[str]()

    async def busy() -> None:
        await clock.sleep(1.0)
        for _ in range(500):
            clock.now()
            await asyncio.sleep(0)
        log.append("done")

    async def next_one() -> None:
        await clock.sleep(1.0000001)
        log.append("next")

    await asyncio.gather(next_one(), busy())
    assert log == ["done", "next"]


async def test_a_canceled_sleeper_has_no_effect_on_time() -> None:
    """A canceled sleeper has no effect on time, which does not stop at its moment."""
    clock = VirtualClock()
    sleeper = asyncio.create_task(clock.sleep(5.0))
    await asyncio.sleep(0)
    assert clock.sleepers == 1
    sleeper.cancel()
    await asyncio.wait((sleeper,))
    assert clock.sleepers == 0
    seven, seen = asyncio.create_task(clock.sleep(7.0)), set[str]()
    while not seven.done():
        seen.add(repr(clock))  # looks without holding time
        await asyncio.sleep(0)
    assert (sleeper.cancelled(), clock.now()) == (True, 7.0)
    assert not [text for text in seen if "5.0" in text]


async def test_many_canceled_sleepers_leave_no_memory_behind() -> None:
    """Many canceled sleepers leave no memory behind, so that a poller's timeouts do not grow the clock."""
    clock = VirtualClock()
    with clock.hold():
        first = asyncio.create_task(clock.sleep(1.0))
        sleepers = [asyncio.create_task(clock.sleep(1e6)) for _ in range(1000)]
        await asyncio.sleep(0)
        for sleeper in sleepers:
            sleeper.cancel()
        await asyncio.wait(sleepers)
        assert len(clock._wakers) < 100
    await first
    assert clock.now() == 1.0


@cases("seconds", [0, 0.0, -1.0], ids=str)
async def test_a_zero_sleep_is_one_turn_of_the_loop(seconds: float) -> None:
    """A sleep of zero or less is one turn of the loop without a change of time."""
    clock, turns = VirtualClock(), 0

    def turn() -> None:
        nonlocal turns
        turns += 1

    asyncio.get_running_loop().call_soon(turn)
    await clock.sleep(seconds)
    assert (turns, clock.now()) == (1, 0.0)


async def test_it_does_nothing_while_no_task_sleeps() -> None:
    """An idle clock schedules no callbacks."""
    clock = VirtualClock()
    await clock.sleep(1.0)
    await asyncio.sleep(0)
    assert clock._pulse is None


async def test_it_keeps_the_last_naps_only() -> None:
    """The clock keeps only the last naps, in bounded memory."""
    clock = VirtualClock(keep_naps=3)
    for seconds in (1.0, 2.0, 0.0, 3.0):
        await clock.sleep(seconds)
    assert clock.naps == [2.0, 0.0, 3.0]


async def test_an_infinite_sleep_does_not_stop_the_others() -> None:
    """An infinite sleep never wakes, does not stop other sleepers, and never makes time infinite."""
    clock = VirtualClock()
    forever = asyncio.create_task(clock.sleep(math.inf))
    await clock.sleep(3.0)
    assert (forever.done(), clock.now()) == (False, 3.0)
    forever.cancel()


async def test_waiting_for_a_deadline_always_makes_progress() -> None:
    """A loop that sleeps until a deadline always terminates, despite float rounding."""
    clock = VirtualClock(start=0.1)
    for step in range(1, 50):
        deadline = clock.now() + 0.1 / step
        for _ in range(3):
            if clock.now() < deadline:
                await clock.sleep(deadline - clock.now())
        assert clock.now() >= deadline


async def _turns_of_a_sleep(clock: VirtualClock) -> int:
    """The turns of the loop, without any other task, until a sleep on this clock ends."""
    turns, loop = 0, asyncio.get_running_loop()
    select = loop._selector.select  # type: ignore[attr-defined]

    def counted(timeout: float | None) -> object:
        nonlocal turns
        turns += 1
        return select(timeout)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(loop._selector, "select", counted)  # type: ignore[attr-defined]
        await clock.sleep(60.0)
    return turns


async def test_time_jumps_at_once_if_nothing_else_can_happen() -> None:
    """Time jumps at once if no other event can happen."""
    assert await _turns_of_a_sleep(VirtualClock(idle_turns=1000)) <= 3


async def test_a_watched_socket_or_a_thread_keeps_time_for_all_turns() -> None:
    """A watched socket or a thread holds time for all idle turns, because its pending work is invisible."""
    mine, other = socket.socketpair()
    loop = asyncio.get_running_loop()
    with mine, other:
        loop.add_reader(mine, mine.recv, 1)
        assert await _turns_of_a_sleep(VirtualClock(idle_turns=40)) >= 40
        loop.remove_reader(mine)
    await asyncio.to_thread(int)
    assert await _turns_of_a_sleep(VirtualClock(idle_turns=40)) >= 40


async def test_time_waits_for_tasks_that_are_ready() -> None:
    """Time waits until ready tasks have run, however long the chain that wakes them."""
    clock, log = VirtualClock(), list[float]()

    async def chain(length: int) -> None:
        if length:
            await asyncio.create_task(chain(length - 1))
        log.append(clock._now)

    links = asyncio.create_task(chain(15))
    await clock.sleep(1.0)
    await links
    assert log == [0.0] * 16


async def test_hold_keeps_time_still() -> None:
    """`hold` stops time for all sleepers inside the block, including earlier ones."""
    clock = VirtualClock()
    before = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0)
    with clock.hold():
        inside = asyncio.create_task(clock.sleep(0.5))
        for _ in range(500):
            await asyncio.sleep(0)
        assert not before.done()
        assert not inside.done()
    await asyncio.gather(before, inside)
    assert clock.now() == 1.0


async def test_real_time_lets_real_time_pass() -> None:
    """Inside `real_time` a sleep takes real time, even if it is due before an older one."""
    clock, began = VirtualClock(), time.monotonic()
    with clock.real_time():
        later = asyncio.create_task(clock.sleep(20.0))
        await asyncio.sleep(0)
        await clock.sleep(0.01)
        assert 0.01 <= clock.now() <= time.monotonic() - began < 10.0
        assert not later.done()
    await later
    assert clock.now() == pytest.approx(20.0, abs=1.0)
    assert time.monotonic() - began < 10.0


async def test_a_request_in_flight_keeps_time_still() -> None:
    """A client and a server that read the clock with each request see no time pass in between."""
    clock, seen = VirtualClock(), list[float]()

    async def handle(_: web.BaseRequest) -> web.Response:
        for _turn in range(5):
            seen.append(clock.now())
            await asyncio.sleep(0)
        return web.Response(body=b"x" * 1_000_000)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    other = asyncio.create_task(clock.sleep(0.001))
    async with aiohttp.ClientSession() as session:
        for _ in range(20):
            clock.now()
            async with session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/") as response:
                await response.read()
            assert clock.now() == 0.0
    await other
    await runner.cleanup()
    assert (set(seen), clock.now()) == ({0.0}, 0.001)


def test_it_can_be_used_in_one_loop_after_another() -> None:
    """A loop that ended with sleepers does not stop the clock for the next loop."""
    clock = VirtualClock()

    async def leave_a_sleeper() -> None:
        sleeper = asyncio.create_task(clock.sleep(1.0))
        await asyncio.sleep(0)
        assert not sleeper.done()

    asyncio.run(leave_a_sleeper())
    asyncio.run(asyncio.wait_for(clock.sleep(2.0), 5.0))
    assert clock.now() == 2.0


def test_its_repr_has_the_time() -> None:
    """The repr has the time and the number of sleepers."""
    assert repr(VirtualClock(2.5)) == "VirtualClock(now=2.5, sleepers=0)"
