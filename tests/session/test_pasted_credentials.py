"""Where credentials are sent, and what errors say about a misplaced one."""

import asyncio
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from builds_async import BuildsClient, BuildsError, ConfigurationError, RetryPolicy
from builds_async.cli.connect import read_token
from builds_async.cli.exits import CommandError
from builds_async.session.credentials import resolve
from builds_async.session.redact import quoted, redact
from tests.support import (
    ACCOUNT,
    BUILD_UUID,
    TOKEN,
    Exchange,
    MockApi,
    RawServer,
    Reply,
    answer,
    cut,
    raw,
    refusal,
    stall,
)
from tests.support.case import Case, cases

PASTED = {
    "user token": "cfut_" + "aB3" * 12,
    "account token": "cfat_" + "aB3" * 12,
    "OAuth token": "cfoat_" + "aB3" * 12,
    "key": "cfk_" + "aB3" * 12,
    "the client's own": "Zx9" * 13 + "q",
}
CALLS: dict[str, Callable[[BuildsClient, str], Awaitable[object]]] = {
    "build": lambda client, it: client.builds.get(it),
    "log": lambda client, it: client.builds.logs(it),
    "tag": lambda client, it: client.builds.list(it),
    "tags": lambda client, it: client.builds.latest([it]),
    "versions": lambda client, it: client.builds.by_version([it]),
    "comma list": lambda client, it: client.builds.by_version([f"{it},{it}"]),
    "path": lambda client, it: client.builds.get(f"a/{it}"),
    "Worker": lambda client, it: client.deploy_hooks.list(it),
    "queue": lambda client, it: client.queues.pull(it),
    "variable": lambda client, it: client.triggers.delete_variable(BUILD_UUID, it),
}


@cases("call", CALLS.values(), ids=CALLS)
async def test_pasted_in_place_of_an_id(
    call: Callable[[BuildsClient, str], Awaitable[object]], api: MockApi
) -> None:
    """A credential in place of an id is rejected unsent and is not echoed."""
    async with BuildsClient(account_id=ACCOUNT, api_token=PASTED["the client's own"]) as client:
        for kind, pasted in PASTED.items():
            with Case(kind):
                with pytest.raises(ValueError, match=r"not shown|can't name a variable") as caught:
                    await call(client, pasted)
                assert pasted[:12] not in f"{caught.value!r}"
    assert api.sent == []


@cases("text", ["shop-frontend", "a" * 63, "cf_worker", "0" * 32, "b" * 40, "cfk_short", BUILD_UUID])
def test_ordinary_text_is_quoted(text: str) -> None:
    """A name or id that is no credential is quoted, so that a typo is visible."""
    assert quoted(text) == repr(text)


def test_echo_of_another_token() -> None:
    """A Cloudflare token in a server's text is redacted even if it is not the client's own."""
    assert redact(f"no build {PASTED['user token']} here", []) == "no build *** here"


@cases(
    ("passed", "headers"),
    [
        ({"api_token": "t"}, {"Authorization"}),
        ({"api_key": "k"}, {"X-Auth-Key", "X-Auth-Email"}),
        ({"api_email": "e@f.g"}, {"X-Auth-Key", "X-Auth-Email"}),
    ],
    ids=["token", "key", "email"],
)
def test_kinds_are_not_mixed(passed: dict[str, str], headers: set[str]) -> None:
    """Credential arguments are completed by variables of the same kind only."""
    variables = {
        "CLOUDFLARE_API_TOKEN": "env-token",
        "CLOUDFLARE_API_KEY": "env-key",
        "CLOUDFLARE_EMAIL": "env@example.com",
    }
    asked: dict[str, Any] = dict.fromkeys(("api_token", "api_key", "api_email", "base_url"))
    asked |= {"account_id": ACCOUNT, **passed}
    assert set(resolve(**asked, environ=variables).credentials) == headers
    if "api_token" not in passed:
        only = {"CLOUDFLARE_API_TOKEN": "env-token", "CLOUDFLARE_API_KEY": " "}
        with pytest.raises(ConfigurationError, match="goes with"):
            resolve(**asked, environ=only)


@cases(
    "url",
    [
        "https://a:0",
        "https://..",
        "https://...",
        "https://a/\x00",
        "https://a/\x7f",
        "https://a/b\x1bc",
        "https://a\x00.example",
        "https://a/é",
        "https://a\\b",
        "https://a/..",
        "https://a/b/%2E%2e/c",
        "https://user@a",
    ],
    ids=repr,
)
def test_ambiguous_url(url: str) -> None:
    """A URL that programs parse differently gets no token."""
    with pytest.raises(ConfigurationError, match="base_url"):
        BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=url)


@cases(
    ("url", "host"),
    [
        (None, None),
        ("https://API.cloudflare.com:443/client/v4", None),
        ("https://api.cloudflare.com.evil.example/client/v4", "api.cloudflare.com.evil.example"),
        ("https://gateway.example:8443/v4", "gateway.example:8443"),
    ],
    ids=["default", "spelled out", "look-alike", "gateway"],
)
def test_foreign_host(url: str | None, host: str | None) -> None:
    """`foreign_host` names the host that gets the token, if it is not Cloudflare."""
    asked: dict[str, Any] = {"api_key": None, "api_email": None, "base_url": url}
    assert resolve(account_id=ACCOUNT, api_token=TOKEN, **asked, environ={}).foreign_host == host


