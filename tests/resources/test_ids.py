"""Ids are sent in the API's spelling and returned in the caller's."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from builds_async import Build, BuildsClient, TailPosition
from builds_async.models.changes import WorkerMark
from tests.live.tail.support import next_line
from tests.support import MockApi, build, envelope, log_page
from tests.support.connections import GIT, SETTINGS

TAG = "dd7160bb9cef458093557736f4b9e75b"
OTHER = "aa7160bb9cef458093557736f4b9e75b"
UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"
LATEST = "/builds/builds/latest?external_script_ids="
VERSIONS = "/builds/builds?version_ids="

LookUp = Callable[[BuildsClient, list[str]], Awaitable[Any]]
LOOK_UPS: dict[str, tuple[LookUp, str, str]] = {
    "latest": (lambda client, ids: client.builds.latest(ids), LATEST, TAG),
    "by_version": (lambda client, ids: client.builds.by_version(ids), VERSIONS, UUID),
}


@pytest.mark.parametrize("verb", LOOK_UPS)
@pytest.mark.parametrize("answered", [str.lower, str.upper], ids=["lower", "upper"])
async def test_found(verb: str, answered: Callable[[str], str], client: BuildsClient, api: MockApi) -> None:
    """Each spelling of an id gets the result, in request order, and the id is sent once."""
    call, path, id_ = LOOK_UPS[verb]
    api.on("GET", f"{path}{id_},w1", envelope({"builds": {answered(id_): build(), "w1": build("w")}}))
    if verb == "latest":
        api.on(
            "GET", f"{path}{id_},{OTHER}", envelope({"builds": {answered(id_): build(), OTHER: build("w")}})
        )
    ids = [id_.upper(), OTHER if verb == "latest" else "w1", id_, id_.upper()]
    result = await call(client, ids)
    assert list(result.found) == [ids[0], ids[1], id_]
    assert result.found[id_] == result.found[id_.upper()]
    assert (result.missing, result.failed) == ((), {})
    assert len(api.sent) == 1


@pytest.mark.parametrize("verb", LOOK_UPS)
async def test_missing_and_failed(verb: str, client: BuildsClient, api: MockApi) -> None:
    """Missing and failed ids also keep the caller's spelling."""
    call, path, id_ = LOOK_UPS[verb]
    api.on("GET", f"{path}{id_}", envelope({"builds": {}}))
    api.on("GET", f"{path}{id_}", status=404)
    assert (await call(client, [id_.upper()])).missing == (id_.upper(),)
    assert list((await call(client, [id_, id_.upper()])).failed) == [id_, id_.upper()]


@pytest.mark.parametrize("odd", [{"build_uuid": None}, {}, "none", 7, [], {"build_uuid": ""}], ids=str)
async def test_unreadable_build(odd: object, client: BuildsClient, api: MockApi) -> None:
    """An unreadable build is in `failed`, not in `missing`, and hides no other build."""
    api.on("GET", f"{LATEST}{TAG},{OTHER}", envelope({"builds": {TAG: odd, OTHER: build()}}))
    result = await client.builds.latest([TAG.upper(), OTHER])
    assert (list(result.found), result.missing) == ([OTHER], ())
    [(key, error)] = result.failed.items()
    assert key == TAG.upper()
    assert "is not an object" in str(error)
    assert error.path == f"/accounts/{client.account_id}/builds/builds/latest"


async def test_tags(client: BuildsClient, api: MockApi) -> None:
    """`workers.tags` maps the caller's spelling to the API's, even among odd Workers."""
    odd = [None, {"id": 5, "tag": 7, "created_on": "soon"}, {"tag": OTHER}, {"id": "shop", "tag": TAG}]
    api.on("GET", "/workers/scripts", envelope(odd))
    assert await client.workers.tags([OTHER.upper(), "shop"]) == {OTHER.upper(): OTHER, "shop": TAG}


async def test_watch(client: BuildsClient, api: MockApi) -> None:
    """Changes and failures of a watch have the tag in the caller's spelling; it is sent once."""
    builds = {TAG: build(), OTHER: {"build_uuid": []}}
    api.on("GET", f"{LATEST}{TAG},{OTHER}", envelope({"builds": builds}), repeat=True)
    watch = client.watch([TAG.upper(), OTHER.upper(), TAG])
    change = await anext(watch)
    assert (change.external_script_id, change.build) == (TAG.upper(), Build(**_plain(change.build)))
    assert list(watch.failures) == [OTHER.upper()]


def _plain(it: Build) -> dict[str, Any]:
    return {name: getattr(it, name) for name in it.__struct_fields__}


