"""Tests the effects of stop signals, in process."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine

import pytest

from builds_async.cli import running
from builds_async.cli.exits import Terminated
from builds_async.cli.running import (
    WriteAbandoned,
    mark_stop_delivered,
    run_to_end,
    shielded,
    stops_requested,
)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, None)],
    ids=["SIGTERM", "SIGHUP", "SIGINT"],
)
def test_the_first_signal_cancels_and_waits_for_the_cleanup(number: signal.Signals, code: int | None) -> None:
    """The first signal cancels the work, and the error names it after the old handlers are restored."""
    before = [signal.getsignal(it) for it in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    cleaned: list[int] = []

    async def work() -> int:
        try:
            send(number)
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(stops_requested())
        return 0

    with pytest.raises((Terminated, KeyboardInterrupt)) as caught:
        run_to_end(work())
    assert cleaned == [1]
    assert getattr(caught.value, "code", None) == code
    assert stops_requested() == 0
    assert [signal.getsignal(it) for it in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before


def test_a_signal_wakes_the_event_loop() -> None:
    """A signal ends a long wait of the event loop at once."""
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGTERM))

    async def work() -> int:
        timer.start()
        await asyncio.sleep(20)
        return 0

    began = time.monotonic()
    with pytest.raises(Terminated):
        run_to_end(work())
    assert time.monotonic() - began < 10


def test_an_ignored_signal_stays_ignored() -> None:
    """A signal that nohup or a shell script ignores stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def work() -> int:
        send(signal.SIGHUP)
        await asyncio.sleep(0.01)
        return 7

    try:
        assert run_to_end(work()) == 7
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_abandoned_write_replaces_the_cancel() -> None:
    """The cleanup after an abandoned write is not canceled, and the command ends by the signal."""
    cleaned: list[bool] = []

    async def work() -> int:
        try:
            send(signal.SIGTERM)
            mark_stop_delivered()
            raise WriteAbandoned
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(True)

    with pytest.raises(Terminated):
        run_to_end(work())
    assert cleaned


async def _twice_outside(steps: list[str]) -> int:
    send(signal.SIGTERM)
    steps.append("first")
    send(signal.SIGTERM)
    steps.append("never")
    return 0


async def _twice_inside(steps: list[str]) -> int:
    with shielded():
        with shielded():
            send(signal.SIGTERM)
            send(signal.SIGTERM)
        steps.append("whole")
    steps.append("never")
    return 0


async def _thrice_inside(steps: list[str]) -> int:
    with shielded():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        steps.append("second")
        send(signal.SIGTERM)
        steps.append("never")
    return 0


@pytest.mark.parametrize(
    ("work", "steps"),
    [(_twice_outside, ["first"]), (_twice_inside, ["whole"]), (_thrice_inside, ["second"])],
    ids=["outside", "inside", "third"],
)
def test_the_second_signal(
    work: Callable[[list[str]], Coroutine[object, object, int]], steps: list[str]
) -> None:
    """A second signal raises at once, or after a shielded block; a third one raises even inside it."""
    taken: list[str] = []
    with pytest.raises(Terminated):
        run_to_end(work(taken))
    assert taken == steps


def test_a_shield_hides_no_error() -> None:
    """An error inside a shielded block propagates unchanged."""

    async def work() -> int:
        with shielded():
            raise LookupError

    with pytest.raises(LookupError):
        run_to_end(work())


def test_calls_in_threads() -> None:
    """A call in a thread returns its result or raises its error, as in any executor."""

    async def work() -> int:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)
        return await loop.run_in_executor(None, int, "7")

    assert run_to_end(work()) == 7


def test_without_some_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SIGHUP, as on Windows, the other signals still work."""
    monkeypatch.setattr(running, "_STOP_SIGNALS", (signal.SIGINT, signal.SIGTERM))
    before = signal.getsignal(signal.SIGHUP)

    async def work() -> int:
        assert signal.getsignal(signal.SIGHUP) == before
        send(signal.SIGTERM)
        await asyncio.sleep(10)
        return 0

    with pytest.raises(Terminated):
        run_to_end(work())
