"""The environment's proxy: which one is used, what it receives, and that its password stays private."""

import logging
import traceback
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from builds_async import (
    BuildsClient,
    BuildsConnectionError,
    ConfigurationError,
    RetryPolicy,
)
from builds_async.session.proxy import Proxy, proxy_for
from tests.support import (
    ACCOUNT,
    BASE_URL,
    BUILD_UUID,
    TOKEN,
    FakeClock,
    RawServer,
    Reply,
    answer,
    build,
    envelope,
    nothing_left,
    raw,
    reset,
)
from tests.support.failing import failure

API = URL(BASE_URL)
LOOPBACK = URL("http://127.0.0.1:1")
EVERY = ("https_proxy", "http_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*urllib.request.getproxies_environment(), "https", "http", "all", "no"}:
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class TestChoice:
    @pytest.mark.parametrize(
        ("environ", "url", "proxy"),
        [
            ({}, API, None),
            ({"https_proxy": "http://proxy:3128"}, API, "http://proxy:3128"),
            ({"HTTPS_PROXY": "http://proxy:3128"}, API, "http://proxy:3128"),
            ({"http_proxy": "http://proxy:3128"}, API, None),
            ({"all_proxy": "http://proxy:3128"}, API, "http://proxy:3128"),
            ({"https_proxy": "http://one:1", "ALL_PROXY": "socks5://two:2"}, API, "http://one:1"),
            ({"https_proxy": "http://proxy:3128", "no_proxy": "cloudflare.com"}, API, None),
            ({"https_proxy": "socks5://proxy:3128", "no_proxy": "*"}, API, None),
            ({"https_proxy": " "}, API, None),
            ({"http_proxy": "http://proxy:3128"}, LOOPBACK, None),
            ({"all_proxy": "socks5://proxy:3128"}, LOOPBACK, None),
        ],
        ids=[
            "none",
            "https",
            "capitals",
            "other scheme",
            "all",
            "https before all",
            "excepted",
            "all excepted",
            "blank",
            "loopback",
            "loopback, all",
        ],
    )
    def test_environment(
        self, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: URL, proxy: str | None
    ) -> None:
        """The environment's proxy is used, except for its exceptions and for this machine."""
        set_all(monkeypatch, environ)
        found = proxy_for(url)
        assert (None if found is None else str(found.url)) == proxy

    @pytest.mark.parametrize(
        ("value", "url", "told"),
        [
            ("proxy:3128", "http://proxy:3128", None),
            ("127.0.0.1:3128", "http://127.0.0.1:3128", None),
            ("proxy", "http://proxy", None),
            ("HTTP://Proxy.example.:8080/", "http://proxy.example.:8080", None),
            ("https://proxy:3128/some/path", "https://proxy:3128", None),
            ("http://[::1]:3128", "http://[::1]:3128", None),
            ("http://ada:pw@proxy:3128", "http://proxy:3128", basic("ada", "pw")),
            ("ada:pw@proxy:3128", "http://proxy:3128", basic("ada", "pw")),
            ("http://ada@proxy:3128", "http://proxy:3128", basic("ada", "")),
            ("http://a%40b:p%3A%2F%C3%A9@proxy:1", "http://proxy:1", basic("a@b", "p:/é")),
            ("http://ada:p@ss:w/o@proxy:1", "http://proxy:1", basic("ada", "p@ss:w/o")),
        ],
        ids=lambda value: value if isinstance(value, str) and "proxy" in value else "",
    )
    def test_written(self, monkeypatch: pytest.MonkeyPatch, value: str, url: str, told: str | None) -> None:
        """A proxy URL is parsed as curl parses it, and the user and password are removed from it."""
        monkeypatch.setenv("HTTPS_PROXY", value)
        headers = {} if told is None else {"Proxy-Authorization": told}
        assert proxy_for(API) == Proxy(URL(url), headers)


def told(error: BaseException) -> str:
    """The traceback with local variables, except for this module, which knows the password."""
    it = traceback.TracebackException.from_exception(error, capture_locals=True)
    it.stack = traceback.StackSummary.from_list([frame for frame in it.stack if frame.filename != __file__])
    return "".join(it.format())


PASSWORD = "q"  # as short as possible

REFUSED = [
    ("HTTPS_PROXY", "socks5://127.0.0.1:1080", "HTTPS_PROXY names a SOCKS proxy, which is not supported"),
    ("all_proxy", "socks5h://u:q@h:1080", "all_proxy names a SOCKS proxy, which is not supported"),
    ("https_proxy", "SOCKS4://h", "https_proxy names a SOCKS proxy, which is not supported"),
    ("https_proxy", "http://h:99999", "https_proxy must have a port from 1 to 65535, not 99999"),
    ("HTTPS_PROXY", "http://u:q@h:0", "HTTPS_PROXY must have a port from 1 to 65535, not 0"),
    ("HTTPS_PROXY", "http://h:99999999", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "http://h:port", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "ftp://u:q@h", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "http://", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "http://u:q@", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "http://a b", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "http://a..b:1", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", f"http://{'a' * 64}:1", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "http://[::1", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "http://[:.]:1", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "://", "HTTPS_PROXY must be the URL of a proxy"),
    ("HTTPS_PROXY", "u:q://h", "HTTPS_PROXY must be the URL of a proxy"),
]


@pytest.mark.parametrize(("variable", "value", "said"), REFUSED, ids=[value for _, value, _ in REFUSED])
def test_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str) -> None:
    """An unusable proxy is rejected when the client is created, by the name of its variable alone."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=said) as caught:
        BuildsClient(account_id=ACCOUNT, api_token=TOKEN)
    assert not caught.value.transient
    shown = f"{caught.value!r} {told(caught.value)}"
    assert f"u:{PASSWORD}" not in shown
    assert f"'{PASSWORD}'" not in shown


@asynccontextmanager
async def through(
    monkeypatch: pytest.MonkeyPatch, reply: Reply, userinfo: str = "", *, attempts: int = 2, **how: Any
) -> AsyncIterator[tuple[RawServer, BuildsClient]]:
    """A client of an API that is reachable only through this proxy."""
    async with nothing_left(), RawServer(reply) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{userinfo}127.0.0.1:{proxy.port}")
        async with BuildsClient(
            account_id=ACCOUNT,
            retry=RetryPolicy(attempts=attempts),
            clock=FakeClock(),
            **(how or {"api_token": TOKEN}),
        ) as client:
            yield proxy, client


REPLIES = {
    "407": answer(b"", status=407),
    "403": answer(b"", status=403),
    "502": answer(b"", status=502),
    "closed": raw(b""),
    "garbage": raw(b"garbage"),
    "reset": reset(),
}


class TestSecrets:
    @pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
    @pytest.mark.parametrize(
        "credentials",
        [{"api_token": TOKEN}, {"api_key": TOKEN, "api_email": "ada@example.com"}],
        ids=["token", "key"],
    )
    async def test_credentials_of_the_api(
        self, monkeypatch: pytest.MonkeyPatch, reply: Reply, credentials: dict[str, Any]
    ) -> None:
        """The proxy gets no API credential, because its handshake is plain text on the network."""
        async with through(monkeypatch, reply, **credentials) as (proxy, client):
            await failure(client)
        assert {request.method for request in proxy.requests} == {"CONNECT"}
        names = {name for request in proxy.requests for name in request.headers}
        assert names.isdisjoint({"authorization", "proxy-authorization", "x-auth-key", "x-auth-email"})
        assert TOKEN not in str(proxy.requests)
        assert "ada@example.com" not in str(proxy.requests)

    @pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
    @pytest.mark.parametrize(
        "password", ["pr0xy-pass", "~", "p%40%C3%A9%7E"], ids=["long", "short", "encoded"]
    )
    async def test_credentials_of_the_proxy(
        self,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        reply: Reply,
        password: str,
    ) -> None:
        """The proxy's user and password reach only the proxy and are shown nowhere, however short."""
        caplog.set_level(logging.DEBUG)
        async with through(monkeypatch, reply, f"~user:{password}@") as (proxy, client):
            error = await failure(client)
        decoded = {"p%40%C3%A9%7E": "p@é~"}.get(password, password)
        sent = basic("~user", decoded)
        assert {request.headers["proxy-authorization"] for request in proxy.requests} == {sent}
        lines: list[str] = []
        link: BaseException | None = error
        while link is not None:
            lines += [repr(link), repr(vars(link)), repr(link.args)]
            link = link.__cause__ or link.__context__
        shown = "\n".join([*lines, told(error), caplog.text, repr(vars(client._session._transport))])
        secrets = ["~user", f":{password}@", f":{decoded}@", sent.removeprefix("Basic ")]
        assert [secret for secret in secrets if secret in shown] == []


class TestFailures:
    async def test_password_required(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A 407 is not retried, and its error says where to put the user and password."""
        async with through(monkeypatch, REPLIES["407"]) as (proxy, client):
            error = await failure(client)
        assert type(error) is BuildsConnectionError
        assert error.message.startswith(
            "the proxy responded with 407 Proxy Authentication Required: it requires a user and a password;"
            " set HTTPS_PROXY to http://user:password@host:port"
        )
        assert (error.transient, error.sent, error.attempts, len(proxy.requests)) == (False, False, 1, 1)

    @pytest.mark.parametrize(
        ("status", "transient"),
        [(403, False), (405, False), (599, True), (502, True), (503, True), (429, True)],
    )
    async def test_refuses(self, monkeypatch: pytest.MonkeyPatch, status: int, transient: bool) -> None:
        """A proxy's denial is not retried; its temporary failure is."""
        async with through(monkeypatch, answer(b"", status=status)) as (proxy, client):
            error = await failure(client)
        assert type(error) is BuildsConnectionError
        assert error.message.startswith(f"the proxy responded with {status}")
        assert (error.transient, error.sent) == (transient, False)
        assert len(proxy.requests) == (2 if transient else 1)

    async def test_unreachable(self, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
        """An unreachable proxy is named in the error and retried."""
        monkeypatch.setenv("HTTPS_PROXY", f"ada:pw@127.0.0.1:{unused_tcp_port}")
        async with BuildsClient(
            account_id=ACCOUNT, api_token=TOKEN, clock=FakeClock(), retry=RetryPolicy(attempts=2)
        ) as client:
            error = await failure(client)
        assert error.message.startswith("could not connect to the proxy (")
        assert f"127.0.0.1:{unused_tcp_port}" in error.message
        assert (error.transient, error.attempts) == (True, 2)

    async def test_407_from_the_api(self) -> None:
        """A 407 that stands in for the API's own response is explained too."""
        async with (
            RawServer(answer(b"", status=407)) as server,
            BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=server.url) as client,
        ):
            error = await failure(client)
        assert "A proxy requires a user and a password" in error.message
        assert not error.transient


class TestBorrowedSession:
    async def test_plain_http(self) -> None:
        """A token is not sent in plain text to a borrowed session's proxy."""
        async with RawServer(answer(envelope(build()))) as proxy:
            url = f"http://ada:{PASSWORD}~@127.0.0.1:{proxy.port}"
            async with (
                aiohttp.ClientSession(proxy=url) as session,
                BuildsClient(
                    account_id=ACCOUNT, api_token=TOKEN, base_url="http://127.0.0.1:1", session=session
                ) as client,
            ):
                error = await failure(client)
        assert isinstance(error, ConfigurationError)
        assert "through a proxy, which would read the token" in error.message
        assert proxy.requests == []
        assert f"{PASSWORD}~" not in f"{error!r} {error.__cause__!r}"

    @pytest.mark.parametrize(("excepted", "reaches"), [("", False), ("127.0.0.1", True)])
    async def test_plain_http_by_environment(
        self, monkeypatch: pytest.MonkeyPatch, excepted: str, reaches: bool
    ) -> None:
        """A session's environment proxy gets no token in plain text either; NO_PROXY allows the call."""
        async with RawServer(answer(envelope(build()))) as server, RawServer(answer(b"")) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("no_proxy", excepted)
            async with (
                aiohttp.ClientSession(trust_env=True) as session,
                BuildsClient(
                    account_id=ACCOUNT, api_token=TOKEN, base_url=server.url, session=session
                ) as client,
            ):
                if reaches:
                    await client.builds.get(BUILD_UUID)
                else:
                    assert isinstance(await failure(client), ConfigurationError)
            assert proxy.requests == []
            assert len(server.requests) == int(reaches)

    @pytest.mark.parametrize("url", ["http://ada:pw@h:99999", "http://ada:pw@", "http://ada:pw@h:x"])
    async def test_bad_url(self, url: str) -> None:
        """An unusable proxy of a borrowed session is a ConfigurationError that shows no password."""
        clock = FakeClock()
        async with (
            aiohttp.ClientSession(proxy=url) as session,
            BuildsClient(account_id=ACCOUNT, api_token=TOKEN, session=session, clock=clock) as client,
        ):
            error = await failure(client)
        assert isinstance(error, ConfigurationError)
        assert "proxy" in error.message
        assert (error.attempts, clock.naps) == (1, [])
        assert "pw" not in "".join(traceback.format_exception(error))

    async def test_handshake(self) -> None:
        """A borrowed session's proxy gets no API credential."""
        async with (
            RawServer(REPLIES["502"]) as proxy,
            aiohttp.ClientSession(proxy=f"http://127.0.0.1:{proxy.port}") as session,
            BuildsClient(account_id=ACCOUNT, api_token=TOKEN, session=session, clock=FakeClock()) as client,
        ):
            await failure(client)
        assert len(proxy.requests) == 4
        assert TOKEN not in str(proxy.requests)

    @pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
    async def test_password(self, reply: Reply) -> None:
        """The password of a borrowed session's proxy is in no error, and in no cause or traceback."""
        async with (
            RawServer(reply) as proxy,
            aiohttp.ClientSession(proxy=f"http://ada:pass~word@127.0.0.1:{proxy.port}") as session,
            BuildsClient(account_id=ACCOUNT, api_token=TOKEN, session=session, clock=FakeClock()) as client,
        ):
            error = await failure(client)
        sent = basic("ada", "pass~word")
        assert proxy.requests[0].headers["proxy-authorization"] == sent
        shown = f"{error!r} {vars(error)} {error.__cause__!r} {told(error)}"
        assert [secret for secret in ("pass~word", sent) if secret in shown] == []
