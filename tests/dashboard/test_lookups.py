"""The details of a Worker, its last builds and its deployment, for any number of browsers."""

import asyncio
from typing import Any

import aiohttp
import pytest

from builds_async import BuildOutcome, BuildsConnectionError
from builds_async.dashboard import lookups
from builds_async.simulator import BuildsSimulator, Fault
from tests.dashboard.support import events, eventually, loaded, serving, states
from tests.support import nothing_left


async def get(http: aiohttp.ClientSession, url: str, tag: str, what: str) -> Any:
    async with http.get(f"{url}workers/{tag}/{what}") as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        return await response.json()


def count(sim: BuildsSimulator, *parts: str) -> int:
    """The number of API requests with one of these parts in their path."""
    return sum(any(part in seen.path for part in parts) for seen in sim.requests)


async def test_last_builds_newest_first(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession) -> None:
    """The last builds have the fields of a row, and the author of the commit."""
    tag = sim.workers["shop"]
    old = sim.add_finished_build(outcome=BuildOutcome.FAIL, external_script_id=tag, age=600)
    new = sim.add_finished_build(external_script_id=tag, branch="next", age=60)
    first, second = await get(http, url, tag, "builds")
    assert (first["build"], first["state"], first["branch"]) == (new.build_uuid, "success", "next")
    assert (second["build"], second["state"], second["author"]) == (old.build_uuid, "fail", "octocat")
    assert second["seconds"] > 0


