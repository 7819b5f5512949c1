"""Requests that outlive the call that began them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from builds_async.errors import BuildsError, with_call
from builds_async.session.clock import Clock

T = TypeVar("T")


def retrieve_exception(request: "asyncio.Future[Any]") -> None:
    """Mark the exception of a request as seen: else asyncio logs it when no caller is left to take it."""
    if not request.cancelled():
        request.exception()


class SharedRequest(Generic[T]):
    """One request at a time that goes on when its caller is canceled; the next caller takes it over.

    It is for requests that must not be cut short: a pull that is canceled may have leased messages already,
    and a caller with a timeout shorter than the request would never get to the end of one.
    """

    def __init__(self) -> None:
        self._running: asyncio.Future[T] | None = None
        self._has_ended = False

    @property
    def is_running(self) -> bool:
        """Whether a request is under way, or its result was not taken yet."""
        return self._running is not None

    async def result(self, send: Callable[[], Coroutine[object, object, T]]) -> T | None:
        """The result of the request in flight, or of a new one; None if `end` took it away.

        `send` is passed with each call, not kept: it would tie the owner into a reference cycle, and an owner
        that is dropped has to go at once.
        """
        if self._running is None:
            self._running = asyncio.ensure_future(send())
            self._running.add_done_callback(retrieve_exception)
        running = self._running
        await asyncio.wait({running})
        if self._has_ended:
            return None
        if self._running is running:  # else another caller was quicker, and may have begun a new one
            self._running = None
        try:
            return running.result()
        finally:
            del running  # else an error would keep itself alive: its traceback holds this frame

    async def end(self) -> T | None:
        """Cancel the request in flight, for good; its result if it has one all the same."""
        self._has_ended = True
        running, self._running = self._running, None
        if running is None:
            return None
        running.cancel()
        await asyncio.wait({running})
        return None if running.cancelled() or running.exception() is not None else running.result()


class SharedTask(Generic[T]):
    """Work that several callers wait for. Canceling one leaves it to the others; the last one ends it."""

    def __init__(self, work: Coroutine[object, object, T]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(retrieve_exception)
        self._callers = 0

    @property
    def is_done(self) -> bool:
        """Whether the work has ended, in whatever way."""
        return self._task.done()

    async def wait(self) -> None:
        """Wait until the work has ended. If this is canceled and no other caller waits, the work is, too."""
        self._callers += 1
        try:
            await asyncio.wait({self._task})
        finally:
            self._callers -= 1
            if not self._callers:
                await self.aclose()

    def result(self) -> T | None:
        """The result of work that is done, None if it was canceled. Raises an error of its own to each."""
        if self._task.cancelled():
            return None
        error = self._task.exception()
        if error is None:
            return self._task.result()
        try:
            # A copy for each caller: one error in several tracebacks would grow with each of them.
            raise with_call(error) if isinstance(error, BuildsError) else error
        finally:
            del error  # else it would keep itself alive: its traceback holds this frame

    async def aclose(self) -> None:
        """Cancel the work, unless it is done."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})


async def together(*requests: Coroutine[object, object, None]) -> None:
    """Run requests at the same time until all are over; raises the first error, by itself.

    Canceled, it cancels them all.
    """
    if len(requests) == 1:  # no task is needed
        await requests[0]
        return
    tasks = [asyncio.ensure_future(request) for request in requests]
    for task in tasks:
        task.add_done_callback(retrieve_exception)
    try:
        await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
    for task in tasks:
        task.result()


class Tasks:
    """Named tasks that go on between two reads: a reader waits until one is done, or something is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._names: dict[asyncio.Task[None], str] = {}
        self._alarm: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._names)

    @property
    def names(self) -> set[str]:
        """The names of the tasks that are under way, or whose result was not taken yet."""
        return set(self._names.values())

    @property
    def has_failed(self) -> bool:
        """Whether a task has raised what `wait_until` has not raised yet."""
        return any(task.done() and not task.cancelled() and task.exception() for task in self._names)

    def start(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(retrieve_exception)
        self._names[task] = name

    async def wait_until(self, moment: float) -> None:
        """Wait until a task is done, or until `moment`. Raises what a task raised."""
        alarm = self._alarm = asyncio.ensure_future(self._clock.sleep(moment - self._clock.now()))
        try:
            done, _ = await asyncio.wait({alarm, *self._names}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
        for task in done - {alarm}:
            self._names.pop(task, None)
            if not task.cancelled():
                task.result()

    def wake(self) -> None:
        """Let a reader that waits go on: there may be something new to do."""
        if self._alarm is not None:
            self._alarm.cancel()

    async def aclose(self) -> None:
        """End all tasks. A reader that waits goes on, and is not canceled by that."""
        self.wake()
        for task in self._names:
            task.cancel()
        if self._names:
            await asyncio.wait(self._names)
        self._names.clear()
