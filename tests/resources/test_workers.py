"""`client.workers`: names and tags, and the build configuration of a Worker."""

from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

from builds_async import BuildsClient, ConflictError, NotFoundError, Page
from builds_async.models.variables import NewVariable
from builds_async.models.workers import BuildSettingsUpdate, NewBuildSettings, NewGitRepository
from builds_async.resources.paging import Pages
from tests.support import MockApi, envelope, result_info, tags
from tests.support.case import Case
from tests.support.workers import SCRIPTS, listing, simulated

A, B, C = tags(3)


GIT = NewGitRepository(
    provider_type="github",
    provider_account_id="1",
    provider_account_name="acme",
    repo_id="2",
    repo_name="shop",
    branch="main",
)
SETTINGS = NewBuildSettings(build_command="", deploy_command="npx wrangler deploy", build_token_uuid=A)

PREVIEW_LIST = f"/builds/workers/{A}/previews"
LISTS: dict[str, tuple[str, str, Callable[[BuildsClient, int], Pages[Any]], int]] = {
    "previews.iter": (PREVIEW_LIST, "preview_id", lambda it, n: it.previews.iter(A, per_page=n), 200),
    "previews.iter_builds": (
        f"{PREVIEW_LIST}/{B}/builds",
        "build_uuid",
        lambda it, n: it.previews.iter_builds(A, B, per_page=n),
        200,
    ),
    "tokens.iter": ("/builds/tokens", "build_token_uuid", lambda it, n: it.tokens.iter(per_page=n), 200),
    "subscriptions.iter": (
        "/event_subscriptions/subscriptions",
        "id",
        lambda it, n: it.subscriptions.iter(per_page=n),
        100,
    ),
    "workers.iter_search": (
        "/workers/scripts-search",
        "id",
        lambda it, n: it.workers.iter_search(name="s&p", per_page=n),
        100,
    ),
}
MORE = {"page": 1, "per_page": 2, "count": 2}
ENDS: dict[str, tuple[list[list[str]], list[Any], int]] = {
    "total_pages": ([["a", "b"], ["c", "d"]], [{"total_pages": 2}] * 2, 2),
    "next_page false": ([["a", "b"], ["c", "d"]], [{"next_page": True}, {"next_page": False}], 2),
    "short page": ([["a", "b"], ["c"]], [None, None], 2),
    "empty page": ([["a", "b"], []], [None, None], 2),
    "repeated page": ([["a", "b"], ["a", "b"]], [None, MORE], 2),
    "nothing": ([[]], [None], 1),
    "only one": ([["a", "b"]], [{"total_pages": 1}], 1),
    "as the live API": (
        [["a", "b"], ["c", "d"], ["e"]],
        [result_info(page=page, per_page=2, total_count=5) for page in (1, 2, 3)],
        3,
    ),
    "one item twice": ([["a", "b"], ["b", "c"], ["d"]], [None, None, None], 3),
}


@pytest.mark.parametrize("name", LISTS)
async def test_pages(name: str, client: BuildsClient) -> None:
    """A paged list returns every item once, and stops at each form of the API's last page."""
    path, key, iterate, _ = LISTS[name]
    for end, (pages, infos, requests) in ENDS.items():
        with Case(end), PagesApi() as api:
            api.add_pages(path, [[{key: it} for it in page] for page in pages], infos)
            got = [getattr(it, key) async for it in iterate(client, 2)]
            assert got == list(dict.fromkeys(it for page in pages for it in page))
            assert len(api.sent) == requests
            assert all("per_page=2" in sent for _, sent in api.sent)


class PagesApi(MockApi):
    """A list's pages, in order, for any other query."""

    def add_pages(self, path: str, pages: list[list[Any]], infos: list[Any]) -> None:
        for number, (items, info) in enumerate(zip(pages, infos, strict=True), 1):
            query = f"page={number}&per_page=2"
            if "scripts-search" in path:
                query = f"name=s%26p&order_by=name&{query}"
            if "subscriptions" in path:
                query += "&order=name&direction=asc"
            self.on("GET", f"{path}?{query}", envelope(items, result_info=info))


@pytest.fixture
def api() -> Iterator[PagesApi]:
    with PagesApi() as mock:
        yield mock


