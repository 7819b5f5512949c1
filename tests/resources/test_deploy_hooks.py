"""Deploy hooks: the UUID alone can start builds, so nothing shows it."""

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest

from builds_async import (
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    Observation,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.models.deploy_hooks import DeployHook, DeployHookBuild
from builds_async.simulator import Behavior, BuildsSimulator, Fault, FaultKind, VirtualClock
from tests.support import (
    ACCOUNT,
    BASE_URL,
    BUILD_UUID,
    TOKEN,
    Exchange,
    FakeClock,
    MockApi,
    RawServer,
    Reply,
    answer,
    cut,
    envelope,
    head,
    nothing_left,
    raw,
    refusal,
    reset,
    stall,
)
from tests.support.case import cases

HOOK = "7d1f3b5a-90c2-4e64-8b1d-c0ffee123456"
ODD = "7d1f3b5a 90c2%4e64ä8b1d"
"""Not a UUID, but a caller may pass it: percent-encoded it looks different."""

TRIGGERED = {"build_uuid": "3f2b8c1e", "status": "queued", "created_on": "2026-08-13T02:33:54.080Z"}
CREDENTIALS: dict[str, dict[str, Any]] = {
    "token": {"api_token": TOKEN},
    "key": {"api_key": TOKEN, "api_email": "ada@example.com"},
}
AUTHENTICATION = {"authorization", "x-auth-key", "x-auth-email", "proxy-authorization", "cookie"}

Call = Callable[[BuildsClient, str], Awaitable[object]]
CALLS: dict[str, Call] = {
    "get": lambda client, hook: client.deploy_hooks.get("shop", hook),
    "update": lambda client, hook: client.deploy_hooks.update(
        "shop", hook, deploy_hook_name="nightly", branch="main"
    ),
    "delete": lambda client, hook: client.deploy_hooks.delete("shop", hook),
    "trigger": lambda client, hook: client.deploy_hooks.trigger(hook),
}


async def _other_shape(exchange: Exchange) -> None:
    hook = unquote(exchange.request.target.rsplit("/", 1)[-1])
    body = envelope({"deploy_hook_uuid": [hook], "deploy_hook_name": hook, "build_uuid": [hook]})
    await answer(json.dumps(body, ensure_ascii=False).encode())(exchange)


def echo(body: str, **how: Any) -> Reply:
    """A response whose body has the request's path in place of ECHO, both decoded and encoded."""

    async def reply(exchange: Exchange) -> None:
        target = exchange.request.target
        await answer(body.replace("ECHO", f"{target} {unquote(target)}").encode(), **how)(exchange)

    return reply


def raw_echo(before: bytes, after: bytes = b"\r\n\r\n") -> Reply:
    async def reply(exchange: Exchange) -> None:
        await raw(before + exchange.request.target.encode() + after)(exchange)

    return reply


def header_echo(name: str, status: int) -> Reply:
    async def reply(exchange: Exchange) -> None:
        await answer(b"", status=status, headers={name: exchange.request.target})(exchange)

    return reply


def hook_body(**changes: Any) -> Any:
    return envelope({"deploy_hook_uuid": HOOK, "deploy_hook_name": "nightly", "branch": "main", **changes})


FAILURES: dict[str, Reply] = {
    "400": echo(json.dumps(refusal(12002, "Invalid request body of ECHO")), status=400),
    "401": echo(json.dumps(refusal(12006, "ECHO")), status=401),
    "403": echo(json.dumps(refusal(10000, "ECHO may not", (1, "ECHO"))), status=403),
    "404": echo(json.dumps(refusal(12000, "no hook ECHO")), status=404),
    "404 bare": answer(b"", status=404),
    "409": echo(json.dumps(refusal(12049, "ECHO exists")), status=409),
    "429": echo(json.dumps(refusal(12051, "slow down ECHO")), status=429, headers={"Retry-After": "300"}),
    "502 HTML": echo("<html>ECHO</html>", status=502),
    "long HTML": echo("x" * 280 + " ECHO", status=500),
    "200 HTML": echo("<html>ECHO</html>"),
    "200 null": answer(envelope(None)),
    "200 that says no": echo(json.dumps(refusal(12000, "ECHO"))),
    "200 of other shape": echo(json.dumps(envelope("ECHO"))),
    "200 with a hook of other shape": _other_shape,
    "200 cut": cut(json.dumps(hook_body()).encode()[:80]),
    "redirect": header_echo("Location", 302),
    "status line": raw_echo(b""),
    "header line": raw_echo(b"HTTP/1.1 400 Bad\r\nno colon "),
    "chunk size": raw_echo(head(200, {"Transfer-Encoding": "chunked"})),
    "reason": raw_echo(b"HTTP/1.1 500 "),
    "ray": header_echo("cf-ray", 500),
    "encoding": raw(head(200, {"Content-Encoding": "gzip", "Content-Length": "4"}) + b"junk"),
    "reset": reset(),
    "closed": raw(b""),
    "garbage": raw(b"\x16\x03\x01\r\n\r\n"),
    "stall": stall(),
    "stall in the body": stall(after=head(200, {"Content-Length": "9"})),
    "too large": stall(after=head(200, {"Content-Length": "99999999"})),
}


def leaks(text: str) -> list[str]:
    """The lines of a text that show a hook or the token."""
    parts = (HOOK[:13], HOOK[-12:], ODD[:14], ODD[-8:], "90c2%25", "c3%a48b1d", TOKEN[:12])
    return [line for line in text.splitlines() if any(part.lower() in line.lower() for part in parts)]


@asynccontextmanager
async def a_client(
    *replies: Reply, observer: Callable[[Observation], object] | None = None, **options: Any
) -> AsyncIterator[tuple[BuildsClient, RawServer]]:
    settings: dict[str, Any] = {"api_token": TOKEN, "clock": FakeClock(), **options}
    async with (
        RawServer(*replies) as server,
        BuildsClient(
            account_id=ACCOUNT,
            base_url=server.url,
            retry=RetryPolicy(attempts=2),
            observer=observer,
            **settings,
        ) as client,
    ):
        yield client, server


SOME = ("404", "502 HTML", "200 of other shape", "chunk size", "reset")
CASES = [
    *((name, call, HOOK) for name in FAILURES for call in ("get", "trigger")),
    *((name, call, HOOK) for name in SOME for call in ("update", "delete") if name != "200 of other shape"),
    *((name, call, ODD) for name in ("400", "status line", *SOME) for call in ("get", "trigger")),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "which", "hook"),
    CASES,
    ids=["-".join([name, call, "uuid" if hook == HOOK else "odd"]) for name, call, hook in CASES],
)
async def test_failure_shows_no_uuid(
    name: str, which: str, hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No error, traceback, log record or observation of a failed call shows the hook's UUID."""
    caplog.set_level(logging.DEBUG)
    if name == "status line" and which == "trigger":  # once with all of asyncio's debug output
        asyncio.get_running_loop().set_debug(True)
        asyncio.get_running_loop().slow_callback_duration = 0
    seen: list[Observation] = []
    timeout = 0.05 if name in {"stall", "stall in the body", "too large"} else 30.0
    async with a_client(FAILURES[name], observer=seen.append, timeout=timeout) as (client, server):
        with pytest.raises(BuildsError) as caught:
            await CALLS[which](client, hook)
    assert server.requests
    error = caught.value
    told = [f"{error} {error!r} {error.args} {vars(error)}", *map(repr, seen)]
    told += traceback.format_exception(error)
    told += [f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in caplog.records]
    assert len(seen) > 0
    assert len(caplog.records) > 0 or error.attempts == 1
    assert leaks("\n".join([*told, caplog.text, repr(client), repr(vars(client.deploy_hooks))])) == []


UNREADABLE = {"list": [HOOK], "object": {"is": HOOK}, "empty": ""}
ODD_FIELDS = {"date": {"created_on": HOOK}, "list": {"branch": [HOOK]}, "build": {"latest_build": HOOK}}


@pytest.mark.parametrize("uuid", UNREADABLE.values(), ids=UNREADABLE)
async def test_unreadable_response_shows_no_uuid(uuid: object, client: BuildsClient, api: MockApi) -> None:
    """An unreadable response does not show a UUID that is new to the client."""
    hook = hook_body(deploy_hook_uuid=uuid, deploy_hook_name=HOOK)["result"]
    api.on("POST", "/builds/workers/shop/deploy_hooks", envelope(hook))
    with pytest.raises(ResponseDecodeError) as caught:
        await client.deploy_hooks.create("shop", deploy_hook_name="nightly", branch="main")
    assert leaks(f"{caught.value} {vars(caught.value)}") == []


@pytest.mark.parametrize("changes", ODD_FIELDS.values(), ids=ODD_FIELDS)
async def test_odd_response_shows_no_uuid(
    changes: dict[str, Any], client: BuildsClient, api: MockApi, caplog: pytest.LogCaptureFixture
) -> None:
    """The values dropped from an odd response are logged by their place alone."""
    caplog.set_level(logging.DEBUG)
    odd = [hook_body(**changes)["result"], hook_body(deploy_hook_uuid=[HOOK])["result"]]
    api.on("GET", "/builds/workers/shop/deploy_hooks", envelope(odd))
    [hook] = await client.deploy_hooks.list("shop")
    assert hook.deploy_hook_name == "nightly"
    assert "left out: " in caplog.text
    assert leaks(f"{hook} {caplog.text}") == []


async def test_success_shows_no_uuid(caplog: pytest.LogCaptureFixture) -> None:
    """A successful call shows the UUID in no repr, log record or observation."""
    caplog.set_level(logging.DEBUG)
    seen: list[Observation] = []
    sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
    async with (
        sim,
        BuildsClient(
            account_id=sim.account_id,
            api_token=sim.api_token,
            base_url=sim.url,
            clock=sim.clock,
            observer=seen.append,
        ) as client,
    ):
        sim.add_worker("shop")
        made = await client.deploy_hooks.create("shop", deploy_hook_name="nightly", branch="main")
        uuid = made.deploy_hook_uuid
        results: list[object] = [made, await client.deploy_hooks.trigger(uuid)]
        for call in CALLS.values():
            if call is CALLS["delete"]:
                results.append(await client.deploy_hooks.list("shop"))
            if call is not CALLS["trigger"]:
                results.append(await call(client, uuid))
        with pytest.raises(NotFoundError):
            await client.deploy_hooks.trigger(uuid)
    assert len(seen) == 7
    told = f"{results} {seen} {caplog.text} {[record.args for record in caplog.records]}"
    assert uuid not in told
    assert "***" in told
    assert f"{made}" == repr(made)


def test_value_keeps_it() -> None:
    """The value itself has the UUID, for comparison and storage, and its repr hides it."""
    hook = DeployHook(deploy_hook_uuid=HOOK, deploy_hook_name="nightly")
    assert hook.deploy_hook_uuid == HOOK
    assert hook != DeployHook(deploy_hook_uuid=HOOK[::-1], deploy_hook_name="nightly")
    assert leaks(f"{hook} {hook!r} {[hook]} {hook:}") == []


class TestTrigger:
    @pytest.mark.parametrize("borrowed", [False, True], ids=["own", "borrowed"])
    @pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
    @pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
    async def test_no_token(self, first: bool, credentials: dict[str, Any], borrowed: bool) -> None:
        """A hook is triggered without credentials; all other calls send them, before and after."""
        replies = [answer(envelope(TRIGGERED)), answer(envelope([]))]
        async with nothing_left(), RawServer(*(replies if first else replies[::-1]), *replies) as server:
            session = aiohttp.ClientSession() if borrowed else None
            async with BuildsClient(
                account_id=ACCOUNT, base_url=server.url, session=session, **credentials
            ) as client:
                calls: list[Callable[[], Awaitable[object]]] = [
                    lambda: client.deploy_hooks.trigger(HOOK),
                    lambda: client.deploy_hooks.list("shop"),
                ]
                for call in [*(calls if first else calls[::-1]), *calls]:
                    await call()
            if session is not None:
                assert not session.closed
                await session.close()
        for request in server.requests:
            sent = AUTHENTICATION & set(request.headers)
            if request.method == "POST":
                assert request.target == f"/workers/builds/deploy_hooks/{HOOK}"
                assert sent == set()
                assert leaks(f"{request.headers}") == []
            else:
                assert sent != set()

    async def test_same_connection(self) -> None:
        """A call without the token shares the connection of the others."""
        async with a_client(answer(envelope(TRIGGERED)), answer(envelope([]))) as (client, server):
            await client.deploy_hooks.trigger(HOOK)
            await client.deploy_hooks.list("shop")
        assert server.connections == 1

    async def test_closed(self) -> None:
        """A closed client triggers nothing."""
        client = BuildsClient(account_id=ACCOUNT, api_token=TOKEN)
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await client.deploy_hooks.trigger(HOOK)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (reset(), BuildsConnectionError),
            (raw(b""), BuildsConnectionError),
            (cut(b'{"success":true'), BuildsConnectionError),
            (stall(), BuildsConnectionError),
            (stall(after=head(200, {"Content-Length": "9"})), BuildsConnectionError),
            (answer(b"", status=500), InternalServerError),
            (answer(b"<html>", status=503), InternalServerError),
            (answer(b"<html>"), ResponseDecodeError),
            (answer(envelope(None)), ResponseDecodeError),
        ],
        ids=["reset", "closed", "cut", "stall", "stalled body", "500", "503", "200 HTML", "null"],
    )
    @pytest.mark.parametrize("borrowed", [False, True], ids=["own", "borrowed"])
    async def test_sent_once(self, borrowed: bool, reply: Reply, error: type[BuildsError]) -> None:
        """A request that may have arrived is not sent again, on a fresh connection or a reused one."""
        async with aiohttp.ClientSession() as session:
            options: dict[str, Any] = {"session": session} if borrowed else {}
            options["timeout"] = 0.1
            async with a_client(answer(envelope(TRIGGERED)), reply, **options) as (client, server):
                await client.deploy_hooks.trigger(HOOK)
                with pytest.raises(error) as caught:
                    await client.deploy_hooks.trigger(HOOK)
                assert caught.value.attempts == 1
                assert len(server.requests) == 2

    async def test_sent_again_after_429(self) -> None:
        """After a 429 with a short Retry-After, the request is sent again."""
        limited = answer(refusal(12051, "Rate limit exceeded"), status=429, headers={"Retry-After": "7"})
        clock = FakeClock()
        async with a_client(limited, answer(envelope(TRIGGERED)), clock=clock) as (client, server):
            build = await client.deploy_hooks.trigger(HOOK)
        assert build.build_uuid == "3f2b8c1e"
        assert len(server.requests) == 2
        assert clock.now() >= 7

    @cases("kind", ["cut_body", "reset", "stall"])
    async def test_lost_response(self, kind: FaultKind) -> None:
        """After a lost response, triggering again returns the build that the first request started."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
        async with sim.client(timeout=0.05) as client:
            hook = sim.add_deploy_hook(sim.add_worker("shop"))
            sim.fault(Fault(kind, method="POST"))
            with pytest.raises(BuildsConnectionError) as caught:
                await client.deploy_hooks.trigger(hook)
            assert caught.value.sent
            again = await client.deploy_hooks.trigger(hook)
        assert again.already_exists is True
        assert [again.build_uuid] == [*sim.builds]

    async def test_already_exists(self) -> None:
        """`already_exists` says whether the returned build was already pending."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
        async with sim.client() as client:
            hook = sim.add_deploy_hook(sim.add_worker("shop"))
            first = await client.deploy_hooks.trigger(hook)
            second = await client.deploy_hooks.trigger(hook)
            assert (first.already_exists, second.already_exists) == (False, True)
            assert first.build_uuid == second.build_uuid
            (listed,) = await client.deploy_hooks.list("shop")
            assert listed.latest_build is not None
            assert listed.latest_build.created_on == first.created_on

    async def test_documented_response(self) -> None:
        """The response shown in Cloudflare's guide is readable too."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20), behavior=Behavior(hook_answer="documents"))
        async with sim.client() as client:
            hook = sim.add_deploy_hook(sim.add_worker("shop"))
            build = await client.deploy_hooks.trigger(hook)
        assert build == DeployHookBuild(build_uuid=next(iter(sim.builds)), branch="main", worker="shop")

    async def test_too_many(self) -> None:
        """The eleventh build within a minute is a RateLimitError."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20), started_builds=lambda _: ((0.0, "begun"),))
        async with sim.client(retry=RetryPolicy(attempts=1)) as client:
            hook = sim.add_deploy_hook(sim.add_worker("shop"))
            for _ in range(10):
                await client.deploy_hooks.trigger(hook)
            with pytest.raises(RateLimitError) as caught:
                await client.deploy_hooks.trigger(hook)
        assert caught.value.codes == (12051,)
        assert hook not in str(caught.value)

    @pytest.mark.parametrize("hook", ["", ".", "..", "a/b", "a\\b"])
    async def test_invalid_uuid(self, hook: str, client: BuildsClient, api: MockApi) -> None:
        """A value that would leave its place in the path is rejected, and nothing is sent."""
        for call in CALLS.values():
            with pytest.raises(ValueError, match="can't be an id"):
                await call(client, hook)
        assert api.sent == []

    async def test_url(self, client: BuildsClient, api: MockApi) -> None:
        """A hook's URL in place of its UUID is rejected with an error that does not show it."""
        url = f"https://api.cloudflare.com/client/v4/workers/builds/deploy_hooks/{HOOK}"
        with pytest.raises(ValueError, match="id") as caught:
            await client.deploy_hooks.trigger(url)
        assert leaks(str(caught.value)) == []
        assert api.sent == []


