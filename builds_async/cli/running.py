"""Running a command's coroutine so that Ctrl-C, SIGTERM and SIGHUP end it cleanly."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from types import FrameType
from typing import ParamSpec, TypeVar, cast

from builds_async.cli.exits import Terminated

P = ParamSpec("P")
T = TypeVar("T")

_STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interrupted(BaseException):
    """A write was given up because a stop signal came while its reader took nothing."""


class _Stops:
    """The stop signals that came while a command runs."""

    def __init__(self) -> None:
        self.signals: list[int] = []
        self.shields = 0
        self.delivered = False  # the command knows of it, as a cancel or as an Interrupted

    def error(self) -> BaseException:
        """What the command ends with."""
        last = self.signals[-1]
        return KeyboardInterrupt() if last == signal.SIGINT else Terminated(last)


_stops = _Stops()


def terminate(number: int, _frame: FrameType | None) -> None:
    """The handler of SIGTERM while no event loop runs."""
    raise Terminated(number)


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
    """The exit code of the work; after a stop signal a KeyboardInterrupt or Terminated, after its clean-up.

    The first signal cancels the work where it waits; a write that waits for its reader is given up, see
    `Sink`. The second one raises at once, wherever the work is, unless that is `shielded`; the third one
    raises there too. A signal that was ignored when the command started stays ignored.
    """
    stops = _Stops()
    code = asyncio.run(_stoppable(work, stops))
    if code is None:
        raise stops.error()
    return code


def stops_requested() -> int:
    """How many stop signals came since the command's event loop started; 0 outside of it."""
    return len(_stops.signals)


def interrupted() -> Interrupted:
    """The error for a write that is given up. It replaces the cancel, which would strike the clean-up."""
    _stops.delivered = True
    return Interrupted()


@contextmanager
def shielded() -> Iterator[None]:
    """Let a second stop signal wait for the end of the block, which must be short.

    For what belongs together: a piece of output, and the note that it was written.
    """
    stops = _stops
    stops.shields += 1
    try:
        yield
    finally:
        stops.shields -= 1
    if len(stops.signals) > 1 and not stops.shields:
        raise stops.error()


async def _stoppable(work: Coroutine[object, object, int], stops: _Stops) -> int | None:
    """The exit code of the work, None if it was stopped."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(_DaemonThreads())
    task = cast("asyncio.Task[int | None]", asyncio.current_task())  # never None: this runs in one

    def cancel() -> None:
        if not stops.delivered:
            stops.delivered = True
            task.cancel()

    def stop(number: int, _frame: FrameType | None) -> None:
        stops.signals.append(number)
        count = len(stops.signals)
        if count == 1:
            # The handler may run inside the loop's wait, which goes on until something wakes it.
            loop.call_soon_threadsafe(cancel)
        elif count > 2 or not stops.shields:
            raise stops.error()

    with _handling(stop, stops):
        try:
            return await work
        except (asyncio.CancelledError, Interrupted):
            if stops.signals:
                return None
            raise


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None], stops: _Stops) -> Iterator[None]:
    """Handle the stop signals, not as the loop would: its handlers get no turn while a write blocks."""
    global _stops  # noqa: PLW0603  # signals belong to the process
    outer, _stops = _stops, stops
    before = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    before = {number: it for number, it in before.items() if it not in {signal.SIG_IGN, None}}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, it in before.items():
            signal.signal(number, it)
        _stops = outer


class _DaemonThreads(ThreadPoolExecutor):
    """A thread for each call that does not keep the process from ending.

    Looking up a host name may take long after the command has its answer or has to stop. The loop and the
    interpreter would wait for the threads of an ordinary pool.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # it is the caller's
                future.set_exception(error)

        Thread(target=call, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nothing."""
