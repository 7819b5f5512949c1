"""The web service: its responses and their cost."""

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from builds_async import AuthenticationError, BuildOutcome
from builds_async.simulator import BuildsSimulator, Fault
from tests.examples.support import guide

pytestmark = pytest.mark.slow  # real sockets


@pytest.fixture
def service() -> ModuleType:
    return guide("app", "status_service")


@pytest.fixture
def sim(builds_environ: dict[str, str], builds_simulator: BuildsSimulator) -> BuildsSimulator:
    assert builds_environ
    builds_simulator.add_worker("shop")
    return builds_simulator


@pytest.fixture
async def http(service: ModuleType, sim: BuildsSimulator) -> AsyncIterator[aiohttp.ClientSession]:
    """The running service."""
    port = unused_port()
    task = asyncio.create_task(service.main(port))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        while not sim.requests:  # it listens before its first request
            await asyncio.sleep(0.001)
        yield http
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def get(http: aiohttp.ClientSession, path: str) -> tuple[int, object]:
    async with http.get(path) as response:
        return response.status, await (response.json() if response.ok else response.text())


async def looked_up(http: aiohttp.ClientSession, name: str) -> object:
    """The service's response for a Worker, once it was looked up."""
    while (answer := await get(http, f"/workers/{name}"))[0] == 503:
        assert answer[1] == "not looked up yet"
    assert answer[0] == 200
    return answer[1]


async def test_worker(http: aiohttp.ClientSession, sim: BuildsSimulator) -> None:
    """The latest build of a Worker is served as it changes, and null before the first one."""
    assert await looked_up(http, "shop") is None
    build = sim.add_build(external_script_id=sim.workers["shop"])
    build.finish(BuildOutcome.FAIL)
    while not isinstance(answer := await looked_up(http, "shop"), dict):
        pass
    assert (answer["build_uuid"], answer["build_outcome"]) == (build.build_uuid, "fail")


async def test_visitors_are_free(http: aiohttp.ClientSession, sim: BuildsSimulator) -> None:
    """Visitors of a Worker's page cost one list of the Workers, and nothing more."""
    await looked_up(http, "shop")
    before = sum(it.path.endswith("/workers/scripts") for it in sim.requests)
    for _ in range(50):
        await looked_up(http, "shop")
    paths = [it.path for it in sim.requests]
    assert not any(path.endswith("/builds") for path in paths)
    # The watch lists the Workers once a minute, and the minutes of this test are short.
    assert sum(path.endswith("/workers/scripts") for path in paths) - before <= sim.clock.now() / 60 + 1


async def test_build(http: aiohttp.ClientSession, sim: BuildsSimulator) -> None:
    """A build is served with all fields."""
    build = sim.add_finished_build(external_script_id=sim.workers["shop"])
    status, answer = await get(http, f"/builds/{build.build_uuid}")
    assert status == 200
    assert isinstance(answer, dict)
    assert answer["build_uuid"] == build.build_uuid
    assert answer["build_trigger_metadata"]["branch"] == "main"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/workers/blog", 404),
        ("/builds/8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e", 404),
        ("/builds/%2e%2e%2fworkers", 400),
    ],
)
async def test_refusals(http: aiohttp.ClientSession, path: str, status: int) -> None:
    """An unknown Worker or build is 404 and an invalid id 400, each with a text."""
    answer = await get(http, path)
    assert answer[0] == status
    assert answer[1]


async def test_outage(http: aiohttp.ClientSession, sim: BuildsSimulator) -> None:
    """During an outage, a build is 503 and Workers keep their last state; then builds are served again."""
    build = sim.add_finished_build(external_script_id=sim.workers["shop"])
    while await looked_up(http, "shop") is None:
        pass
    sim.fault(Fault("server_error", times=None))
    assert (await get(http, f"/builds/{build.build_uuid}"))[0] == 503
    assert await looked_up(http, "shop")
    sim.clear_faults()
    assert (await get(http, f"/builds/{build.build_uuid}"))[0] == 200


async def test_wrong_credentials(
    service: ModuleType, sim: BuildsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With wrong credentials, the service ends with the error of its watch instead of serving stale data."""
    assert sim
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong")
    with pytest.raises(AuthenticationError):
        await service.main(unused_port())