async def test_limit_of_a_hook_holds_back_no_other_call(
    api: MockApi, client: BuildsClient, clock: FakeClock
) -> None:
    """A hook's own rate limit (12051) does not close the budget of the user's 1,200 requests."""
    api.add(
        f"{BASE_URL}/workers/builds/deploy_hooks/{HOOK}",
        method="POST",
        status=429,
        headers={"Retry-After": "300"},
        payload=refusal(12051, "Rate limit exceeded"),
    )
    api.on("GET", f"/builds/builds/{BUILD_UUID}", envelope({"build_uuid": BUILD_UUID}))
    with pytest.raises(BuildsError):
        await client.deploy_hooks.trigger(HOOK)
    assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID
    assert clock.now() < 1


async def test_limit_of_an_anonymous_call_is_not_the_users(api: MockApi, client: BuildsClient) -> None:
    """A rate limit in the response to an anonymous call does not count against the token's user."""
    api.add(
        f"{BASE_URL}/workers/builds/deploy_hooks/{HOOK}",
        method="POST",
        payload=envelope({"build_uuid": BUILD_UUID}),
        headers={"Ratelimit": '"default";r=0;t=60'},
    )
    await client.deploy_hooks.trigger(HOOK)
    assert client.budget.snapshot().left > 0