async def test_no_requests_before_details_are_opened(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """The list alone requests no deployment."""
    sim.add_finished_build(external_script_id=sim.workers["shop"])
    async with http.get(url + "workers") as response:
        await loaded(events(response))
    assert count(sim, "/deployments") == 0


async def known(http: aiohttp.ClientSession, url: str, sim: BuildsSimulator) -> str:
    """The tag of a Worker whose row has been loaded."""
    async with http.get(url + "workers") as response:
        await loaded(events(response))
    return sim.workers["blog"]


@pytest.mark.parametrize(
    ("what", "path"),
    [
        pytest.param("builds", "/workers/{tag}/builds", id="builds"),
        pytest.param("live", "/deployments", id="live"),
    ],
)
async def test_many_viewers_cost_the_requests_of_one(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, what: str, path: str
) -> None:
    """A hundred browsers that open the details, at once and later, cost one lookup."""
    tag = await known(http, url, sim)
    answers = await asyncio.gather(*(get(http, url, tag, what) for _ in range(100)))
    assert await get(http, url, tag, what) == answers[0]
    assert all(answer == answers[0] for answer in answers)
    assert count(sim, path.format(tag=tag)) == 1


async def test_live_costs_two_requests_and_a_third_without_a_build(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """A deployment and its build cost a request each, and a version without a build costs one more."""
    shop, blog = sim.workers["shop"], sim.workers["blog"]
    build = sim.add_finished_build(external_script_id=shop)
    sim.deploy(blog)
    paths = ("/deployments", "/builds/builds", "/versions")
    before = count(sim, *paths) - count(sim, "/latest")
    (version,) = (await get(http, url, shop, "live"))["versions"]
    assert (version["build"], version["percentage"], version["reason"]) == (build.build_uuid, 100, None)
    assert count(sim, *paths) - count(sim, "/latest") - before == 2
    (version,) = (await get(http, url, blog, "live"))["versions"]
    assert version["reason"] == "by_hand"
    assert "build" not in version
    assert count(sim, *paths) - count(sim, "/latest") - before == 5


async def test_worker_without_builds_and_deployments(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """A Worker without builds and deployments has empty details, not an error."""
    tag = sim.workers["blog"]
    assert await get(http, url, tag, "builds") == []
    assert await get(http, url, tag, "live") == {"since": None, "versions": []}


async def test_change_of_a_worker_refreshes_its_details(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """A response is cached only until the row of its Worker changes."""
    tag = sim.workers["shop"]
    async with http.get(url + "workers") as response:
        told = events(response)
        await loaded(told)
        assert await get(http, url, tag, "builds") == []
        build = sim.add_build(external_script_id=tag)
        while states(await anext(told)) != {"shop": "queued"}:
            pass
        (row,) = await get(http, url, tag, "builds")
        assert row["build"] == build.build_uuid


async def test_cache_expires(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment by hand, which changes no row, is found once the cached response expires."""
    monkeypatch.setattr(lookups, "KEEP", 0.0)
    tag = sim.workers["shop"]
    assert (await get(http, url, tag, "live"))["versions"] == []
    sim.deploy(tag)
    assert len((await get(http, url, tag, "live"))["versions"]) == 1


async def test_error_is_not_cached(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession) -> None:
    """A failed lookup is 502 with the reason, and the next one sends a new request."""
    tag = await known(http, url, sim)
    sim.fault(Fault("server_error", path="/deployments", times=2))
    async with http.get(f"{url}workers/{tag}/live") as response:
        assert response.status == 502
        assert (await response.text()).startswith("GET /")
    assert await get(http, url, tag, "live") == {"since": None, "versions": []}


async def test_older_lookup_that_fails_later() -> None:
    """A lookup that fails leaves the newer one of its Worker alone, whether that succeeds or fails."""
    sent: list[asyncio.Future[str]] = []

    def ask(_: str) -> asyncio.Future[str]:
        sent.append(asyncio.get_running_loop().create_future())
        return sent[-1]

    cache = lookups.Cache(ask)
    first, second = (asyncio.ensure_future(cache.get("shop", version)) for version in (1, 2))
    await eventually(lambda: len(sent) == 2)
    sent[0].set_exception(BuildsConnectionError("old"))
    with pytest.raises(BuildsConnectionError, match="old"):
        await first
    third = asyncio.ensure_future(cache.get("shop", 2))
    await asyncio.sleep(0.01)
    assert len(sent) == 2
    sent[1].set_exception(BuildsConnectionError("new"))
    for waiting in (second, third):
        with pytest.raises(BuildsConnectionError, match="new"):
            await waiting


async def test_closing_ends_an_older_lookup() -> None:
    """Closing also cancels a lookup that a newer one of its Worker has replaced."""
    async with nothing_left():
        cache = lookups.Cache[None](lambda _: asyncio.sleep(60))
        viewers = [asyncio.ensure_future(cache.get("shop", version)) for version in (1, 2)]
        await asyncio.sleep(0)
        await cache.close()
        await asyncio.wait(viewers, timeout=1)
        assert all(viewer.cancelled() for viewer in viewers)


@pytest.mark.parametrize("what", ["builds", "live"])
async def test_unknown_worker_sends_no_request(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, what: str
) -> None:
    """A tag that is not in the list is refused without an API request."""
    tag = "0" * 32
    async with http.get(f"{url}workers/{tag}/{what}") as response:
        assert response.status == 404
    assert count(sim, tag) == 0


async def test_leaving_viewer_does_not_affect_others(
    sim: BuildsSimulator, url: str, http: aiohttp.ClientSession
) -> None:
    """A browser that closes the details early does not end the lookup that others wait for."""
    tag = await known(http, url, sim)
    sim.fault(Fault("slow", path="/deployments", delay=0.2))
    first = asyncio.create_task(get(http, url, tag, "live"))
    await eventually(lambda: count(sim, "/deployments") == 1)
    second = asyncio.create_task(get(http, url, tag, "live"))
    first.cancel()
    assert await second == {"since": None, "versions": []}
    assert count(sim, "/deployments") == 1


async def test_shutdown_ends_a_lookup(sim: BuildsSimulator) -> None:
    """The server leaves no lookup behind."""
    sim.fault(Fault("stall", path="/deployments"))
    async with nothing_left(), aiohttp.ClientSession() as http:
        async with serving(sim) as url:
            asking = asyncio.create_task(http.get(f"{url}workers/{sim.workers['blog']}/live"))
            await eventually(lambda: count(sim, "/deployments") == 1)
        with pytest.raises(aiohttp.ClientError):
            await asking


async def test_name_that_is_invalid_in_a_path(http: aiohttp.ClientSession) -> None:
    """A Worker whose name can't be in a path has an error in its details, and the server continues."""
    async with BuildsSimulator(rate_limit=None) as sim:
        tag = sim.add_worker("a/b")
        async with serving(sim) as url:
            async with http.get(f"{url}workers/{tag}/live") as response:
                assert response.status == 502
                assert "can't be an id" in await response.text()
            assert await get(http, url, tag, "builds") == []
