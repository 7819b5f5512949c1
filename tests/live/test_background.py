"""Requests that outlive their caller, and tasks that run between two reads."""

import asyncio

import pytest

from builds_async import BuildsTimeoutError
from builds_async.live.background import SharedRequest, Tasks
from tests.support import FakeClock, settle


class Server:
    """A server that responds on demand of the test; `sent` counts requests."""

    def __init__(self) -> None:
        self.sent = 0
        self.response: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def send(self) -> str:
        self.sent += 1
        return await self.response


async def cancelled(call: "asyncio.Task[str | None]") -> None:
    await settle()
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()


class TestSharedRequest:
    async def test_taken_over(self) -> None:
        """A request continues when its caller is canceled, and the next caller gets its response."""
        server = Server()
        shared: SharedRequest[str] = SharedRequest()
        await cancelled(asyncio.create_task(shared.result(server.send)))
        assert shared.is_running
        server.response.set_result("done")
        assert await shared.result(server.send) == "done"
        assert server.sent == 1
        assert not shared.is_running

    async def test_error_reaches_all_callers(self) -> None:
        """All callers that wait for the same request get its error, and the next call sends a new request."""
        server = Server()
        shared: SharedRequest[str] = SharedRequest()
        calls = [asyncio.create_task(shared.result(server.send)) for _ in range(2)]
        await settle()
        server.response.set_exception(BuildsTimeoutError("slow"))
        await asyncio.wait(calls)
        assert [type(call.exception()) for call in calls] == [BuildsTimeoutError] * 2
        server.response = asyncio.get_running_loop().create_future()
        server.response.set_result("done")
        assert await shared.result(server.send) == "done"
        assert server.sent == 2

    async def test_new_request_before_the_other_caller_wakes(self) -> None:
        """A caller that wakes after the next request was sent does not touch that request."""
        server = Server()
        shared: SharedRequest[str] = SharedRequest()

        async def twice() -> None:
            await shared.result(server.send)
            server.response = asyncio.get_running_loop().create_future()
            await shared.result(server.send)

        first = asyncio.create_task(twice())
        second = asyncio.create_task(shared.result(server.send))
        await settle()
        server.response.set_result("done")
        assert await second == "done"
        assert shared.is_running
        server.response.set_result("done")
        await first
        assert server.sent == 2

    @pytest.mark.parametrize("response", ["done", None], ids=["responded", "under way"])
    async def test_end(self, response: str | None) -> None:
        """Ending a request releases its caller and returns the response if there is one."""
        server = Server()
        shared: SharedRequest[str] = SharedRequest()
        call = asyncio.create_task(shared.result(server.send))
        await settle()
        if response is not None:
            server.response.set_result(response)
            await asyncio.sleep(0)  # one turn: the request is done, but its caller does not know yet
        assert await shared.end() == response
        assert await call is None

    async def test_end_of_nothing(self) -> None:
        """Without a request, there is nothing to end."""
        assert await SharedRequest[str]().end() is None


class TestTasks:
    async def test_error_of_a_task(self, clock: FakeClock) -> None:
        """The error of a task is raised once, in the waiting reader."""
        tasks = Tasks(clock)

        async def fail() -> None:
            raise BuildsTimeoutError("slow")

        tasks.start("a", fail())
        assert tasks.names == {"a"}
        with pytest.raises(BuildsTimeoutError):
            await tasks.wait_until(10)
        assert tasks.names == set()
        await tasks.wait_until(10)

    async def test_close_wakes_the_reader(self) -> None:
        """Closing ends all tasks, and a waiting reader continues without being canceled."""

        class Still(FakeClock):
            async def sleep(self, _: float) -> None:
                await asyncio.Event().wait()

        tasks = Tasks(Still())
        tasks.start("a", asyncio.sleep(3600))
        reader = asyncio.create_task(tasks.wait_until(10))
        await settle()
        await tasks.aclose()
        await asyncio.wait({reader})
        assert not reader.cancelled()
        assert tasks.names == set()