async def test_tail(client: BuildsClient, api: MockApi) -> None:
    """Lines of a tail have the caller's spelling; its position has the API's, and fits any other."""
    running = build("b2", status="running", build_outcome=None, stopped_on=None)
    api.on("GET", f"{LATEST}{TAG}", envelope({"builds": {TAG: running}}), repeat=True)
    api.on(
        "GET", f"/builds/workers/{TAG}/builds?page=1&per_page=50", envelope([running, build()]), repeat=True
    )
    api.on("GET", "/builds/builds/b2/logs", envelope(log_page("one", "two", cursor="c")), repeat=True)
    tail = client.tail([TAG.upper()])
    line = await next_line(tail)
    position = tail.position
    await tail.aclose()
    assert (line.external_script_id, line.line.message) == (TAG.upper(), "one")
    assert list(position.workers) == [TAG]
    assert position.logs["b2"].external_script_id == TAG
    mixed = TAG[:2].upper() + TAG[2:]
    again = client.tail([mixed], start=position)
    line = await next_line(again)
    await again.aclose()
    assert (line.external_script_id, line.line.message) == (mixed, "two")


async def test_position_in_another_spelling(client: BuildsClient, api: MockApi) -> None:
    """A stored position with uppercase tags is understood."""
    api.on("GET", f"{LATEST}{TAG}", envelope({"builds": {}}), repeat=True)
    tail = client.tail([TAG], start=TailPosition({TAG.upper(): WorkerMark("b1")}))
    assert tail.position.workers == {TAG: WorkerMark("b1")}


async def test_create(client: BuildsClient, api: MockApi) -> None:
    """Tags are sent in the API's spelling, in the path and in the body."""
    api.on("POST", "/builds/workers", envelope(None))
    made = await client.workers.create(
        script_tag=TAG.upper(),
        git_repository=GIT,
        production_settings=SETTINGS,
        previews_enabled=False,
        previews_base_config=SETTINGS,
    )
    assert made.script_tag == TAG
    [[call]] = api.requests.values()
    assert TAG.encode() in call.kwargs["data"]
    assert TAG.upper().encode() not in call.kwargs["data"]


PATHS: dict[str, tuple[str, str, Callable[[BuildsClient], Awaitable[object]]]] = {
    "build": ("GET", f"/builds/builds/{UUID}", lambda c: c.builds.get(UUID.upper())),
    "cancel": ("PUT", f"/builds/builds/{UUID}/cancel", lambda c: c.builds.cancel(UUID.upper())),
    "log": (
        "GET",
        f"/builds/builds/{UUID}/logs?cursor=AbC",
        lambda c: c.builds.logs(UUID.upper(), cursor="AbC"),
    ),
    "trigger": ("DELETE", f"/builds/triggers/{UUID}", lambda c: c.triggers.delete(UUID.upper())),
    "token": ("DELETE", f"/builds/tokens/{UUID}", lambda c: c.tokens.delete(UUID.upper())),
    "connection": (
        "DELETE",
        f"/builds/repos/connections/{UUID}",
        lambda c: c.repos.delete_connection(UUID.upper()),
    ),
    "hook": (
        "DELETE",
        f"/builds/workers/Shop/deploy_hooks/{UUID}",
        lambda c: c.deploy_hooks.delete("Shop", UUID.upper()),
    ),
    "preview": (
        "GET",
        f"/builds/workers/{TAG}/previews/{OTHER}/builds?page=1&per_page=50",
        lambda c: c.previews.builds(TAG.upper(), OTHER.upper()),
    ),
    "queue": ("POST", f"/queues/{TAG}/messages/pull", lambda c: c.queues.pull(TAG.upper())),
    "subscription": (
        "DELETE",
        f"/event_subscriptions/subscriptions/{TAG}",
        lambda c: c.subscriptions.delete(TAG.upper()),
    ),
    "no UUID": ("GET", "/builds/builds/Build-1", lambda c: c.builds.get("Build-1")),
}


@pytest.mark.parametrize("what", PATHS)
async def test_paths(what: str, client: BuildsClient, api: MockApi) -> None:
    """UUIDs and 32-digit hex ids are sent in lowercase; names, cursors and other ids, unchanged."""
    method, path, call = PATHS[what]
    api.on(method, path, envelope(None if "builds/builds" not in path else build()))
    await call(client)
    assert api.sent == [(method, path)]


async def test_lost_start(client: BuildsClient, api: MockApi) -> None:
    """A build with a lost response is found by its trigger, in any spelling of the trigger's UUID."""
    queued = build(status="queued", build_outcome=None, stopped_on=None, created_on="2199-01-01T00:00:00Z")
    queued["trigger"] |= {"trigger_uuid": UUID, "external_script_id": TAG}
    queued["build_trigger_metadata"]["build_trigger_source"] = "manual"
    api.on("POST", f"/builds/triggers/{UUID}/builds", status=502)
    api.on("GET", "/workers/scripts", envelope([{"id": "shop", "tag": TAG}]))
    api.on("GET", f"{LATEST}{TAG}", envelope({"builds": {TAG: queued}}))
    found = await client.triggers.start_build(UUID.upper(), branch="main")
    assert found.build_uuid == queued["build_uuid"]


async def test_uppercase_tag(api: MockApi, client: BuildsClient) -> None:
    """An uppercase tag is matched to the lowercase tag of the response."""
    api.on("GET", f"{LATEST}{TAG}", envelope({"builds": {TAG: {"build_uuid": UUID}}}))
    result = await client.builds.latest([TAG.upper()])
    assert result.missing == ()
