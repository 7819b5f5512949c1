"""The token reaches the API alone: no repr, log, error or traceback shows it."""

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from builds_async import BuildsClient, BuildsError, ConfigurationError, RetryPolicy
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
    raw,
    refusal,
    reset,
    stall,
    tags,
)
from tests.support.case import cases
from tests.support.failing import failure

# A part of the token with this length must not appear either.
PART = 12
PARTS = {TOKEN[start : start + PART] for start in range(len(TOKEN) - PART + 1)}

CREDENTIALS = {
    "token": {"api_token": TOKEN},
    "key": {"api_key": TOKEN, "api_email": "ada@example.com"},
}


def seen(text: str) -> set[str]:
    """The parts of the token that appear in a text."""
    return {part for part in PARTS if part in text}


def echo(body: str, **how: Any) -> Reply:
    """A response whose body has the client's own credential in place of ECHO."""

    async def reply(exchange: Exchange) -> None:
        headers = exchange.request.headers
        sent = headers.get("authorization") or headers["x-auth-key"]
        await answer(body.replace("ECHO", sent).encode(), **how)(exchange)

    return reply


REPLIES: dict[str, Reply] = {
    "401": answer(refusal(12006, "Invalid token"), status=401),
    "403": answer(refusal(10000, "Authentication error"), status=403),
    "404": answer(refusal(12000, "Not found"), status=404),
    "429": answer(refusal(971, "Please wait"), status=429, headers={"Retry-After": "300"}),
    "502": answer(b"<html>", status=502),
    "redirect": answer(b"", status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "null": answer(envelope(None)),
    "cut": cut(b'{"success": true'),
    "reset": reset(),
    "closed": raw(b""),
    "garbage": raw(b"\x16\x03\x01\r\n\r\n"),
    "stall": stall(),
    "stall in the body": stall(after=head(200, {"Content-Length": "9"})),
    "too large": stall(after=head(200, {"Content-Length": "99999999"})),
}

ECHOES: dict[str, Reply] = {
    "HTML 502": echo("<pre>Authorization: ECHO</pre>", status=502),
    "HTML 403": echo("<pre>Authorization: ECHO</pre>", status=403),
    "HTML 200": echo("<pre>Authorization: ECHO</pre>"),
    "long HTML": echo("x" * 280 + " ECHO", status=500),
    "JSON 401": echo(json.dumps(refusal(12006, "Invalid token ECHO")), status=401),
    "JSON 403": echo(json.dumps(refusal(10000, "ECHO may not", (1, "ECHO"))), status=403),
    "JSON 200": echo(json.dumps(refusal(12000, "nothing for ECHO"))),
    "JSON of other shape": echo(json.dumps(envelope("ECHO"))),
    "JSON with unknown fields": echo(json.dumps({"headers": {"Authorization": "ECHO"}})),
    "JSON of other errors": echo(json.dumps({"success": False, "errors": "ECHO"}), status=400),
    "cut JSON": echo('{"result": {"ECHO'),
}


async def _status_line(exchange: Exchange) -> None:
    sent = exchange.request.headers.get("authorization") or exchange.request.headers["x-auth-key"]
    await raw(f"{sent} is what I got\r\n\r\n".encode())(exchange)


async def _header_line(exchange: Exchange) -> None:
    sent = exchange.request.headers.get("authorization") or exchange.request.headers["x-auth-key"]
    await raw(f"HTTP/1.1 400 Bad\r\nno colon {sent}\r\n\r\n".encode())(exchange)


async def _chunk_size(exchange: Exchange) -> None:
    sent = exchange.request.headers.get("authorization") or exchange.request.headers["x-auth-key"]
    await raw(head(200, {"Transfer-Encoding": "chunked"}) + f"{sent}\r\n".encode())(exchange)


async def _ray(exchange: Exchange) -> None:
    sent = exchange.request.headers.get("authorization") or exchange.request.headers["x-auth-key"]
    await answer(b"", status=500, headers={"cf-ray": sent})(exchange)


NO_HTTP: dict[str, Reply] = {
    "status line": _status_line,
    "header line": _header_line,
    "chunk size": _chunk_size,
    "ray id": _ray,
}
EVERYTHING = {
    **REPLIES,
    **{f"echo in {name}": reply for name, reply in ECHOES.items()},
    **{f"echo in a {name}": reply for name, reply in NO_HTTP.items()},
}


@asynccontextmanager
async def a_client(reply: Reply, timeout: float = 0.02, /, **credentials: Any) -> AsyncIterator[BuildsClient]:
    """A client of a server with this reply, with two attempts and a short timeout."""
    async with (
        RawServer(reply) as server,
        BuildsClient(
            account_id=ACCOUNT,
            base_url=server.url,
            timeout=timeout,
            retry=RetryPolicy(attempts=2),
            clock=FakeClock(),
            **credentials,
        ) as client,
    ):
        yield client


@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
@pytest.mark.parametrize("name", EVERYTHING)
class TestFailingCall:
    @pytest.mark.slow
    async def test_error(self, name: str, credentials: dict[str, str]) -> None:
        """No error shows the token in its text, its repr or its attributes."""
        async with a_client(EVERYTHING[name], **credentials) as client:
            error = await failure(client)
        assert seen(f"{error} {error!r} {error.args} {vars(error)}") == set()

    @pytest.mark.slow
    async def test_traceback(self, name: str, credentials: dict[str, str]) -> None:
        """No traceback shows the token, including those of the errors behind an error."""
        async with a_client(EVERYTHING[name], **credentials) as client:
            error = await failure(client)
        assert seen("".join(traceback.format_exception(error))) == set()

    @pytest.mark.slow
    async def test_log(
        self, name: str, credentials: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """No logger, ours or a dependency's, receives the token."""
        caplog.set_level(logging.DEBUG)
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0
        async with a_client(EVERYTHING[name], **credentials) as client:
            await failure(client)
        assert len(caplog.records) > 0
        texts = [f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in caplog.records]
        assert seen("\n".join([*texts, caplog.text])) == set()


@pytest.mark.slow
@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
@pytest.mark.parametrize("name", EVERYTHING)
async def test_locals(name: str, credentials: dict[str, str]) -> None:
    """A traceback with local variables, as error trackers capture it, does not show the token."""
    async with a_client(EVERYTHING[name], **credentials) as client:
        error = await failure(client)
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    lines = "".join(told.format())
    assert "in _perform" in lines
    assert [line for line in lines.splitlines() if seen(line)] == []


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.builds.cancel(BUILD_UUID),
        lambda client: client.builds.latest(tags(3)),
        lambda client: client.builds.latest(tags(60)),
        lambda client: client.follow(BUILD_UUID).read(),
        lambda client: anext(client.builds.iter(tags(1)[0])),
    ],
    ids=["cancel", "latest", "bulk", "follow", "iter"],
)
async def test_other_calls(call: Callable[[BuildsClient], Any]) -> None:
    """The other calls hide the token as well."""
    async with a_client(ECHOES["JSON 401"], api_token=TOKEN) as client:
        with pytest.raises(BuildsError, match=r"\*\*\*") as caught:
            await call(client)
    assert seen(f"{caught.value!r} {vars(caught.value)}") == set()
    assert seen("".join(traceback.format_exception(caught.value))) == set()