@pytest.mark.parametrize("name", LISTS)
async def test_page_limits(name: str, client: BuildsClient, api: MockApi) -> None:
    """A page size beyond the API's limit is a ValueError with the limit, and nothing is sent."""
    _, _, iterate, most = LISTS[name]
    for wrong in (0, -1, most + 1):
        with pytest.raises(ValueError, match=f"per_page 1 to {most}"):
            await anext(iterate(client, wrong))
    assert api.sent == []


class TestList:
    async def test_labels(self, client: BuildsClient, api: MockApi) -> None:
        """Labels filter the list by presence or absence, and are not tags."""
        api.on("GET", f"{SCRIPTS}?tags=production%3Ayes%2Ca%20b%3Ano", listing(shop=A))
        (found,) = await client.workers.list(tags={"production": True, "a b": False})
        assert (found.id, found.tag) == ("shop", A)

    @pytest.mark.parametrize("labels", [None, {}], ids=["none", "empty"])
    async def test_no_labels(self, labels: Any, client: BuildsClient, api: MockApi) -> None:
        """Without labels the query is empty."""
        api.on("GET", SCRIPTS, listing())
        assert await client.workers.list(tags=labels) == ()

    async def test_search(self) -> None:
        """A search finds Workers by a part of the name, in pages, and by the tag."""
        async with simulated() as (sim, client):
            made = {name: sim.add_worker(name) for name in ("shop-1", "shop-2", "blog", "shop-3")}
            page = await client.workers.search(name="shop", per_page=2)
            assert [it.script_name for it in page] == ["shop-1", "shop-2"]
            assert isinstance(page, Page)
            found = [it.id async for it in client.workers.iter_search(name="shop", per_page=2)]
            assert found == [made["shop-1"], made["shop-2"], made["shop-3"]]
            (one,) = await client.workers.search(id=made["blog"])
            assert one.script_name == "blog"
            assert [it async for it in client.workers.iter_search(name="nothing")] == []


class TestConfiguration:
    async def test_life(self) -> None:
        """A Worker can be connected, read, changed and disconnected, and still exists afterwards."""
        async with simulated() as (sim, client):
            tag = sim.add_worker("shop", connected=False)
            token = await client.tokens.create(
                build_token_name="b", build_token_secret="s" * 40, cloudflare_token_id="i"
            )
            settings = NewBuildSettings(
                build_command="make",
                deploy_command="npx wrangler deploy",
                build_token_uuid=token.build_token_uuid,
                environment_variables={
                    "A": NewVariable(value="b"),
                    "S": NewVariable(value="s", is_secret=True),
                },
            )
            new: dict[str, Any] = {
                "script_tag": tag,
                "git_repository": GIT,
                "production_settings": settings,
                "previews_enabled": False,
                "previews_base_config": settings,
            }
            made = await client.workers.create(**new)
            assert made.script_tag == tag
            with pytest.raises(ConflictError):
                await client.workers.create(**new)
            change = BuildSettingsUpdate(build_command="build", environment_variables={"A": None})
            changed = await client.workers.update(tag, branch="next", production_settings=change)
            assert changed == await client.workers.get(tag)
            assert changed.git_repository is not None
            assert changed.git_repository.branch == "next"
            assert changed.production_settings is not None
            assert changed.production_settings.deploy_command == "npx wrangler deploy"
            assert changed.production_settings.environment_variables is not None
            assert [*changed.production_settings.environment_variables] == ["S"]
            await client.workers.delete(tag)
            with pytest.raises(NotFoundError):
                await client.workers.get(tag)
            assert await client.workers.tags(["shop"]) == {"shop": tag}

    @pytest.mark.parametrize("result", [None, "ok", {}, [], 5], ids=repr)
    async def test_deleted(self, result: Any, client: BuildsClient, api: MockApi) -> None:
        """A deletion succeeds, whatever its result is."""
        api.on("DELETE", f"/builds/workers/{A}", envelope(result))
        await client.workers.delete(A)


async def test_borrowed_session() -> None:
    """Names are resolved over a borrowed session too."""
    async with simulated() as (sim, _), aiohttp.ClientSession() as session:
        tag = sim.add_worker("shop")
        async with BuildsClient(
            account_id=sim.account_id, api_token=sim.api_token, base_url=sim.url, session=session
        ) as client:
            assert await client.workers.tags(["shop"]) == {"shop": tag}