class TestManage:
    async def test_life(self) -> None:
        """A hook is created, found, changed and deleted, with the same UUID throughout."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
        async with sim.client() as client:
            tag, hooks = sim.add_worker("shop"), client.deploy_hooks
            assert await hooks.list("shop") == ()
            made = await hooks.create("shop", deploy_hook_name="ä" * 58, branch="main")
            assert made.external_script_id == tag
            assert await hooks.get("shop", made.deploy_hook_uuid) == made
            with pytest.raises(ConflictError):
                await hooks.create("shop", deploy_hook_name="ä" * 58, branch="main")
            changed = await hooks.update("shop", made.deploy_hook_uuid, deploy_hook_name="n", branch="next")
            assert (changed.deploy_hook_name, changed.branch) == ("n", "next")
            assert changed.deploy_hook_uuid == made.deploy_hook_uuid
            gone = await hooks.delete("shop", made.deploy_hook_uuid)
            assert gone is not None
            assert gone.branch == "next"
            with pytest.raises(NotFoundError):
                await hooks.get("shop", made.deploy_hook_uuid)

    @pytest.mark.parametrize("name", ["", "x" * 59, "ä" * 59], ids=["empty", "59", "59 umlauts"])
    async def test_name(self, name: str, client: BuildsClient, api: MockApi) -> None:
        """An empty name, or one above 58 characters, is rejected with the limit, and nothing is sent."""
        with pytest.raises(ValueError, match="1 to 58 characters"):
            await client.deploy_hooks.create("shop", deploy_hook_name=name, branch="main")
        with pytest.raises(ValueError, match="1 to 58 characters"):
            await client.deploy_hooks.update("shop", HOOK, deploy_hook_name=name, branch="main")
        assert api.sent == []

    @cases(("kind", "times"), [("reset", 1), ("cut_body", 1), ("server_error", 2), ("not_json", 1)])
    async def test_update_is_repeated(self, kind: FaultKind, times: int) -> None:
        """An update is a replacement and is retried like a read; a creation or deletion is not retried."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
        async with sim.client() as client:
            hook = sim.add_deploy_hook(sim.add_worker("shop"))
            sim.fault(Fault(kind, method="PUT", times=times))
            changed = await client.deploy_hooks.update("shop", hook, deploy_hook_name="n", branch="next")
            assert changed.branch == "next"
            calls: dict[str, Call] = {"POST": _create, "DELETE": CALLS["delete"]}
            for method, call in calls.items():
                sim.clear_faults()
                sim.requests.clear()
                sim.fault(Fault(kind, method=method))
                with pytest.raises(BuildsError):
                    await call(client, hook)
                assert len(sim.requests) == 1


def _create(client: BuildsClient, _: str) -> Awaitable[object]:
    return client.deploy_hooks.create("shop", deploy_hook_name="m", branch="next")
