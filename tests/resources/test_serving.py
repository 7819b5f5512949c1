"""`client.live`: the version that a Worker serves now, and the build that made it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from builds_async import (
    AuthenticationError,
    BuildOutcome,
    BuildsClient,
    InternalServerError,
    LiveVersion,
    LiveWorker,
    NoBuildReason,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.simulator import Behavior, BuildsSimulator, Fault, TokenKind, VirtualClock
from tests.support import MockApi, envelope

EPOCH = datetime(2031, 1, 1, tzinfo=UTC)
"""A date that no machine's clock shows, because ages are measured by the server's."""
DAY = 86400.0


@pytest.fixture
def sim() -> BuildsSimulator:
    """A simulator with the Worker `shop`; builds are kept for 90 days."""
    return simulated()


def simulated(**behavior: Any) -> BuildsSimulator:
    sim = BuildsSimulator(
        clock=VirtualClock(), epoch=EPOCH, behavior=Behavior(builds_kept=90 * DAY, **behavior)
    )
    sim.add_worker("shop")
    return sim


@pytest.fixture
async def client_of_sim(sim: BuildsSimulator) -> AsyncIterator[BuildsClient]:
    """A client of it."""
    async with sim.client() as client:
        yield client


async def shop(client: BuildsClient) -> LiveWorker:
    """The live state of the Worker `shop`."""
    result = await client.live(["shop"])
    result.raise_for_failures()
    return result.found["shop"]


async def only(client: BuildsClient) -> LiveVersion:
    """The only version that the Worker `shop` serves."""
    [version] = (await shop(client)).versions
    assert (version.build is None) is (version.reason is not None)
    return version


def built(sim: BuildsSimulator, **options: Any) -> Any:
    """A finished build of the Worker `shop`."""
    return sim.add_finished_build(external_script_id=sim.workers["shop"], **options)


async def test_a_build(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """The version has all the traffic, its build, and no reason; the deployment has the date."""
    build = built(sim, age=0.0)
    worker, version = await shop(client_of_sim), await only(client_of_sim)
    assert (worker.script_name, worker.deployment.created_on) == ("shop", EPOCH)
    assert (version.version_id, version.percentage, version.reason) == (build.version_id, 100, None)
    assert version.build is not None
    assert version.build.build_uuid == build.build_uuid


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"makes": "version"}, id="uploaded only"),
        pytest.param({"makes": "nothing"}, id="green, and uploaded nothing"),
        pytest.param({"outcome": BuildOutcome.SKIPPED}, id="skipped"),
        pytest.param({"outcome": BuildOutcome.FAIL}, id="failed"),
    ],
)
async def test_the_latest_build_may_not_be_live(
    options: Any, sim: BuildsSimulator, client_of_sim: BuildsClient
) -> None:
    """A later build that deployed nothing changes nothing."""
    live = built(sim, age=60.0)
    built(sim, age=0.0, **options)
    version = await only(client_of_sim)
    assert version.build is not None
    assert version.build.build_uuid == live.build_uuid


async def test_a_rollback_to_a_build(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """After a rollback the older build is live."""
    older, newer = built(sim, age=120.0), built(sim, age=60.0)
    sim.roll_back(sim.workers["shop"], older.version_id)
    version = await only(client_of_sim)
    assert version.build is not None
    assert version.build.build_uuid == older.build_uuid != newer.build_uuid
    assert (await shop(client_of_sim)).deployment.triggered_by == "rollback"


async def test_a_promotion(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """A version uploaded by a build keeps that build when it is deployed by hand later."""
    build = built(sim, age=60.0, makes="version")
    sim.deploy(sim.workers["shop"], build.version_id, source="dash", triggered_by="promotion")
    version = await only(client_of_sim)
    assert version.build is not None
    assert version.build.build_uuid == build.build_uuid


async def test_a_rollback_to_a_version_without_a_build(
    sim: BuildsSimulator, client_of_sim: BuildsClient
) -> None:
    """A rollback to a version without a build has the rollback as its reason."""
    version_id = sim.edit(sim.workers["shop"], age=120.0)
    built(sim, age=60.0)
    sim.roll_back(sim.workers["shop"], version_id)
    assert (await only(client_of_sim)).reason == NoBuildReason.ROLLBACK


async def test_a_secret(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """A changed secret deploys a new version without a build."""
    built(sim, age=60.0)
    version_id = sim.change_secret(sim.workers["shop"])
    version = await only(client_of_sim)
    assert (version.version_id, version.reason) == (version_id, NoBuildReason.SECRET)


@pytest.mark.parametrize("how", ["edit", "deploy"])
async def test_by_hand(how: str, sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """A deployment by hand is recognized, from the dashboard and from wrangler."""
    built(sim, age=60.0)
    getattr(sim, how)(sim.workers["shop"])
    assert (await only(client_of_sim)).reason == NoBuildReason.BY_HAND


async def test_a_gradual_deployment(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """A gradual deployment lists two versions, larger share first, each with its build or reason."""
    build, by_hand = built(sim, age=60.0), sim.add_version(sim.workers["shop"])
    sim.deploy(sim.workers["shop"], {by_hand: 12.5, build.version_id: 87.5})
    first, second = (await shop(client_of_sim)).versions
    assert (first.version_id, first.percentage, first.reason) == (build.version_id, 87.5, None)
    assert (second.version_id, second.percentage, second.build) == (by_hand, 12.5, None)
    assert second.reason == NoBuildReason.BY_HAND


async def test_a_hundredth_of_a_percent(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """A version with the smallest possible share is listed last, whatever the API's order is."""
    build, by_hand = built(sim, age=60.0), sim.add_version(sim.workers["shop"])
    for shares in ({by_hand: 0.01, build.version_id: 99.99}, {build.version_id: 99.99, by_hand: 0.01}):
        sim.deploy(sim.workers["shop"], shares)
        assert [it.percentage for it in (await shop(client_of_sim)).versions] == [99.99, 0.01]


