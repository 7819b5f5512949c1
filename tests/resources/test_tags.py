"""Worker names and tags: names are resolved to tags and are not mistaken for tags."""

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any, Self

import pytest

from builds_async import (
    AuthenticationError,
    BuildsClient,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.models.workers import NewBuildSettings, NewGitRepository, WorkerScript
from builds_async.resources import builds, previews, triggers, workers
from builds_async.simulator import TokenKind
from tests.support import ACCOUNT, TAG, TOKEN, MockApi, build, envelope, nothing_left, settle, tags
from tests.support.case import cases
from tests.support.workers import SCRIPTS, listing, simulated

A, B, C = tags(3)


class TestTags:
    async def test_names_and_tags(self, client: BuildsClient, api: MockApi) -> None:
        """Names become tags and tags stay, in request order, keyed by the caller's spelling."""
        api.on("GET", SCRIPTS, listing(my_worker=A, shop=B))
        found = await client.workers.tags(["shop", C, "my-worker", "shop", C])
        assert list(found.items()) == [("shop", B), (C, C), ("my-worker", A)]
        assert api.sent == [("GET", SCRIPTS)]

    @pytest.mark.parametrize("asked", [[], [A, B], iter([A]), {A: 1}], ids=["none", "tags", "one", "map"])
    async def test_tags_only(self, asked: Any, client: BuildsClient, api: MockApi) -> None:
        """With tags alone, or with no names, nothing is sent."""
        wanted = [*asked]
        assert [*await client.workers.tags(iter(wanted))] == wanted
        assert [*await client.workers.tags(wanted, refresh=True)] == wanted
        assert api.sent == []

    async def test_kept(self, client: BuildsClient, api: MockApi) -> None:
        """The list is fetched once, and again for a name that is not in it."""
        api.on("GET", SCRIPTS, listing(shop=A))
        api.on("GET", SCRIPTS, listing(shop=B, new=C))
        for _ in range(3):
            assert await client.workers.tags(["shop"]) == {"shop": A}
        assert len(api.sent) == 1
        assert await client.workers.tags(["shop", "new"]) == {"shop": B, "new": C}
        assert len(api.sent) == 2

    async def test_refresh(self, client: BuildsClient, api: MockApi) -> None:
        """A refresh finds the new tag of a Worker that was recreated."""
        api.on("GET", SCRIPTS, listing(shop=A))
        api.on("GET", SCRIPTS, listing(shop=B))
        assert await client.workers.tags(["shop"]) == {"shop": A}
        assert await client.workers.tags(["shop"], refresh=True) == {"shop": B}
        assert await client.workers.tags(["shop"]) == {"shop": B}

    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("my-wroker", "'my-worker'"),
            ("My-Worker", "'my-worker'"),
            ("my_worker", "'my-worker'"),
            ("shoop", "'shop'"),
            (A[:-1], None),
            (A + "0", None),
            ("\uff11" * 32, None),
            (f" {A}", None),
            (f"{A}\n", None),
            ("", None),
            ("'; DROP", None),
            ("\x1b[31m", None),
            ("\U0001f600", None),
        ],
        ids=[
            *("typo", "case", "underscore", "letter too many", "31 digits", "33 digits"),
            *("full-width digits", "space", "line break", "empty", "quote", "escape", "emoji"),
        ],
    )
    async def test_unknown(self, name: str, near: str | None, client: BuildsClient, api: MockApi) -> None:
        """An unknown name is a NotFoundError that suggests similar names."""
        api.on("GET", SCRIPTS, listing(my_worker=B, shop=C))
        with pytest.raises(NotFoundError) as caught:
            await client.workers.tags([B, name])
        assert repr(name) in str(caught.value)
        assert ("there is" in str(caught.value)) is (near is not None)
        assert near is None or near in str(caught.value)
        assert str(caught.value).isprintable()
        assert caught.value.status == 404
        assert len(api.sent) == 1

    async def test_unknown_again(self, client: BuildsClient, api: MockApi) -> None:
        """A missing name is looked up again each time, because it may have been deployed since."""
        for listed in (listing(), listing(), listing(new=A)):
            api.on("GET", SCRIPTS, listed)
        for _ in range(2):
            with pytest.raises(NotFoundError):
                await client.workers.tags(["new"])
        assert await client.workers.tags(["new"]) == {"new": A}
        assert len(api.sent) == 3

    async def test_at_once(self, client: BuildsClient, api: MockApi) -> None:
        """Concurrent calls share one request, for a missing name and for a refresh too."""
        api.on("GET", SCRIPTS, listing(a=A, b=B))
        found = await asyncio.gather(*(client.workers.tags([name]) for name in "abab"))
        assert found == [{"a": A}, {"b": B}] * 2
        assert len(api.sent) == 1
        api.on("GET", SCRIPTS, listing(a=A, c=C))
        outcomes = await asyncio.gather(
            *(client.workers.tags([name]) for name in "cdc"),
            client.workers.tags(["a"], refresh=True),
            return_exceptions=True,
        )
        assert [type(it) for it in outcomes] == [dict, NotFoundError, dict, dict]
        assert len(api.sent) == 2

    async def test_deployed_meanwhile(self, client: BuildsClient) -> None:
        """A listing that began before a call does not prove that a Worker is missing."""
        responses = [listing(a=A), listing(a=A, new=B)]
        async with _Gated(client) as gate:
            first = asyncio.create_task(client.workers.tags(["a"]))
            await gate.asked.wait()  # the server has looked, and its response is in flight
            second = asyncio.create_task(client.workers.tags(["new"]))
            await settle()
            gate.respond(responses.pop(0))
            assert await first == {"a": A}
            await settle()
            assert not second.done()
            gate.respond(responses.pop(0))
            assert await second == {"new": B}

    @pytest.mark.parametrize(
        ("response", "error"),
        [
            ({"status": 500}, InternalServerError),
            ({"status": 401}, AuthenticationError),
            ({"status": 403}, PermissionDeniedError),
            ({"body": b"<html>"}, ResponseDecodeError),
            ({"payload": envelope("none")}, ResponseDecodeError),
        ],
        ids=["500", "401", "403", "HTML", "no list"],
    )
    async def test_failure_is_not_kept(self, response: Any, error: type[Exception], api: MockApi) -> None:
        """A failed listing raises, and the next call fetches it again."""
        api.on("GET", SCRIPTS, **response)
        api.on("GET", SCRIPTS, listing(shop=A))
        async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, retry=RetryPolicy(attempts=1)) as client:
            with pytest.raises(error):
                await client.workers.tags(["shop"])
            assert await client.workers.tags(["shop"]) == {"shop": A}

    async def test_failure_keeps_the_known_names(self, api: MockApi) -> None:
        """A failed refresh keeps the known names."""
        api.on("GET", SCRIPTS, listing(shop=A))
        api.on("GET", SCRIPTS, status=500)
        async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, retry=RetryPolicy(attempts=1)) as client:
            await client.workers.tags(["shop"])
            with pytest.raises(InternalServerError):
                await client.workers.tags(["other"])
            assert await client.workers.tags(["shop"]) == {"shop": A}

    @pytest.mark.parametrize("turns", range(6))
    async def test_cancel(self, turns: int, client: BuildsClient, api: MockApi) -> None:
        """A call that shares a request with a canceled one still gets its result."""
        api.on("GET", SCRIPTS, listing(shop=A), repeat=True)
        async with nothing_left():
            first = asyncio.create_task(client.workers.tags(["shop"]))
            second = asyncio.create_task(client.workers.tags(["shop"]))
            for _ in range(turns):
                await asyncio.sleep(0)
            first.cancel()
            assert await second == {"shop": A}
            await asyncio.wait([first])
        assert len(api.sent) <= 2

    async def test_without_tag(self, client: BuildsClient, api: MockApi) -> None:
        """A Worker listed without a tag is not found, and neither is one of an empty account."""
        api.on("GET", SCRIPTS, listing(odd=None, shop=A))
        with pytest.raises(NotFoundError):
            await client.workers.tags(["odd"])
        api.on("GET", SCRIPTS, envelope(None))
        with pytest.raises(NotFoundError):
            await client.workers.tags(["odd"])

    @cases("asked", ["shop", b"shop", [b"shop"], [None], [5], None, 5], ids=repr)
    async def test_misuse(self, asked: Any, client: BuildsClient, api: MockApi) -> None:
        """An argument other than an iterable of str is a TypeError, and nothing is sent."""
        with pytest.raises(TypeError):
            await client.workers.tags(asked)
        assert api.sent == []

    async def test_simulated(self) -> None:
        """Against the simulator, the tags fit `latest`, and the error names a missing permission."""
        async with simulated() as (sim, client):
            wanted = {name: sim.add_worker(name) for name in ("shop", "blog")}
            sim.add_worker("draft", deployed=False)
            found = await client.workers.tags(["shop", "blog"])
            assert found == wanted
            assert (await client.builds.latest(found.values())).missing == tuple(wanted.values())
            with pytest.raises(NotFoundError, match="never deployed"):
                await client.workers.tags(["draft"])
            async with BuildsClient(
                account_id=sim.account_id,
                api_token=sim.add_token(TokenKind.NO_SCRIPTS),
                base_url=sim.url,
            ) as other:
                with pytest.raises(PermissionDeniedError, match="Workers Scripts Read"):
                    await other.workers.tags(["shop"])


