"""The transport over real sockets: network and server failures, and no resources left behind."""

import asyncio
import gzip
import json
import zlib

import aiohttp
import pytest

from builds_async import (
    APIError,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    InternalServerError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async._version import __version__
from builds_async.session.aiohttp_transport import MAX_BODY, AiohttpTransport
from builds_async.session.transport import Request as WireRequest
from tests.support import (
    ACCOUNT,
    BUILD_UUID,
    TOKEN,
    Exchange,
    FakeClock,
    RawServer,
    Reply,
    answer,
    build,
    cut,
    envelope,
    head,
    log_page,
    nothing_left,
    raw,
    refusal,
    reset,
    settle,
    stall,
    tags,
    tasks,
)
from tests.support.case import cases
from tests.support.failing import failure
from tests.support.sockets import a_client, chunked

GOOD = answer(envelope(build()))
BODY = json.dumps(envelope(build())).encode()
ONCE = RetryPolicy(attempts=1)
MIB = 2**20


class TestRequest:
    async def test_on_the_wire(self) -> None:
        """A GET sends the token, the User-Agent and the accepted types and encodings, and no body headers."""
        async with RawServer(GOOD) as server, a_client(server.url + "/client/v4/") as client:
            await client.builds.get(BUILD_UUID)
        (request,) = server.requests
        assert request.method == "GET"
        assert request.target == f"/client/v4/accounts/{ACCOUNT}/builds/builds/{BUILD_UUID}"
        headers = dict(request.headers)
        assert headers.pop("accept-encoding")
        assert headers == {
            "host": f"127.0.0.1:{server.port}",
            "authorization": f"Bearer {TOKEN}",
            "accept": "application/json",
            "user-agent": f"builds-async/{__version__}",
        }

    @cases(
        ("build_uuid", "target"),
        [
            ("a b", "/builds/builds/a%20b/logs"),
            ("a?b=c&d#e", "/builds/builds/a%3Fb%3Dc%26d%23e/logs"),
            ("%2e%2e", "/builds/builds/%252e%252e/logs"),
            ("%2F..%2F", "/builds/builds/%252F..%252F/logs"),
            ("a\r\nX-Evil: 1", "/builds/builds/a%0D%0AX-Evil%3A%201/logs"),
            ("ü", "/builds/builds/%C3%BC/logs"),
        ],
    )
    async def test_path(self, build_uuid: str, target: str) -> None:
        """An id is one path segment on the wire, encoded once."""
        async with RawServer(answer(envelope(log_page()))) as server, a_client(server.url) as client:
            await client.builds.logs(build_uuid)
        assert server.targets == [target]
        assert "x-evil" not in server.requests[0].headers

    @cases(
        ("cursor", "query"),
        [
            ("WzAsMzRd", "WzAsMzRd"),
            ("a+b/c==", "a%2Bb%2Fc%3D%3D"),
            ("a%20b", "a%2520b"),
            ("a&page=2", "a%26page%3D2"),
            ("é \n", "%C3%A9%20%0A"),
            ("", ""),
        ],
    )
    async def test_cursor(self, cursor: str, query: str) -> None:
        """A cursor is opaque and is encoded once on the wire."""
        async with RawServer(answer(envelope(log_page()))) as server, a_client(server.url) as client:
            await client.builds.logs("b", cursor=cursor)
        assert server.targets == [f"/builds/builds/b/logs?cursor={query}"]

    async def test_bulk(self) -> None:
        """The commas of a bulk lookup are not encoded."""
        async with RawServer(answer(envelope({"builds": {}}))) as server, a_client(server.url) as client:
            await client.builds.by_version(["a", "b c"])
        assert server.targets == ["/builds/builds?version_ids=a,b%20c"]

    async def test_body(self) -> None:
        """A body is sent as JSON."""
        async with nothing_left(), RawServer(GOOD) as server:
            transport = AiohttpTransport(server.url, session=None, timeout=5)
            reply = await transport.send(WireRequest("POST", "/x", body=b'{"a": 1}', headers={"X-A": "b"}))
            await transport.aclose()
        assert (reply.status, reply.body) == (200, BODY)
        (request,) = server.requests
        assert (request.method, request.target) == ("POST", "/x")
        assert (request.headers["content-type"], request.headers["content-length"]) == (
            "application/json",
            "8",
        )
        assert request.headers["x-a"] == "b"

    async def test_kept_connection(self) -> None:
        """Consecutive calls reuse one connection."""
        async with RawServer(GOOD) as server, a_client(server.url) as client:
            for _ in range(5):
                await client.builds.get(BUILD_UUID)
        assert (len(server.requests), server.connections) == (5, 1)

    async def test_no_cookies(self) -> None:
        """A cookie from the server is not kept."""
        async with (
            RawServer(answer(envelope(build()), headers={"Set-Cookie": "a=b; Path=/"})) as server,
            a_client(f"http://localhost:{server.port}") as client,  # no jar keeps cookies of an IP address
        ):
            await client.builds.get(BUILD_UUID)
            await client.builds.get(BUILD_UUID)
        assert [request.headers.get("cookie") for request in server.requests] == [None, None]


class TestBroken:
    """Responses that never arrive complete."""

    @cases(
        ("reply", "said"),
        [
            pytest.param(cut(BODY), "the response was cut short (", id="cut"),
            pytest.param(cut(b""), "the response was cut short (", id="cut before the body"),
            pytest.param(raw(chunked(BODY[:50], end=False)), "the response was cut short (", id="cut chunks"),
            pytest.param(
                answer(b"no gzip", headers={"Content-Encoding": "gzip"}),
                "the response was cut short (",
                id="no gzip",
            ),
            pytest.param(raw(b""), "the connection failed (ServerDisconnectedError", id="closed"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nA: b\r\n"), "the connection failed (", id="cut headers"),
            pytest.param(reset(), "the connection failed (", id="reset"),
            pytest.param(reset(after=head(200, {"Content-Length": "99"}) + b"{"), "", id="reset in the body"),
            pytest.param(raw(b"\x16\x03\x01\x02\x00\x01\x00\x01"), "the connection failed (", id="TLS"),
            pytest.param(raw(b"220 smtp.example ESMTP\r\n"), "the connection failed (", id="SMTP"),
            pytest.param(raw(b"HTTP/1.1 abc\r\n\r\n"), "the connection failed (", id="no status"),
            pytest.param(raw(b"\x00" * 100_000), "the connection failed (", id="zeros"),
            pytest.param(
                raw(head(200, {"X-Long": "x" * 100_000})), "the connection failed (", id="long header"
            ),
            pytest.param(
                raw(head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n"), "", id="bad chunk size"
            ),
        ],
    )
    async def test_connection(self, reply: Reply, said: str) -> None:
        """A truncated or non-HTTP response is a connection error after the allowed number of attempts."""
        clock = FakeClock()
        async with (
            RawServer(reply) as server,
            a_client(server.url, retry=RetryPolicy(attempts=3), clock=clock) as client,
        ):
            error = await failure(client)
        assert type(error) is BuildsConnectionError
        assert error.message.startswith(said)
        assert isinstance(error.__cause__, aiohttp.ClientError)
        assert (error.sent, error.attempts, error.method) == (True, 3, "GET")
        assert error.path == f"/accounts/{ACCOUNT}/builds/builds/{BUILD_UUID}"
        assert len(server.requests) == 3
        assert len(clock.naps) == 2

    @pytest.mark.parametrize(
        "reply",
        [cut(BODY), reset(), raw(b""), raw(b"garbage"), raw(chunked(BODY[:9], end=False)), answer(b"<html>")],
        ids=["cut", "reset", "closed", "garbage", "cut chunks", "HTML"],
    )
    async def test_retried(self, reply: Reply) -> None:
        """A call retries a response that breaks once, and succeeds."""
        async with RawServer(reply, GOOD) as server, a_client(server.url) as client:
            assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID
        assert len(server.requests) == 2

    async def test_every_request_counts(self) -> None:
        """A request on a reused connection that breaks counts as an attempt and is followed by a pause."""
        clock = FakeClock()
        async with (
            RawServer(GOOD, raw(b""), raw(b""), GOOD) as server,
            a_client(server.url, clock=clock) as client,
        ):
            await client.builds.get(BUILD_UUID)
            await client.builds.get(BUILD_UUID)
        assert len(server.requests) == 4
        assert len(clock.naps) == 2

    async def test_connection_refused(self, unused_tcp_port: int) -> None:
        """A refused connection is an error with `sent=False`."""
        async with a_client(f"http://127.0.0.1:{unused_tcp_port}", retry=ONCE) as client:
            error = await failure(client)
        assert type(error) is BuildsConnectionError
        assert error.message.startswith("could not connect (")
        assert error.message.endswith("; check the network, DNS, proxy and base_url")
        assert (error.sent, error.attempts) == (False, 1)


class TestTimeout:
    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param(stall(), id="no answer"),
            pytest.param(stall(after=b"HTTP/1.1 200 OK\r\nContent-"), id="in the headers"),
            pytest.param(stall(after=head(200, {"Content-Length": "99"})), id="before the body"),
            pytest.param(stall(after=head(200, {"Content-Length": "9999"}) + BODY), id="in the body"),
            pytest.param(stall(after=chunked(BODY, end=False)), id="before the last chunk"),
        ],
    )
    async def test_stall(self, reply: Reply) -> None:
        """A response that stalls anywhere is a timeout: a BuildsConnectionError and a TimeoutError."""
        async with (
            RawServer(reply) as server,
            a_client(server.url, retry=RetryPolicy(attempts=2), timeout=0.02) as client,
        ):
            error = await failure(client)
            assert isinstance(error, BuildsTimeoutError)
            assert isinstance(error, BuildsConnectionError)
            assert isinstance(error, TimeoutError)
            assert error.message == "no complete response within 0.02 s; raise `timeout` or check the network"
            assert (error.sent, error.attempts, error.method) == (True, 2, "GET")
        assert len(server.requests) == 2

    async def test_trickle(self) -> None:
        """The timeout covers the whole response, so a body that trickles in hits it too."""

        async def trickle(exchange: Exchange) -> None:
            exchange.writer.write(head(200, {"Content-Length": "99999"}))
            while not exchange.writer.is_closing():
                exchange.writer.write(b" ")
                await exchange.writer.drain()
                await asyncio.sleep(0.001)

        async with (
            RawServer(trickle) as server,
            a_client(server.url, retry=ONCE, timeout=0.02) as client,
        ):
            assert isinstance(await failure(client), BuildsTimeoutError)

    async def test_each_attempt(self) -> None:
        """Each attempt gets the full timeout."""
        async with RawServer(stall(), GOOD) as server, a_client(server.url, timeout=0.02) as client:
            assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID
        assert len(server.requests) == 2


class TestSize:
    async def test_announced(self) -> None:
        """A body whose announced length is too large is rejected before it is read."""
        reply = stall(after=head(200, {"Content-Length": str(MAX_BODY + 1), "cf-ray": "r"}) + b"{")
        async with RawServer(reply) as server, a_client(server.url) as client:
            error = await failure(client)
        assert isinstance(error, ResponseDecodeError)
        assert error.message == "the response (200) is larger than 64 MiB"
        assert (error.status, error.ray_id, error.transient, error.attempts) == (200, "r", False, 1)

    @pytest.mark.slow
    async def test_endless(self) -> None:
        """An endless body is dropped at the size limit, together with its connection."""
        sent = 0

        async def endless(exchange: Exchange) -> None:
            nonlocal sent
            exchange.writer.write(head(200, {"Transfer-Encoding": "chunked"}))
            chunk = b"%x\r\n%s\r\n" % (MIB, b"x" * MIB)
            while True:
                exchange.writer.write(chunk)
                await exchange.writer.drain()
                sent += 1

        async with RawServer(endless) as server, a_client(server.url) as client:
            error = await failure(client)
            assert isinstance(error, ResponseDecodeError)
            assert error.message == "the response (200) is larger than 64 MiB"
            assert (error.status, error.transient, error.attempts) == (200, False, 1)
            await settle()
        assert 64 <= sent <= 80

    @pytest.mark.slow
    async def test_bomb(self) -> None:
        """A small compressed body that unpacks to a large one is rejected like a large one."""
        packer = zlib.compressobj(1, wbits=31)
        packed = b"".join(packer.compress(b" " * MIB) for _ in range(MAX_BODY // MIB + 8)) + packer.flush()
        assert len(packed) < MIB
        reply = answer(packed, headers={"Content-Encoding": "gzip"})
        async with RawServer(reply) as server, a_client(server.url) as client:
            error = await failure(client)
        assert isinstance(error, ResponseDecodeError)
        assert error.message == "the response (200) is larger than 64 MiB"
        assert (error.status, error.transient, error.attempts) == (200, False, 1)

    @pytest.mark.slow
    async def test_largest(self) -> None:
        """A body of exactly the maximum size is read."""
        reply = answer(b"x" * MAX_BODY)
        async with nothing_left(), RawServer(reply) as server:
            transport = AiohttpTransport(server.url, session=None, timeout=10)
            assert len((await transport.send(WireRequest("GET", "/"))).body) == MAX_BODY
            await transport.aclose()


class TestAnswer:
    @cases(
        "reply",
        [
            pytest.param(raw(chunked(BODY)), id="chunked"),
            pytest.param(raw(chunked(*(BODY[i : i + 1] for i in range(len(BODY))))), id="byte by byte"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\n\r\n" + BODY), id="until the end"),
            pytest.param(raw(b"HTTP/1.0 200 OK\r\n\r\n" + BODY), id="HTTP 1.0"),
            pytest.param(answer(gzip.compress(BODY), headers={"Content-Encoding": "gzip"}), id="gzip"),
            pytest.param(answer(zlib.compress(BODY), headers={"Content-Encoding": "deflate"}), id="deflate"),
            pytest.param(answer(BODY, headers={"Content-Type": "text/plain"}), id="other type"),
            pytest.param(answer(BODY, headers={"Content-Type": "a/b; charset=utf-16"}), id="other charset"),
        ],
    )
    async def test_read(self, reply: Reply) -> None:
        """A response is read in every framing and encoding."""
        async with RawServer(reply) as server, a_client(server.url, retry=ONCE) as client:
            assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID

    @cases(
        ("body", "start"),
        [
            (b"<!DOCTYPE html>\n<title>Sorry</title>", "<!DOCTYPE html> <title>Sorry</title>"),
            (b"", ""),
            (b"\xff\xfe", "��"),
            (b"error code: 1015", "error code: 1015"),
        ],
        ids=["HTML", "empty", "no UTF-8", "text"],
    )
    async def test_unreadable(self, body: bytes, start: str) -> None:
        """A 200 that is not JSON is retried, then raised as unreadable."""
        reply = answer(body, headers={"CF-RAY": "8f2c-FRA"})
        async with (
            RawServer(reply) as server,
            a_client(server.url, retry=RetryPolicy(attempts=2)) as client,
        ):
            error = await failure(client)
        assert isinstance(error, ResponseDecodeError)
        assert error.message.startswith("the response (200) can't be read: ")
        assert (error.status, error.body, error.ray_id) == (200, start, "8f2c-FRA")
        assert (error.transient, error.attempts) == (True, 2)

    async def test_html_502(self) -> None:
        """An HTML error page from a gateway is an error of its status, with the ray id."""
        reply = answer(b"<html>nginx</html>", status=502, headers={"cf-ray": "8f2c-FRA"})
        async with RawServer(reply) as server, a_client(server.url) as client:
            error = await failure(client)
        assert isinstance(error, InternalServerError)
        assert "the page says 'nginx'" in error.message
        assert (error.status, error.errors, error.ray_id, error.attempts) == (502, (), "8f2c-FRA", 4)


class TestRedirect:
    @cases("status", [301, 302, 303, 307, 308])
    async def test_not_followed(self, status: int) -> None:
        """A redirect is an error: no second host ever sees a request, let alone the token."""
        async with RawServer(GOOD) as other:
            reply = answer(b"", status=status, headers={"Location": f"{other.url}/elsewhere"})
            async with RawServer(reply) as server, a_client(server.url) as client:
                error = await failure(client)
            assert (other.connections, len(server.requests)) == (0, 1)
        assert type(error) is APIError
        assert error.message == (
            f"{status} the body is empty. Redirects are not followed,"
            " because the token would be sent there: check base_url"
        )
        assert (error.status, error.attempts) == (status, 1)

    async def test_refresh(self) -> None:
        """No other response header redirects the client either."""
        async with RawServer(GOOD) as other:
            headers = {
                "Refresh": f"0; url={other.url}",
                "Location": other.url,
                "Content-Location": other.url,
                "Alt-Svc": f'h2="127.0.0.1:{other.port}"',
            }
            async with (
                RawServer(answer(envelope(build()), headers=headers)) as server,
                a_client(server.url) as client,
            ):
                await client.builds.get(BUILD_UUID)
                await client.builds.get(BUILD_UUID)
            assert (other.connections, len(server.requests)) == (0, 2)


class TestLeft:
    """No resources are left behind: `a_client` asserts that when its block ends."""

    async def test_unused(self) -> None:
        """An unused client leaves nothing behind, closed or not."""
        async with nothing_left():
            async with a_client("http://127.0.0.1:1"):
                pass
            BuildsClient(account_id=ACCOUNT, api_token=TOKEN)

    async def test_own_session(self) -> None:
        """A client closes the session that it created."""
        async with RawServer(GOOD) as server, nothing_left():
            client = BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=server.url)
            await client.builds.get(BUILD_UUID)
            transport = client._session._transport
            assert isinstance(transport, AiohttpTransport)
            session = transport._session
            assert session is not None
            assert not session.closed
            await client.aclose()
            assert session.closed

    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param(stall(), id="before the answer"),
            pytest.param(stall(after=head(200, {"Content-Length": "99"}) + b"{"), id="in the body"),
        ],
    )
    async def test_cancel(self, reply: Reply) -> None:
        """A canceled call frees its connection and slot at once, and the next call goes out."""
        async with RawServer(reply, GOOD) as server, a_client(server.url, max_in_flight=1) as client:
            call = asyncio.create_task(client.builds.get(BUILD_UUID))
            while not server.requests:
                await asyncio.sleep(0)
            await settle()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID
        assert server.connections == 2

    async def test_timeout_around_a_call(self) -> None:
        """A caller's own timeout is a plain TimeoutError, not a BuildsError."""
        async with RawServer(stall()) as server, a_client(server.url) as client:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.01):
                    await client.builds.get(BUILD_UUID)
            assert not isinstance(caught.value, BuildsError)

    async def test_break(self) -> None:
        """A `break` out of a log loop leaves no task behind, even before the client closes."""
        pages = answer(envelope(log_page("a", "b", cursor="c", truncated=True)))
        async with (
            RawServer(answer(envelope(build(status="running"))), pages) as server,
            a_client(server.url) as client,
        ):
            before = tasks()
            async for line in client.follow(BUILD_UUID):
                assert line.message == "a"
                break
            assert tasks() == before

    async def test_bulk_error(self) -> None:
        """A bulk lookup that fails leaves none of its requests running."""
        refused = answer(refusal(12006, "Invalid token"), status=401)
        async with RawServer(stall(), stall(), refused) as server, a_client(server.url) as client:
            with pytest.raises(APIError, match="user-owned"):
                await client.builds.latest(tags(60))
            await settle()
        assert len(server.requests) == 3

    async def test_close_during_a_call(self) -> None:
        """Closing the client ends a call in flight with an error and no retry."""
        async with RawServer(stall()) as server, a_client(server.url) as client:
            call = asyncio.create_task(client.builds.get(BUILD_UUID))
            while not server.requests:
                await asyncio.sleep(0)
            await client.aclose()
            with pytest.raises((RuntimeError, BuildsConnectionError)):
                await call
            assert len(server.requests) == 1