async def test_more_deployments_than_are_listed(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """The newest deployment is live, even if its version is older than every listed one."""
    build = built(sim, age=3600.0)
    for age in range(12, 0, -1):
        sim.edit(sim.workers["shop"], age=float(age))
    assert (await only(client_of_sim)).reason == NoBuildReason.BY_HAND
    sim.roll_back(sim.workers["shop"], build.version_id)
    version = await only(client_of_sim)
    assert version.build is not None
    assert version.build.build_uuid == build.build_uuid


async def test_a_build_of_another_trigger(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """A newer build by a trigger that only uploads leaves the production build live."""
    tag = sim.workers["shop"]
    sim.add_trigger(tag)
    live = built(sim, age=60.0)
    built(sim, age=0.0, branch="feature")
    version = await only(client_of_sim)
    assert version.build is not None
    assert (version.build.build_uuid, version.build.branch) == (live.build_uuid, "main")


@pytest.mark.parametrize(
    ("source", "triggered_by"),
    [
        ("wrangler", "deployment"),
        ("wrangler", "version_upload"),
        ("wrangler", "promotion"),
        ("dash", "upload"),
        ("api", "upload"),
        ("terraform", "a_word_of_tomorrow"),
    ],
)
async def test_stated_origin_proves_nothing(
    source: str, triggered_by: str, sim: BuildsSimulator, client_of_sim: BuildsClient
) -> None:
    """Only the lookup by version decides about the build, whatever origin the deployment states."""
    build = built(sim, age=60.0)
    sim.deploy(sim.workers["shop"], build.version_id, source=source, triggered_by=triggered_by)
    assert (await only(client_of_sim)).build is not None
    sim.deploy(sim.workers["shop"], source=source, triggered_by=triggered_by)
    assert (await only(client_of_sim)).reason == NoBuildReason.BY_HAND


async def test_annotations(client: BuildsClient) -> None:
    """The annotations of a deployment are optional and kept unchanged, and null is None."""
    said = {
        "workers/triggered_by": "rollback",
        "workers/message": "payments are down",
        "workers/tag": "v1",
        "workers/alias": "stable",
        "workers/rollback_from": "0f5c2e6a-1b3d-4c7e-9a8b-2d4f6a8c0e1f",
    }
    for annotations in (said, {}, None):
        deployment = {"id": "d", "annotations": annotations, "versions": [{"version_id": "v"}]}
        with MockApi() as api:
            api.on("GET", "/workers/scripts/shop/deployments", envelope({"deployments": [deployment]}))
            api.on("GET", "/builds/builds?version_ids=v", envelope({"builds": {"v": {"build_uuid": "b"}}}))
            worker = await shop(client)
        assert worker.deployment.annotations == annotations
        assert worker.deployment.message == (annotations or {}).get("workers/message")
        assert [(it.percentage, it.reason) for it in worker.versions] == [(None, None)]


@pytest.mark.parametrize(
    ("days", "reason"), [(89.0, None), (91.0, NoBuildReason.EXPIRED)], ids=["kept", "no longer kept"]
)
async def test_an_old_build(
    days: float, reason: NoBuildReason | None, sim: BuildsSimulator, client_of_sim: BuildsClient
) -> None:
    """After 90 days the build is no longer found, even if it was deployed again today."""
    build = built(sim, age=days * DAY)
    assert (await only(client_of_sim)).reason == reason
    sim.roll_back(sim.workers["shop"], build.version_id)
    assert (await only(client_of_sim)).reason == reason


async def test_builds_are_refused(sim: BuildsSimulator) -> None:
    """If the token may not read builds, that is the reason, and not an error."""
    built(sim)
    async with sim.client(api_token=sim.add_token(TokenKind.ACCOUNT_OWNED)) as client:
        version = await only(client)
    assert (version.build, version.reason) == (None, NoBuildReason.REFUSED)
    assert len(sim.requests) == 2  # the second one for the builds, and none for the version


@pytest.mark.parametrize(
    ("kind", "error"),
    [(TokenKind.NO_SCRIPTS, PermissionDeniedError), (TokenKind.NO_PERMISSION, PermissionDeniedError)],
)
async def test_deployments_are_refused(kind: TokenKind, error: type[Exception], sim: BuildsSimulator) -> None:
    """A token that may not read deployments, or is wrong, raises an error."""
    async with sim.client(api_token=sim.add_token(kind)) as client:
        with pytest.raises(error):
            await client.live(["shop"])
    async with sim.client(api_token="cfut_" + "x" * 40) as client:
        with pytest.raises(AuthenticationError):
            await client.live(["shop"])


@pytest.mark.parametrize("code", [10007, 10090])
async def test_missing_and_unknown_workers(code: Any) -> None:
    """A never-deployed Worker is missing, an unknown one has failed, and the others are found."""
    sim = simulated(unknown_script=code)
    built(sim)
    sim.add_worker("new", deployed=False)
    async with sim.client() as client:
        result = await client.live(["nope", "new", "shop"])
    assert [*result.found] == ["shop"]
    assert result.missing == ("new",)
    assert isinstance(result.failed["nope"], NotFoundError)


async def test_a_wrangler_environment(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """A wrangler environment is a separate Worker."""
    built(sim)
    staging = sim.add_finished_build(external_script_id=sim.add_worker("shop-staging"))
    result = await client_of_sim.live(["shop-staging"])
    [version] = result.found["shop-staging"].versions
    assert version.version_id == staging.version_id


async def test_requests(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """The cost is a request per Worker, per 20 versions, and per version without a build."""
    names = [f"worker-{number}" for number in range(45)]
    for name in names:
        sim.add_finished_build(external_script_id=sim.add_worker(name))
    by_hand = sim.workers["worker-7"]
    sim.deploy(by_hand, {sim.edit(by_hand): 50, sim.edit(by_hand): 50})
    result = await client_of_sim.live(names)
    assert [*result.found] == names
    paths = [request.path for request in sim.requests]
    assert sum(path.endswith("/deployments") for path in paths) == 45
    assert sum(path.endswith("/builds/builds") for path in paths) == 3  # 46 versions
    assert sum("/versions/" in path for path in paths) == 2
    assert len(paths) == 50


async def test_no_workers(sim: BuildsSimulator, client_of_sim: BuildsClient) -> None:
    """Without names nothing is sent; a single str is a TypeError."""
    assert (await client_of_sim.live([])).found == {}
    with pytest.raises(TypeError):
        await client_of_sim.live("shop")
    assert not sim.requests


@pytest.mark.parametrize("path", ["/deployments", "/builds/builds", "/versions/"])
async def test_a_failed_request(path: str, sim: BuildsSimulator) -> None:
    """A failed request fails its Workers as a whole, and none is shown with only some versions."""
    sim.edit(sim.workers["shop"])
    sim.fault(Fault("server_error", path=path))
    async with sim.client(retry=RetryPolicy(attempts=1)) as client:
        result = await client.live(["shop"])
    assert isinstance(result.failed["shop"], InternalServerError)


async def test_a_deleted_version(client: BuildsClient) -> None:
    """A version that no longer exists has the reason that its deployment states."""
    deployment = {
        "id": "d",
        "created_on": datetime.now(UTC).isoformat(),
        "annotations": {"workers/triggered_by": "rollback"},
        "versions": [{"version_id": "v", "percentage": 100}],
    }
    refusal = {"success": False, "errors": [{"code": 10007, "message": "gone"}], "result": None}
    with MockApi() as api:
        api.on("GET", "/workers/scripts/shop/deployments", envelope({"deployments": [deployment]}))
        api.on("GET", "/builds/builds?version_ids=v", envelope({"builds": {}}))
        api.on("GET", "/workers/scripts/shop/versions/v", refusal, status=404)
        assert (await only(client)).reason == NoBuildReason.ROLLBACK


async def test_a_firewall_is_not_a_refused_token(client: BuildsClient) -> None:
    """A 403 that is not the API's proves nothing about the token, so it is raised."""
    deployment = {"id": "d", "versions": [{"version_id": "v", "percentage": 100}]}
    with MockApi() as api:
        api.on("GET", "/workers/scripts/shop/deployments", envelope({"deployments": [deployment]}))
        api.on("GET", "/builds/builds?version_ids=v", status=403, body="<html>Sorry, you have been blocked")
        with pytest.raises(PermissionDeniedError, match="firewall"):
            await client.live(["shop"])


@pytest.mark.parametrize("version_id", ["a,b", "a/b", ".."])
async def test_an_invalid_version_id(version_id: str, client: BuildsClient) -> None:
    """A version id that would lead to another path or lookup is never sent."""
    deployment = {"id": "d", "versions": [{"version_id": version_id, "percentage": 100}]}
    with MockApi() as api:
        api.on("GET", "/workers/scripts/shop/deployments", envelope({"deployments": [deployment]}))
        result = await client.live(["shop"])
    assert isinstance(result.failed["shop"], ResponseDecodeError)