@pytest.mark.parametrize("asked", ["SHOP", "frontend", "api"])
async def test_suggested_names(asked: str, api: MockApi, client: BuildsClient) -> None:
    """The error suggests a name in another case, or one that contains the given name."""
    names = {"SHOP": "shop", "frontend": "acme-frontend-production", "api": "acme-orders-api"}
    found = [{"id": name, "tag": f"{i:032x}"} for i, name in enumerate(names.values())]
    api.on("GET", "/workers/scripts", envelope(found), repeat=True)
    with pytest.raises(NotFoundError, match=re.escape(repr(names[asked]))):
        await client.workers.tags([asked])


class _Gated:
    """Holds back the responses to a client's listing."""

    def __init__(self, client: BuildsClient) -> None:
        self.client = client
        self.asked = asyncio.Event()
        self._responses: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self.client.workers.list = self._list  # type: ignore[method-assign, assignment]
        return self

    async def __aexit__(self, *_: object) -> None:
        del self.client.workers.list

    async def _list(self) -> tuple[WorkerScript, ...]:
        self.asked.set()
        body = await self._responses.get()
        return tuple(WorkerScript(id=it["id"], tag=it["tag"]) for it in body["result"])

    def respond(self, body: Any) -> None:
        self._responses.put_nowait(body)