async def test_failures_of_a_lookup() -> None:
    """The failures in a lookup's result do not show the token."""
    async with a_client(ECHOES["HTML 502"], api_token=TOKEN) as client:
        result = await client.builds.latest(tags(2))
    assert len(result.failed) == 2
    assert seen(repr(result)) == set()


async def test_success(caplog: pytest.LogCaptureFixture) -> None:
    """A successful call does not show the token in its result or log."""
    caplog.set_level(logging.DEBUG)
    async with a_client(answer(envelope(build())), 10, api_token=TOKEN) as client:
        it = await client.builds.get(BUILD_UUID)
    assert seen(f"{it!r} {caplog.text}") == set()
    assert "builds_async" in caplog.text


@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
async def test_reprs(credentials: dict[str, str]) -> None:
    """No part of a client, and no value it is made of, shows the token in its repr."""
    async with a_client(answer(envelope(build())), 10, **credentials) as client:
        await client.builds.get(BUILD_UUID)
        parts: list[object] = [client]
        texts = []
        for part in parts:
            texts.append(f"{part!r} {part}")
            for value in getattr(part, "__dict__", {}).values():
                mine = type(value).__module__.startswith("builds_async")
                if (mine or isinstance(value, dict | tuple)) and value not in parts:
                    parts.append(value)
        texts.append(repr(client.follow(BUILD_UUID)))
    assert len(parts) > 5
    assert seen("\n".join(texts)) == set()


async def test_borrowed_session() -> None:
    """The token is not stored in a borrowed session that others use."""
    async with (
        RawServer(answer(envelope(build()))) as server,
        aiohttp.ClientSession() as session,
        BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=server.url, session=session) as client,
    ):
        await client.builds.get(BUILD_UUID)
        async with session.get(server.url) as response:
            assert response.status == 200
    first, second = server.requests
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in second.headers


@cases(
    "arguments",
    [
        {"account_id": ACCOUNT, "api_token": TOKEN + "\nX: 1"},
        {"account_id": ACCOUNT, "api_token": TOKEN + "é"},
        {"account_id": ACCOUNT, "api_key": TOKEN},
        {"account_id": ACCOUNT, "api_token": TOKEN, "base_url": "http://example.com"},
        {"account_id": "..", "api_token": TOKEN},
        {"api_token": TOKEN},
    ],
    ids=["line break", "not ASCII", "no address", "plain http", "bad account", "no account"],
)
def test_configuration(arguments: dict[str, str]) -> None:
    """A configuration error does not show the token."""
    with pytest.raises(ConfigurationError) as caught:
        BuildsClient(**arguments)  # type: ignore[arg-type]  # only strings here
    assert seen(f"{caught.value!r} {vars(caught.value)}") == set()
    assert seen("".join(traceback.format_exception(caught.value))) == set()
