"""What all methods of the API have in common: odd answers, wrong arguments, secrets, limits."""

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ServerDisconnectedError

import builds_async
from builds_async import (
    BuildsClient,
    BuildsError,
    BuildSettingsUpdate,
    NewBuildSettings,
    NewVariable,
    NotFoundError,
)
from builds_async.resources import starting
from tests.support import ACCOUNT, BASE_URL, TAG, TOKEN, FakeClock, MockApi, envelope, refusal

UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"
OTHER = "6ad1b9c0-24d8-4c1a-9a86-2d1d9b1c0e33"
SECRET = "cfut_a-secret-that-nobody-may-be-told"
HOOK = "7d1f3b5a-90c2-4e64-8b1d-c0ffee123456"

Call = Callable[[BuildsClient], Awaitable[object]]


def _client(clock: Any = None) -> BuildsClient:
    options = {} if clock is None else {"clock": clock}
    return BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=BASE_URL, **options)


@pytest.mark.parametrize(
    ("path", "name", "items"),
    [
        (f"/builds/workers/{TAG}/builds", "build_uuid", lambda c: c.builds.iter(TAG)),
        ("/builds/tokens", "build_token_uuid", lambda c: c.tokens.iter()),
        (f"/builds/workers/{TAG}/previews", "preview_id", lambda c: c.previews.iter(TAG)),
    ],
)
async def test_server_gives_fewer_per_page(path: str, name: str, items: Any, api: MockApi) -> None:
    """A server that gives fewer items a page than were asked for, and says so, loses none."""
    ids = [f"{number:032x}" for number in range(5)]
    for page in (1, 2, 3):
        some = ids[2 * page - 2 : 2 * page]
        info = {
            "next_page": page < 3,
            "page": page,
            "per_page": 2,
            "count": len(some),
            "total_count": 5,
            "total_pages": 3,
        }
        api.on(
            "GET",
            f"{path}?page={page}&per_page=50",
            envelope([{name: it} for it in some], result_info=info),
        )
    async with _client() as client:
        found = [getattr(it, name) async for it in items(client)]
    assert found == ids


async def test_limit_of_a_hook_holds_back_no_other_call(api: MockApi) -> None:
    """Too many builds of one Worker by its hook (12051) say nothing of the user's own 1,200 requests."""
    clock = FakeClock()
    api.add(
        f"{BASE_URL}/workers/builds/deploy_hooks/{UUID}",
        method="POST",
        status=429,
        headers={"Retry-After": "300"},
        payload=refusal(12051, "Rate limit exceeded"),
    )
    api.on("GET", f"/builds/builds/{OTHER}", envelope({"build_uuid": OTHER}))
    async with _client(clock) as client:
        with pytest.raises(BuildsError):
            await client.deploy_hooks.trigger(UUID)
        assert (await client.builds.get(OTHER)).build_uuid == OTHER
    assert clock.now() < 1


DELETIONS: dict[str, tuple[str, Call]] = {
    "trigger": ("DELETE", lambda c: c.triggers.delete(UUID)),
    "cache": ("POST", lambda c: c.triggers.purge_cache(UUID)),
    "variable": ("DELETE", lambda c: c.triggers.delete_variable(UUID, "A")),
    "token": ("DELETE", lambda c: c.tokens.delete(UUID)),
    "connection": ("DELETE", lambda c: c.repos.delete_connection(UUID)),
    "worker": ("DELETE", lambda c: c.workers.delete(TAG)),
    "hook": ("DELETE", lambda c: c.deploy_hooks.delete("shop", UUID)),
    "subscription": ("DELETE", lambda c: c.subscriptions.delete(TAG)),
}


