"""`client.deployments`, `client.versions` and the subdomains."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from builds_async import (
    BuildsClient,
    Deployment,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
    Version,
    VersionMetadata,
)
from builds_async.simulator import Behavior, BuildsSimulator, TokenKind, VirtualClock
from tests.support import MockApi, envelope
from tests.support.case import cases
from tests.support.decoding import decoded

EPOCH = datetime(2026, 11, 26, tzinfo=UTC)
DEPLOYMENTS = "/workers/scripts/shop/deployments"
VERSION = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"


@pytest.fixture
def sim() -> BuildsSimulator:
    """A simulator with the Worker `shop`."""
    sim = BuildsSimulator(clock=VirtualClock(), epoch=EPOCH)
    sim.add_worker("shop")
    return sim


@pytest.fixture
async def client_of_sim(sim: BuildsSimulator) -> AsyncIterator[BuildsClient]:
    """A client of it."""
    async with sim.client() as client:
        yield client


async def test_deployments(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """The list is newest first, `get` finds one deployment, and `current` is the first."""
    client, tag = client_of_sim, sim.workers["shop"]
    assert await client.deployments.list("shop") == ()
    assert await client.deployments.current("shop") is None
    build = sim.add_finished_build(external_script_id=tag, age=60.0)
    rollback = sim.roll_back(tag, build.version_id, message="the old one was right")
    newest, oldest = await client.deployments.list("shop")
    assert await client.deployments.current("shop") == newest
    assert await client.deployments.get("shop", rollback) == newest
    assert (newest.id, newest.created_on, newest.strategy) == (rollback, EPOCH, "percentage")
    assert (newest.triggered_by, newest.message) == ("rollback", "the old one was right")
    assert (oldest.triggered_by, oldest.message) == ("deployment", None)
    assert [(it.version_id, it.percentage) for it in newest.versions or ()] == [(build.version_id, 100)]


async def test_versions(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """The list is paged, `iter` walks all pages, and `get` includes the resources."""
    client, tag = client_of_sim, sim.workers["shop"]
    made = [sim.add_version(tag, age=float(age), message="why") for age in range(12, 0, -1)][::-1]
    page = await client.versions.list("shop", page=2, per_page=5)
    assert [version.id for version in page] == made[5:10]
    assert page.result_info is not None
    assert page.result_info.total_count == 12
    assert [version.id async for version in client.versions.iter("shop", per_page=5)] == made
    assert len(await client.versions.list("shop", per_page=5, deployable=True)) == 12
    version = await client.versions.get("shop", made[0])
    assert (version.number, version.triggered_by, version.message) == (12, "upload", "why")
    assert version.resources is not None
    assert page[0].resources is None
    assert Version(id="v").triggered_by is Version(id="v").message is None


async def test_subdomains(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """The client reads the account's subdomain, and whether a Worker uses it."""
    client = client_of_sim
    assert (await client.account.subdomain()).subdomain == "simulated"
    sim.set_workers_dev(sim.workers["shop"], previews_enabled=False)
    found = await client.workers.subdomain("shop")
    assert (found.enabled, found.previews_enabled) == (True, False)
    sim.set_subdomain(None)
    with pytest.raises(NotFoundError, match=r"no workers\.dev subdomain"):
        await client.account.subdomain()


@pytest.mark.parametrize("code", [10007, 10090])
async def test_an_unknown_worker(code: int) -> None:
    """The NotFoundError says that this call needs the Worker's name, not its tag."""
    sim = BuildsSimulator(clock=VirtualClock(), behavior=Behavior(unknown_script=code))  # type: ignore[arg-type]
    async with sim.client() as client:
        with pytest.raises(NotFoundError, match="needs the Worker's name, not its tag") as caught:
            await client.deployments.current("nope")
    assert caught.value.codes == (code,)


async def test_tokens(sim: BuildsSimulator) -> None:
    """An account-owned token suffices; without Workers Scripts Read the error names that permission."""
    async with sim.client(api_token=sim.add_token(TokenKind.ACCOUNT_OWNED)) as client:
        assert await client.deployments.list("shop") == ()
    async with sim.client(api_token=sim.add_token(TokenKind.NO_SCRIPTS)) as client:
        with pytest.raises(PermissionDeniedError, match="Workers Scripts Read"):
            await client.deployments.list("shop")


@pytest.mark.parametrize("odd", [None, 7, {}, {"source": "dash"}], ids=repr)
async def test_the_current_deployment_is_never_guessed(odd: object, client: BuildsClient) -> None:
    """An unreadable deployment costs a list only itself, but makes the current deployment an error."""
    with MockApi() as api:
        api.on("GET", DEPLOYMENTS, envelope({"deployments": [odd, {"id": "d"}]}), repeat=True)
        assert await client.deployments.list("shop") == (Deployment(id="d"),)
        with pytest.raises(ResponseDecodeError, match="current deployment is unknown") as caught:
            await client.deployments.current("shop")
    path = f"/accounts/{client.account_id}{DEPLOYMENTS}"
    assert (caught.value.path, caught.value.transient) == (path, False)


@pytest.mark.parametrize("result", [None, [], {"deployments": None}, {"deployments": {}}], ids=repr)
async def test_an_unreadable_list_is_not_an_empty_one(result: object, client: BuildsClient) -> None:
    """An unreadable list is an error, because an empty one would mean "never deployed"."""
    with MockApi() as api:
        api.on("GET", DEPLOYMENTS, envelope(result))
        with pytest.raises(ResponseDecodeError):
            await client.deployments.list("shop")


@cases(
    ("metadata", "expected"),
    [
        ({"hasPreview": True}, True),
        ({"has_preview": True}, True),
        ({"hasPreview": True, "has_preview": False}, False),
        ({}, None),
    ],
)
def test_either_spelling_of_has_preview(metadata: dict[str, bool], expected: bool | None) -> None:
    """Either spelling of `has_preview` is read, because the API was seen to use both."""
    assert decoded(metadata, VersionMetadata).has_preview is expected
