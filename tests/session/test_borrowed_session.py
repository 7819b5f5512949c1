"""A borrowed aiohttp session: which of its settings apply, and which are the client's."""

from typing import Any

import aiohttp
import pytest

from builds_async import (
    APIError,
    BuildsTimeoutError,
    NotFoundError,
    RetryPolicy,
)
from tests.support import (
    BUILD_UUID,
    TOKEN,
    RawServer,
    answer,
    build,
    envelope,
    refusal,
    stall,
)
from tests.support.case import cases
from tests.support.failing import failure
from tests.support.sockets import a_client

GOOD = answer(envelope(build()))
ONCE = RetryPolicy(attempts=1)


class TestBorrowedSession:
    @cases(
        "arguments",
        [
            pytest.param({"raise_for_status": True}, id="raise_for_status"),
            pytest.param({"base_url": "http://127.0.0.1:1/other/"}, id="base_url"),
            pytest.param({"timeout": aiohttp.ClientTimeout(total=1e-9)}, id="timeout"),
            pytest.param({"timeout": aiohttp.ClientTimeout(sock_read=1e-9)}, id="sock_read"),
            pytest.param({"headers": {"Authorization": "Bearer other", "accept": "text/html"}}, id="headers"),
            pytest.param({"cookies": {"a": "b"}}, id="cookies"),
            pytest.param({"trust_env": True}, id="trust_env"),
            pytest.param({"json_serialize": str}, id="json_serialize"),
        ],
    )
    async def test_own_settings(self, arguments: dict[str, Any]) -> None:
        """A session's own base URL, headers and timeout do not override the client's."""
        async with (
            RawServer(GOOD, answer(refusal(12000, "Not found"), status=404)) as server,
            aiohttp.ClientSession(**arguments) as session,
            a_client(server.url, session=session) as client,
        ):
            assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID
            error = await failure(client)
        assert isinstance(error, NotFoundError)
        assert (error.status, error.codes, error.attempts) == (404, (12000,), 1)
        assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {TOKEN}"}
        assert {request.headers["accept"] for request in server.requests} == {"application/json"}

    async def test_own_check(self) -> None:
        """A session's own `raise_for_status` is ignored."""

        async def check(response: aiohttp.ClientResponse) -> None:
            raise AssertionError(response.status)

        async with (
            RawServer(GOOD) as server,
            aiohttp.ClientSession(raise_for_status=check) as session,
            a_client(server.url, session=session) as client,
        ):
            assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID

    async def test_time_limit(self) -> None:
        """A client's timeout applies to a session that has none."""
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        async with (
            RawServer(stall()) as server,
            session,
            a_client(server.url, session=session, timeout=0.02, retry=ONCE) as client,
        ):
            assert isinstance(await failure(client), BuildsTimeoutError)

    async def test_redirect(self) -> None:
        """A redirect is not followed over a borrowed session either."""
        async with RawServer(GOOD) as other, aiohttp.ClientSession() as session:
            reply = answer(b"", status=307, headers={"Location": other.url})
            async with RawServer(reply) as server, a_client(server.url, session=session) as client:
                assert isinstance(await failure(client), APIError)
            assert other.connections == 0

    async def test_not_closed(self) -> None:
        """A borrowed session stays open and usable after the client closes."""
        async with RawServer(GOOD) as server, aiohttp.ClientSession() as session:
            for _ in range(2):
                async with a_client(server.url, session=session) as client:
                    await client.builds.get(BUILD_UUID)
                assert not session.closed
            with pytest.raises(RuntimeError, match="this BuildsClient is closed"):
                await client.builds.get(BUILD_UUID)
            async with session.get(server.url) as response:
                assert response.status == 200
        assert (len(server.requests), server.connections) == (3, 1)

    async def test_closed(self) -> None:
        """A session that its owner has closed is a RuntimeError, like any misuse."""
        async with RawServer(GOOD) as server:
            session = aiohttp.ClientSession()
            await session.close()
            async with a_client(server.url, session=session) as client:
                with pytest.raises(RuntimeError, match="Session is closed"):
                    await client.builds.get(BUILD_UUID)

    async def test_tracing(self) -> None:
        """A borrowed session's tracing sees the requests, and its default headers are sent."""
        seen: list[str] = []

        async def note(_: object, __: object, started: aiohttp.TraceRequestStartParams) -> None:
            seen.append(started.method)

        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(note)
        async with (
            RawServer(GOOD) as server,
            aiohttp.ClientSession(trace_configs=[trace], headers={"X-Mine": "1"}) as session,
            a_client(server.url, session=session) as client,
        ):
            await client.builds.get(BUILD_UUID)
        assert seen == ["GET"]
        assert server.requests[0].headers["x-mine"] == "1"