@pytest.mark.parametrize("what", DELETIONS)
@pytest.mark.parametrize(
    "reply",
    [
        {"status": 204, "body": b""},
        {"payload": {"success": True, "errors": [], "messages": []}},
        {"payload": {"success": True, "errors": [], "messages": [], "result": None}},
        {"payload": {"success": True, "errors": [], "messages": [], "result": "ok"}},
    ],
    ids=["204", "no result", "null", "ok"],
)
async def test_deletion_that_was_done_is_no_error(what: str, reply: dict[str, Any], api: MockApi) -> None:
    """Whatever a 2xx says of a deletion, it was done; "ok" was seen live where the schema has null."""
    method, call = DELETIONS[what]
    api.add(re.compile(".*"), method=method, **reply)
    async with _client() as client:
        await call(client)


async def test_lost_answer_without_dates(api: MockApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Date header, and a build dated to the second or by a clock that is a moment behind: it is ours."""
    monkeypatch.setattr(starting, "BETWEEN_LOOKUPS", 0.01)
    build = {
        "build_uuid": OTHER,
        "status": "queued",
        "created_on": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "trigger": {"trigger_uuid": UUID, "external_script_id": TAG},
        "build_trigger_metadata": {"branch": "main", "build_trigger_source": "manual", "commit_hash": ""},
    }
    api.on(
        "GET",
        f"/builds/workers/{TAG}/triggers",
        envelope([{"trigger_uuid": UUID, "external_script_id": TAG}]),
    )
    api.on("POST", f"/builds/triggers/{UUID}/builds", exception=ServerDisconnectedError())
    api.on(
        "GET",
        f"/builds/builds/latest?external_script_ids={TAG}",
        envelope({"builds": {TAG: build}}),
        repeat=True,
    )
    api.on("GET", f"/builds/workers/{TAG}/builds?page=1&per_page=50", envelope([build]), repeat=True)
    async with _client() as client:
        await client.triggers.list(TAG)
        assert (await client.triggers.start_build(UUID, branch="main")).build_uuid == OTHER


def _settings() -> BuildSettingsUpdate:
    return BuildSettingsUpdate(environment_variables={"A": NewVariable(value=SECRET, is_secret=True)})


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.tokens.create(build_token_name="n", build_token_secret=SECRET, cloudflare_token_id="i"),
        lambda c: c.triggers.set_variables(UUID, {"A": NewVariable(value=SECRET, is_secret=True)}),
        lambda c: c.workers.update(TAG, production_settings=_settings()),
        lambda c: c.deploy_hooks.get("shop", HOOK),
        lambda c: c.deploy_hooks.trigger(HOOK),
    ],
    ids=["token", "variable", "settings", "hook", "trigger"],
)
async def test_locals_tell_no_secret(call: Call, api: MockApi) -> None:
    """A traceback that shows local variables tells no secret out of our own frames."""
    for method in ("GET", "POST", "PATCH"):
        api.add(re.compile(".*"), method=method, status=400, payload=refusal(12002, "Invalid request body"))
    async with _client() as client:
        with pytest.raises(BuildsError) as caught:
            await call(client)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in told.stack if "builds_async/" in frame.filename.partition("tests")[0]]
    assert [
        f"{frame.name}: {name}"
        for frame in ours
        for name, it in (frame.locals or {}).items()
        if SECRET in it or HOOK in it
    ] == []


MISUSE: dict[str, Call] = {
    "a dict for a variable": lambda c: c.triggers.set_variables(
        UUID,
        {"A": {"value": "x", "is_secret": True}},  # type: ignore[dict-item]
    ),
    "a number for a variable": lambda c: c.triggers.set_variables(UUID, {"A": 1}),  # type: ignore[dict-item]
    "null for a variable": lambda c: c.triggers.set_variables(UUID, {"A": None}),  # type: ignore[dict-item]
    "a dict for settings": lambda c: c.workers.update(
        TAG,
        production_settings={"build_command": "x"},  # type: ignore[arg-type]
    ),
    "a text for labels": lambda c: c.workers.list(tags="production:yes"),  # type: ignore[arg-type]
    "a text for patterns": lambda c: c.workers.update(
        TAG,
        production_settings=BuildSettingsUpdate(path_includes="src/*"),
    ),
    "a text for patterns of new settings": lambda _: asyncio.sleep(
        0,
        NewBuildSettings(
            build_command="a",
            deploy_command="b",
            build_token_uuid=UUID,
            path_includes="src/*",
        ),
    ),
}


@pytest.mark.parametrize("what", MISUSE)
async def test_wrong_types_are_refused(what: str, api: MockApi) -> None:
    """Misuse is a TypeError or ValueError before anything is sent, no AttributeError and no bad body."""
    for method in ("GET", "PATCH"):
        api.add(re.compile(".*"), method=method, payload=envelope({}))
    async with _client() as client:
        with pytest.raises((TypeError, ValueError)):
            await MISUSE[what](client)
    assert api.sent == []


@pytest.mark.parametrize("asked", ["SHOP", "frontend", "api"])
async def test_near_names(asked: str, api: MockApi) -> None:
    """Another case and a part of a name are near."""
    names = {"SHOP": "shop", "frontend": "acme-frontend-production", "api": "acme-orders-api"}
    found = [{"id": name, "tag": f"{i:032x}"} for i, name in enumerate(names.values())]
    api.on("GET", "/workers/scripts", envelope(found), repeat=True)
    async with _client() as client:
        with pytest.raises(NotFoundError, match=re.escape(repr(names[asked]))):
            await client.workers.tags([asked])


async def test_tag_in_capitals(api: MockApi) -> None:
    """A tag that was typed in capitals is found, as the API answers by the small ones."""
    tag = "dd7160bb9cef458093557736f4b9e75b"
    api.add(re.compile(".*"), payload=envelope({"builds": {tag: {"build_uuid": UUID}}}))
    async with _client() as client:
        result = await client.builds.latest([tag.upper()])
    assert result.missing == ()


@pytest.mark.parametrize(
    ("result", "call"),
    [
        ({"A": None}, lambda c: c.triggers.variables(UUID)),
        ({"scripts": {"build": None}}, lambda c: c.repos.config_autofill("github", "1", "2", branch="b")),
        (
            {"env_worker_names": {"staging": None}},
            lambda c: c.repos.config_autofill("github", "1", "2", branch="b"),
        ),
        (
            {"id": TAG, "destination": {"type": "queues.queue", "queue_id": None}},
            lambda c: c.subscriptions.get(TAG),
        ),
        ({"id": TAG, "source": {"type": None}}, lambda c: c.subscriptions.get(TAG)),
        ([{"id": "shop", "tags": [None]}], lambda c: c.workers.list()),
    ],
)
async def test_null_inside(result: Any, call: Call, api: MockApi) -> None:
    """A null in a map or list of a result decodes."""
    api.add(re.compile(".*"), payload=envelope(result))
    async with _client() as client:
        await call(client)


@pytest.mark.parametrize("name", ["QueueAcks", "QueueExtension", "Pages"])
def test_what_methods_give_is_exported(name: str) -> None:
    """Whatever a public method gives can be named in an annotation."""
    assert name in builds_async.__all__


async def test_anonymous_answer_is_not_counted_for_the_user(api: MockApi) -> None:
    """What the answer to a call without the token says of a rate limit is not about the token's user."""
    api.add(
        f"{BASE_URL}/workers/builds/deploy_hooks/{UUID}",
        method="POST",
        payload=envelope({"build_uuid": OTHER}),
        headers={"Ratelimit": '"default";r=0;t=60'},
    )
    async with _client() as client:
        await client.deploy_hooks.trigger(UUID)
        assert client.budget.snapshot().left > 0


async def test_lost_start_says_the_same_everywhere(api: MockApi) -> None:
    """`args` has the whole message, also when looking for the build fails."""
    api.on("POST", f"/builds/triggers/{UUID}/builds", status=502, body="x")
    api.on("GET", "/workers/scripts", refusal(10000, "Authentication error"), status=403)
    async with _client() as client:
        with pytest.raises(BuildsError) as caught:
            await client.triggers.start_build(UUID, branch="main")
    assert caught.value.args == (caught.value.message,)
