"""The URL of a build's dashboard page, and the Worker names that it needs."""

import asyncio

import pytest

from builds_async import Build, BuildsClient, NotFoundError
from builds_async.simulator import BuildsSimulator, VirtualClock
from tests.support import BUILD_UUID, MockApi, envelope


async def test_names() -> None:
    """All Worker names are listed by tag, with a new request per call, because they can change."""
    sim = BuildsSimulator(clock=VirtualClock())
    shop, blog = sim.add_worker("shop"), sim.add_worker("blog")
    async with sim.client() as client:
        assert await client.workers.names() == {shop: "shop", blog: "blog"}
        later = sim.add_worker("later")
        assert (await client.workers.names())[later] == "later"
    assert len(sim.requests) == 2


async def test_names_of_odd_workers(client: BuildsClient, api: MockApi) -> None:
    """A tag is lowercase, and a Worker without a tag is omitted."""
    api.on(
        "GET", "/workers/scripts", json=envelope([{"id": "a", "tag": "AB" * 16}, {"id": "b", "tag": None}])
    )
    assert await client.workers.names() == {"ab" * 16: "a"}


async def test_dashboard_url() -> None:
    """The URL has account, Worker and build; Workers are listed once, and again for an unknown one."""
    sim = BuildsSimulator(clock=VirtualClock())
    first = sim.add_finished_build(external_script_id=sim.add_worker("shop"))
    async with sim.client() as client:
        build = await client.builds.get(first.build_uuid)
        urls = await asyncio.gather(*(client.dashboard_url(build) for _ in range(5)))
        assert set(urls) == {
            f"https://dash.cloudflare.com/{sim.account_id}/workers/services/view/shop/production/builds/"
            + first.build_uuid
        }
        assert len(sim.requests) == 2
        second = sim.add_finished_build(external_script_id=sim.add_worker("blog"))
        assert "/blog/" in await client.dashboard_url(await client.builds.get(second.build_uuid))
    assert len(sim.requests) == 4


async def test_build_without_a_known_worker() -> None:
    """Without the name of the Worker there is no URL, and the error says why."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client() as client:
        with pytest.raises(NotFoundError, match="the API does not name its Worker"):
            await client.dashboard_url(Build(build_uuid=BUILD_UUID))
        other = BuildsSimulator(clock=VirtualClock(), seed=2)
        async with other.client() as stranger:
            foreign = await stranger.builds.get(other.add_finished_build().build_uuid)
        with pytest.raises(NotFoundError, match="the account has no Worker with its tag"):
            await client.dashboard_url(foreign)
