"""Runs a command so that Ctrl-C, SIGTERM and SIGHUP stop it cleanly.

The event loop's own signal handlers are not enough: they run between two callbacks, which a write to a full
pipe or a slow regular expression prevents. So plain Python handlers count the signals, and each place that
can block decides how to react:

- The first signal cancels the command's task. A write that waits for its reader gives up (`sink`).
- The second signal raises an exception in the running code, unless that is `shielded`.
- The third signal raises it even there.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from types import FrameType
from typing import ParamSpec, TypeVar, cast

from builds_async.cli.exits import Terminated

P = ParamSpec("P")
T = TypeVar("T")

_Handler = Callable[[int, FrameType | None], object]

# Windows has no SIGHUP.
_STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class WriteAbandoned(BaseException):
    """A write gave up because a stop signal arrived."""


class _Stops:
    """The stop signals that have arrived while a command runs."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.shields = 0
        self.is_delivered = False  # the command was canceled, or a write raised

    def error(self) -> BaseException:
        """The error that ends the command."""
        last = self.received[-1]
        return KeyboardInterrupt() if last == signal.SIGINT else Terminated(last)


_stops = _Stops()


def run_to_end(work: Coroutine[object, object, int]) -> int:
    """Run the command's coroutine and return its exit code.

    After a stop signal, and once the cleanup has finished, raises KeyboardInterrupt or Terminated instead. A
    signal that was ignored when the command started, for instance by `nohup`, stays ignored.
    """
    stops = _Stops()
    code = asyncio.run(_stoppable(work, stops))
    if code is None:
        raise stops.error()
    return code


async def _stoppable(work: Coroutine[object, object, int], stops: _Stops) -> int | None:
    """Run the work; return its exit code, or None if a stop signal ended it."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(_DaemonThreads())
    task = cast("asyncio.Task[int | None]", asyncio.current_task())  # never None inside a coroutine

    def cancel() -> None:
        if not stops.is_delivered:
            stops.is_delivered = True
            task.cancel()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stops.received.append(number)
        count = len(stops.received)
        if count == 1:
            # Not `task.cancel()`: this may run while the loop sleeps in its selector, and only a write to the
            # loop's wake-up pipe ends that sleep.
            loop.call_soon_threadsafe(cancel)
        elif count > 2 or not stops.shields:
            raise stops.error()

    with _current(stops), signal_handlers(dict.fromkeys(_STOP_SIGNALS, on_signal)):
        try:
            return await work
        except (asyncio.CancelledError, WriteAbandoned):
            if stops.received:
                return None
            raise


def stops_requested() -> int:
    """The number of stop signals since the command's event loop started; 0 outside of it."""
    return len(_stops.received)


def mark_stop_delivered() -> None:
    """Record that an exception is already stopping the command.

    Otherwise the cancellation that is still queued would interrupt the cleanup.
    """
    _stops.is_delivered = True


@contextmanager
def shielded() -> Iterator[None]:
    """Delay the effect of a second stop signal until the end of the block, which must be short.

    For two steps that belong together: writing some output, and recording that it was written.
    """
    stops = _stops
    stops.shields += 1
    try:
        yield
    finally:
        stops.shields -= 1
    # The handler raised nothing inside the block, so a second signal is still pending.
    if len(stops.received) > 1 and not stops.shields:
        raise stops.error()


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end code that blocks the event loop and so can't be canceled."""
    with signal_handlers({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}):
        yield


def terminate(number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM while no event loop is running."""
    raise Terminated(number)


@contextmanager
def signal_handlers(handlers: Mapping[int, _Handler]) -> Iterator[None]:
    """Install signal handlers for the block, except for ignored signals."""
    before = {number: signal.getsignal(number) for number in handlers}
    # None: a handler that was not installed from Python, which could not be restored.
    replaced = {number: it for number, it in before.items() if it not in {signal.SIG_IGN, None}}
    for number in replaced:
        signal.signal(number, handlers[number])
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


@contextmanager
def _current(stops: _Stops) -> Iterator[None]:
    """Make the functions of this module use these stops during the block."""
    global _stops  # noqa: PLW0603  # signals are global to the process
    outer, _stops = _stops, stops
    try:
        yield
    finally:
        _stops = outer


class _DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a daemon thread, which does not keep the process alive.

    A DNS lookup can't be canceled. With an ordinary pool, the event loop and then the interpreter would wait
    for it at their end, long after the command has its result or was stopped.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call in a thread of its own."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # the caller handles it
                future.set_exception(error)

        Thread(target=call, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Return without waiting for any thread."""