async def test_diagnosis_names_the_address() -> None:
    """The first finding names the host that gets the credentials, if it is not Cloudflare's."""
    async with (
        RawServer(answer(refusal(12006, "no"), status=401)) as server,
        BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=server.url) as client,
    ):
        first = (await client.diagnose()).findings[0]
    assert (first.check, first.state) == ("address", "unknown")
    assert f"127.0.0.1:{server.port}" in first.message


class TestTokenFile:
    @pytest.mark.skipif(os.name != "posix", reason="the bits of the mode say nothing there")
    @pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o604], ids=oct)
    def test_others(self, mode: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A token file that others can read is used with one warning; a private one without."""
        file = tmp_path / "token"
        file.write_text("secret\n")
        file.chmod(mode)
        assert read_token(str(file)) == "secret"
        assert capsys.readouterr().err.count("chmod 600") == bool(mode & 0o077)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
    @pytest.mark.parametrize("what", ["FIFO", "device", "directory", "link", "huge"])
    def test_refused(self, what: str, tmp_path: Path) -> None:
        """A path that is not a small file is rejected at once: a FIFO is not waited on, a device not read."""
        file = tmp_path / "token"
        if what == "directory":
            file.mkdir()
        elif what == "FIFO":
            os.mkfifo(file)
        elif what == "huge":
            with file.open("wb") as opened:
                opened.truncate(2**40)
        else:
            file.symlink_to("/dev/zero" if what == "device" else tmp_path / "nowhere")
        began = time.monotonic()
        with pytest.raises(CommandError, match="--token-file") as caught:
            read_token(str(file))
        assert time.monotonic() - began < 5
        assert str(tmp_path) not in str(caught.value)
        assert what != "FIFO" or stat.S_ISFIFO(file.stat().st_mode)


HOOK = "7d1f3b5a-90c2-4e64-8b1d-c0ffee123456"


async def _echo(exchange: Exchange) -> None:
    await answer(exchange.request.target.encode(), status=404)(exchange)


async def _echo_of_other_shape(exchange: Exchange) -> None:
    await answer(b'{"success":true,"result":["%s"]}' % exchange.request.target.encode())(exchange)


async def _echo_cut(exchange: Exchange) -> None:
    await cut(exchange.request.target.encode())(exchange)


REPLIES: dict[str, Reply] = {
    "404": _echo,
    "other shape": _echo_of_other_shape,
    "cut": _echo_cut,
    "closed": raw(b""),
    "garbage": raw(b"\x16\x03\x01\r\n\r\n"),
    "too large": stall(after=b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{"),
    "stall": stall(),
}


def behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error and every error behind it, whether or not a traceback shows them."""
    if error is not None:
        yield error
        yield from behind(error.__cause__)
        yield from behind(error.__context__)


def within(error: BaseException) -> Iterator[str]:
    """Everything visible in an error and in the local variables of its frames."""
    yield f"{error!r} {error} {vars(error)}"
    trace = error.__traceback__
    while trace is not None:
        for name, value in trace.tb_frame.f_locals.items():
            if "tests" not in trace.tb_frame.f_code.co_filename:
                assert not isinstance(value, aiohttp.ClientResponse), name
                yield f"{trace.tb_frame.f_code.co_name}: {name} = {value!r}"
        trace = trace.tb_next


@cases("name", REPLIES)
@cases("which", ["get", "trigger"])
async def test_frames_of_a_secret_call(name: str, which: str) -> None:
    """A secret in a call's path is left in no local variable of any frame, cause or context."""
    async with (
        RawServer(REPLIES[name]) as server,
        BuildsClient(
            account_id=ACCOUNT,
            api_token=TOKEN,
            base_url=server.url,
            timeout=0.1 if name == "stall" else 20,
            retry=RetryPolicy(attempts=1),
        ) as client,
    ):
        with pytest.raises(BuildsError) as caught:
            await (
                client.deploy_hooks.trigger(HOOK)
                if which == "trigger"
                else client.deploy_hooks.get("shop", HOOK)
            )
    assert HOOK in server.requests[0].target
    seen = [text for error in behind(caught.value) for text in within(error)]
    assert len(seen) > 10
    assert [text for text in seen if HOOK[:13] in text or HOOK[-12:] in text or TOKEN[:12] in text] == []


async def test_retry_connection_of_aiohttp() -> None:
    """Aiohttp still has the private attribute that turns off its own retry."""
    async with aiohttp.ClientSession() as session:
        assert session._retry_connection is True


async def test_aiohttp_does_not_retry_a_broken_connection() -> None:
    """A GET on a reused connection that breaks is sent once, so the attribute has its effect."""
    good = answer({"success": True, "result": {"build_uuid": BUILD_UUID}})
    async with (
        RawServer(good, raw(b"")) as server,
        BuildsClient(
            account_id=ACCOUNT, api_token=TOKEN, base_url=server.url, retry=RetryPolicy(attempts=1)
        ) as client,
    ):
        await client.builds.get(BUILD_UUID)
        with pytest.raises(BuildsError):
            await client.builds.get(BUILD_UUID)
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_frames_of_a_canceled_call() -> None:
    """A call canceled while it waits for its response leaves the secret in no frame either."""
    async with (
        RawServer(stall()) as server,
        BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=server.url) as client,
    ):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await client.deploy_hooks.trigger(HOOK)
    assert HOOK in server.requests[0].target
    seen = [text for error in behind(caught.value) for text in within(error)]
    assert [text for text in seen if HOOK[:13] in text] == []
