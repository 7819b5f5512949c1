"""Running a command so that Ctrl-C, SIGTERM and SIGHUP stop it cleanly.

The event loop's own signal handlers are not enough: they run between two callbacks, and a write to a full
pipe or a slow regular expression never gets there. So plain Python handlers count the signals, and each
place that can block decides what a signal means to it:

- The first signal cancels the command's task. A write that waits for its reader gives up (`sink`).
- The second one raises where the command is, unless that is `shielded`.
- The third one raises even there.
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
    """A write gave up because a stop signal arrived while its reader took nothing."""


class _Stops:
    """The stop signals that have arrived while a command runs."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.shields = 0
        self.is_delivered = False  # the command knows: it was cancelled, or a write raised

    def error(self) -> BaseException:
        """The error that ends the command."""
        last = self.received[-1]
        return KeyboardInterrupt() if last == signal.SIGINT else Terminated(last)


_stops = _Stops()


def run_to_end(work: Coroutine[object, object, int]) -> int:
    """Run the command's coroutine and return its exit code.

    After a stop signal and the clean-up it raises KeyboardInterrupt or Terminated instead. A signal that was
    ignored when the command started, as `nohup` does, stays ignored.
    """
    stops = _Stops()
    code = asyncio.run(_stoppable(work, stops))
    if code is None:
        raise stops.error()
    return code


async def _stoppable(work: Coroutine[object, object, int], stops: _Stops) -> int | None:
    """The exit code, or None if a stop signal ended the work."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(_DaemonThreads())
    task = cast("asyncio.Task[int | None]", asyncio.current_task())  # never None: this runs in one

    def cancel() -> None:
        if not stops.is_delivered:
            stops.is_delivered = True
            task.cancel()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stops.received.append(number)
        count = len(stops.received)
        if count == 1:
            # Not `task.cancel()`: this may run while the loop sleeps in its selector, and only a call that
            # writes to its wake-up pipe ends that sleep.
            loop.call_soon_threadsafe(cancel)
        elif count > 2 or not stops.shields:
            raise stops.error()

    with _current(stops), _handlers(dict.fromkeys(_STOP_SIGNALS, on_signal)):
        try:
            return await work
        except (asyncio.CancelledError, WriteAbandoned):
            if stops.received:
                return None
            raise


def stops_requested() -> int:
    """How many stop signals have arrived since the command's event loop started; 0 outside of it."""
    return len(_stops.received)


def mark_stop_delivered() -> None:
    """Note that an exception already stops the command.

    The cancel that is still queued would otherwise hit the clean-up that this exception starts.
    """
    _stops.is_delivered = True


@contextmanager
def shielded() -> Iterator[None]:
    """Make a second stop signal wait for the end of the block, which must be short.

    For two steps that belong together: a piece of output, and the record that it was written.
    """
    stops = _stops
    stops.shields += 1
    try:
        yield
    finally:
        stops.shields -= 1
    # The handler did not raise inside the block, so a second signal is still owed.
    if len(stops.received) > 1 and not stops.shields:
        raise stops.error()


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Let one Ctrl-C or SIGTERM end code that blocks the event loop, where a cancel would never arrive."""
    with _handlers({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}):
        yield


def terminate(number: int, _frame: FrameType | None) -> None:
    """The handler of SIGTERM while no event loop runs."""
    raise Terminated(number)


@contextmanager
def _handlers(handlers: Mapping[int, _Handler]) -> Iterator[None]:
    """Install signal handlers for the block. A signal that is ignored stays ignored."""
    before = {number: signal.getsignal(number) for number in handlers}
    # None: a handler that was not installed from Python could not be put back.
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
    """Make these the stops that the functions of this module look at."""
    global _stops  # noqa: PLW0603  # signals belong to the process
    outer, _stops = _stops, stops
    try:
        yield
    finally:
        _stops = outer


class _DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a daemon thread, which does not keep the process alive.

    A DNS look-up can't be cancelled. The threads of an ordinary pool would make the event loop, and then the
    interpreter, wait for it long after the command has its result or has to stop.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # the caller's to handle
                future.set_exception(error)

        Thread(target=call, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nothing."""