GIT = NewGitRepository(
    provider_type="github",
    provider_account_id="1",
    provider_account_name="acme",
    repo_id="2",
    repo_name="shop",
    branch="main",
)
SETTINGS = NewBuildSettings(build_command="", deploy_command="npx wrangler deploy", build_token_uuid=A)

TAGGED: dict[str, Callable[[BuildsClient, Any], Any]] = {
    "builds.list": lambda it, tag: it.builds.list(tag),
    "builds.iter": lambda it, tag: it.builds.iter(tag),
    "builds.latest": lambda it, tag: it.builds.latest([A, tag]),
    "builds.start": lambda it, tag: it.builds.start(tag, branch="main"),
    "triggers.list": lambda it, tag: it.triggers.list(tag),
    "triggers.create": lambda it, tag: it.triggers.create(
        external_script_id=tag,
        repo_connection_uuid=A,
        build_token_uuid=A,
        trigger_name="t",
        build_command="",
        deploy_command="",
        branch_includes=["main"],
    ),
    "workers.search": lambda it, tag: it.workers.search(id=tag),
    "workers.get": lambda it, tag: it.workers.get(tag),
    "workers.create": lambda it, tag: it.workers.create(
        script_tag=tag,
        git_repository=GIT,
        production_settings=SETTINGS,
        previews_enabled=False,
        previews_base_config=SETTINGS,
    ),
    "workers.update": lambda it, tag: it.workers.update(tag, previews_enabled=True),
    "workers.delete": lambda it, tag: it.workers.delete(tag),
    "workers.migrate_to_previews": lambda it, tag: it.workers.migrate_to_previews(tag),
    "previews.list": lambda it, tag: it.previews.list(tag),
    "previews.iter": lambda it, tag: it.previews.iter(tag),
    "previews.get": lambda it, tag: it.previews.get(tag, A),
    "previews.get, preview_id": lambda it, tag: it.previews.get(A, tag),
    "previews.update": lambda it, tag: it.previews.update(tag, A, auto_build=True),
    "previews.update, preview_id": lambda it, tag: it.previews.update(A, tag, auto_build=True),
    "previews.builds": lambda it, tag: it.previews.builds(tag, A),
    "previews.builds, preview_id": lambda it, tag: it.previews.builds(A, tag),
    "previews.iter_builds": lambda it, tag: it.previews.iter_builds(tag, A),
    "previews.iter_builds, preview_id": lambda it, tag: it.previews.iter_builds(A, tag),
    "previews.start_build": lambda it, tag: it.previews.start_build(tag, A, branch="main"),
    "previews.start_build, preview_id": lambda it, tag: it.previews.start_build(A, tag, branch="main"),
    "watch": lambda it, tag: it.watch([A, tag]),
    "tail": lambda it, tag: it.tail([A, tag]),
    "token_repair": lambda it, tag: it.token_repair([A, tag]).plan(),
    "wait_for_commit": lambda it, tag: it.wait_for_commit(tag, "5f0c1d2e"),
}
NO_TAGS = (
    "my-worker",
    A[:-1],
    A + "0",
    f"{A}\n",
    f" {A}",
    A.replace("0", "g"),
    "\uff11" * 32,
    A[:8] + "-" + A[9:],
)


