"""A client in the wrong event loop, or over an unusable session, raises an error with cause and remedy."""

import asyncio
import ssl
import threading
import traceback
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from builds_async import (
    BuildsClient,
    BuildsConnectionError,
    ConfigurationError,
    RetryPolicy,
)
from tests.support import (
    ACCOUNT,
    BUILD_UUID,
    TOKEN,
    FakeClock,
    RawServer,
    answer,
    build,
    envelope,
    nothing_left,
)
from tests.support.failing import failure

GOOD = answer(envelope(build()))


def a_client(**options: Any) -> BuildsClient:
    return BuildsClient(**{"account_id": ACCOUNT, "api_token": TOKEN, "clock": FakeClock(), **options})


async def call(client: BuildsClient) -> None:
    await client.builds.get(BUILD_UUID)


class Thread:
    """An event loop in its own thread, as a second one next to the test's."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def other() -> Any:
    """A second event loop."""
    made = Thread()
    yield made
    made.close()


class TestSecondLoop:
    SAID = "this BuildsClient was first used in another event loop.*make a client in each event loop"

    def test_one_after_the_other(self) -> None:
        """A client used in a second `asyncio.run` raises an error, and can still be closed."""
        client = a_client(base_url="http://127.0.0.1:9", retry=RetryPolicy(attempts=1))

        async def first() -> None:
            await failure(client)

        asyncio.run(first())
        with pytest.raises(RuntimeError, match=self.SAID):
            asyncio.run(call(client))
        asyncio.run(client.aclose())

    @pytest.mark.parametrize("entered", [True, False])
    async def test_at_the_same_time(self, other: Thread, entered: bool) -> None:
        """A client used in another thread raises an error, whether it was used before or only entered."""
        async with RawServer(GOOD) as server, a_client(base_url=server.url) as client:
            if not entered:
                await call(client)
            with pytest.raises(RuntimeError, match=self.SAID):
                await other.run(call(client))
            await call(client)
        assert len(server.requests) == (1 if entered else 2)

    async def test_a_full_client(self, other: Thread) -> None:
        """A call in another loop raises even at the in-flight limit, and does not wait forever."""
        async with RawServer(GOOD) as server, a_client(base_url=server.url, max_in_flight=1) as client:
            assert client._session._gate.try_enter(poll=False)
            with pytest.raises(RuntimeError, match=self.SAID):
                await other.run(call(client))
            client._session._gate.leave(poll=False)

    async def test_entered(self, other: Thread) -> None:
        """Entering a client in another loop raises an error."""

        async def enter() -> None:
            async with client:
                pass

        async with RawServer(GOOD) as server:
            client = a_client(base_url=server.url)
            await call(client)
            with pytest.raises(RuntimeError, match=self.SAID):
                await other.run(enter())
            await client.aclose()

    async def test_borrowed(self, other: Thread) -> None:
        """A session created in another event loop is named as the cause."""
        sessions: list[aiohttp.ClientSession] = []

        async def make() -> None:
            sessions.append(aiohttp.ClientSession())

        await other.run(make())
        async with RawServer(GOOD) as server, a_client(base_url=server.url, session=sessions[0]) as client:
            with pytest.raises(RuntimeError, match=r"aiohttp\.ClientSession .* make it in the event loop"):
                await call(client)
        await other.run(sessions[0].close())


class TestNoLoop:
    @pytest.mark.parametrize("how", ["call", "enter", "follow", "borrowed"])
    async def test_named(self, how: str) -> None:
        """Without a running asyncio event loop, as under trio, the error says so."""
        session = aiohttp.ClientSession() if how == "borrowed" else None
        client = a_client(base_url="http://127.0.0.1:9", session=session)
        work: Callable[[], Coroutine[Any, Any, object]] = {
            "call": lambda: call(client),
            "enter": client.__aenter__,
            "follow": lambda: client.follow(BUILD_UUID).read(),
            "borrowed": lambda: call(client),
        }[how]

        def without_a_loop() -> None:
            coroutine = work()
            try:
                coroutine.send(None)
            finally:
                coroutine.close()

        with pytest.raises(RuntimeError, match=r"needs a running asyncio event loop.*trio"):
            await asyncio.get_running_loop().run_in_executor(None, without_a_loop)
        if session is not None:
            await session.close()


def with_auth(user: str, password: str) -> aiohttp.ClientSession:
    """A session with its own password, for which newer releases of aiohttp warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return aiohttp.ClientSession(auth=aiohttp.BasicAuth(user, password))


class TestBorrowedSession:
    @pytest.mark.parametrize(
        "credentials",
        [{}, {"api_token": None, "api_key": "k3y", "api_email": "ada@example.com"}],
        ids=["token", "key"],
    )
    async def test_auth(self, credentials: dict[str, Any]) -> None:
        """A session with `auth=` is rejected, because its password is not for the API."""
        clock = FakeClock()
        async with (
            RawServer(GOOD) as server,
            with_auth("ada", "pass~word") as session,
            a_client(base_url=server.url, session=session, clock=clock, **credentials) as client,
        ):
            error = await failure(client)
        assert isinstance(error, ConfigurationError)
        assert "leave out auth= and the netrc entry" in error.message
        assert (server.requests, clock.naps, error.transient) == ([], [], False)
        assert "pass~word" not in "".join(traceback.format_exception(error))

    async def test_netrc(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A session that finds credentials for the API in a netrc file is rejected."""
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login ada password pass~word\n")
        monkeypatch.setenv("NETRC", str(netrc))
        async with (
            RawServer(GOOD) as server,
            aiohttp.ClientSession(trust_env=True) as session,
            a_client(base_url=server.url, session=session) as client,
        ):
            error = await failure(client)
        assert isinstance(error, ConfigurationError)
        assert "netrc" in error.message
        assert server.requests == []
        assert "pass~word" not in "".join(traceback.format_exception(error))

    async def test_closed_by_its_owner(self) -> None:
        """The error for a session that its owner closed names that cause."""
        async with RawServer(GOOD) as server:
            session = aiohttp.ClientSession()
            async with a_client(base_url=server.url, session=session) as client:
                await call(client)
                await session.close()
                with pytest.raises(RuntimeError, match=r"Session is closed: .* its owner; keep it open"):
                    await call(client)


@asynccontextmanager
async def tls() -> AsyncIterator[str]:
    """A server with an untrusted certificate; yields its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    writers: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


class TestCertificate:
    async def test_untrusted(self) -> None:
        """An untrusted certificate is an error at once, with its remedy."""
        clock = FakeClock()
        async with nothing_left(), tls() as url, a_client(base_url=url, clock=clock) as client:
            error = await failure(client)
        assert type(error) is BuildsConnectionError
        assert error.message.startswith(f"the certificate of {url.removeprefix('https://')} is not trusted (")
        assert "set SSL_CERT_FILE" in error.message
        assert (error.transient, error.sent, error.attempts, clock.naps) == (False, False, 1, [])

    async def test_fingerprint(self) -> None:
        """A certificate with the wrong fingerprint is not retried."""
        clock = FakeClock()
        async with (
            tls() as url,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(b"x" * 32))
            ) as session,
            a_client(base_url=url, session=session, clock=clock) as client,
        ):
            error = await failure(client)
        assert "does not have the fingerprint" in error.message
        assert (error.transient, clock.naps) == (False, [])

    async def test_failed_handshake(self) -> None:
        """A handshake that fails for another reason is retried."""

        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with a_client(base_url=url, retry=RetryPolicy(attempts=2)) as client:
                error = await failure(client)
        assert error.message.startswith("could not connect (")
        assert (error.transient, error.attempts) == (True, 2)
