"""Requests that outlive the call that began them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from builds_async.errors import BuildsError, with_call
from builds_async.session.clock import Clock

T = TypeVar("T")


def retrieve_exception(request: "asyncio.Future[Any]") -> None:
    """Mark the exception of a request as retrieved: else asyncio logs it when no caller is left to do so."""
    if not request.cancelled():
        request.exception()


class SharedRequest(Generic[T]):
    """One request at a time that continues when its caller is canceled; the next caller takes it over.

    It is for requests that must not be cut short. A canceled pull may have leased messages already, and a
    caller whose timeout is shorter than the request would never get a response.
    """

    def __init__(self) -> None:
        self._running: asyncio.Future[T] | None = None
        self._has_ended = False

    @property
    def is_running(self) -> bool:
        """Whether a request is in flight, or its result was not taken yet."""
        return self._running is not None

    async def result(self, send: Callable[[], Coroutine[object, object, T]]) -> T | None:
        """The result of the request in flight, or of a new one; None if `end` canceled it.

        `send` is passed with each call and not kept: a reference to it would be a cycle, and a dropped owner
        could not be freed at once.
        """
        if self._running is None:
            self._running = asyncio.ensure_future(send())
            self._running.add_done_callback(retrieve_exception)
        running = self._running
        await asyncio.wait({running})
        if self._has_ended:
            return None
        if self._running is running:  # else another caller took it, and may have sent a new one
            self._running = None
        try:
            return running.result()
        finally:
            del running  # an error would keep itself alive: its traceback holds this frame, which holds it

    async def end(self) -> T | None:
        """Cancel the request in flight, and take no further ones; its result if it completed all the same."""
        self._has_ended = True
        running, self._running = self._running, None
        if running is None:
            return None
        running.cancel()
        await asyncio.wait({running})
        return None if running.cancelled() or running.exception() is not None else running.result()


class SharedTask(Generic[T]):
    """Work for which several callers wait. It is canceled when the last caller is."""

    def __init__(self, work: Coroutine[object, object, T]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(retrieve_exception)
        self._callers = 0

    @property
    def is_done(self) -> bool:
        """Whether the work has ended, in whatever way."""
        return self._task.done()

    async def wait(self) -> None:
        """Wait until the work has ended. Canceling the last caller that waits cancels the work."""
        self._callers += 1
        try:
            await asyncio.wait({self._task})
        finally:
            self._callers -= 1
            if not self._callers:
                await self.aclose()

    def result(self) -> T | None:
        """The result of work that has ended; None if it was canceled. Each caller gets its own error."""
        if self._task.cancelled():
            return None
        error = self._task.exception()
        if error is None:
            return self._task.result()
        try:
            # A copy for each caller: Python appends to the traceback of an error each time it is raised.
            raise with_call(error) if isinstance(error, BuildsError) else error
        finally:
            del error  # it would keep itself alive: its traceback holds this frame, which holds it

    async def aclose(self) -> None:
        """Cancel the work, unless it is done."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})


async def together(*requests: Coroutine[object, object, None]) -> None:
    """Run requests concurrently until all have ended, then raise the first error, not an ExceptionGroup.

    Canceling it cancels them all.
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
    """Named tasks that continue between two reads. A reader waits until one is done, or until a moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._names: dict[asyncio.Task[None], str] = {}
        self._alarm: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._names)

    @property
    def names(self) -> set[str]:
        """The names of the tasks that are running, or whose result was not taken yet."""
        return set(self._names.values())

    @property
    def has_failed(self) -> bool:
        """Whether a task has failed, and `wait_until` has not raised its error yet."""
        return any(task.done() and not task.cancelled() and task.exception() for task in self._names)

    def start(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(retrieve_exception)
        self._names[task] = name

    async def wait_until(self, moment: float) -> None:
        """Wait until a task is done, or until `moment`. Raises the error of a failed task."""
        # A future of its own, so that `wake` can end the wait without canceling the task of the reader.
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
        """Wake a waiting reader: there may be a new request to start."""
        if self._alarm is not None:
            self._alarm.cancel()

    async def aclose(self) -> None:
        """End all tasks. A waiting reader wakes up; it is not canceled."""
        self.wake()
        for task in self._names:
            task.cancel()
        if self._names:
            await asyncio.wait(self._names)
        self._names.clear()