class TestTagsOnly:
    @cases("call", TAGGED.values(), ids=TAGGED)
    async def test_name(
        self, call: Callable[[BuildsClient, Any], Any], client: BuildsClient, api: MockApi
    ) -> None:
        """A method that takes a tag rejects a name, says what to use, and sends nothing."""
        for name in NO_TAGS:
            with pytest.raises(
                ValueError, match=r"if it is a Worker name, look up its tag with client\.workers\.tags"
            ) as caught:
                await _run(call(client, name))
            assert repr(name) in str(caught.value)
        assert api.sent == []

    @cases("call", TAGGED.values(), ids=TAGGED)
    async def test_not_a_string(
        self, call: Callable[[BuildsClient, Any], Any], client: BuildsClient, api: MockApi
    ) -> None:
        """A value that is not a str, or would leave its place in the path, is rejected too."""
        for wrong in (b"shop", 5, None, ["a"]):
            if wrong is None and call is TAGGED["workers.search"]:
                continue
            with pytest.raises(TypeError):
                await _run(call(client, wrong))
        for path in ("", ".", "..", f"{A}/x", "a\\b"):
            with pytest.raises(ValueError, match="can't be an id"):
                await _run(call(client, path))
        assert api.sent == []

    def test_all(self) -> None:
        """The table has each method that takes a tag."""
        classes = (builds.Builds, triggers.Triggers, workers.Workers, previews.Previews, BuildsClient)
        named = {"external_script_id", "external_script_ids", "script_tag", "preview_id"}
        taking = {
            f"{kind.__name__.lower()}.{name}"
            for kind in classes
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
            if named & set(inspect.signature(method).parameters)
        }
        tabled = {name.partition(",")[0] for name in TAGGED} - {"workers.search"}
        assert {it.removeprefix("buildsclient.") for it in taking} == tabled

    @pytest.mark.parametrize("tag", [A, "ABCDEF" + A[6:], "f" * 32], ids=["digits", "capitals", "letters"])
    async def test_tag(self, tag: str, client: BuildsClient, api: MockApi) -> None:
        """A string of 32 hex digits is a tag in either case, and is sent in lowercase."""
        api.on("GET", f"/builds/workers/{tag.lower()}/triggers", envelope([]))
        assert await client.triggers.list(tag) == ()
        assert await client.workers.tags([tag]) == {tag: tag.lower()}

    async def test_cheap(self, client: BuildsClient, api: MockApi) -> None:
        """`latest`, `follow`, `watch` and `tail` look up no names."""
        api.on("GET", f"/builds/builds/latest?external_script_ids={TAG}", _latest(), repeat=True)
        api.on("GET", f"/builds/builds/{build()['build_uuid']}", envelope(build()))
        api.on("GET", f"/builds/builds/{build()['build_uuid']}/logs", envelope(None), repeat=True)
        await client.builds.latest([TAG])
        assert await client.follow(build()["build_uuid"]).read() == ()
        await anext(client.watch([TAG]))
        async with client.tail([TAG]) as log:
            await log._requests.start_due()
            await log._requests.wait()
        assert {path.partition("?")[0].rpartition("/")[2] for _, path in api.sent} == {
            "latest",
            "logs",
            build()["build_uuid"],
        }


def _latest() -> Any:
    return envelope({"builds": {TAG: build()}})


async def _run(made: Any) -> None:
    """Await a call's return value, if it is awaitable."""
    if inspect.isawaitable(made):
        await made
