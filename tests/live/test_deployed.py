"""`wait_for_commit(deployed=True)`: whether the build serves traffic, and what serves it otherwise."""

import asyncio
import logging
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from builds_async import (
    Build,
    BuildOutcome,
    BuildsClient,
    InternalServerError,
    NotDeployedError,
    NotDeployedReason,
    PermissionDeniedError,
    Request,
    Response,
    ResponseDecodeError,
)
from builds_async.live.deployed import DEPLOY_WAIT
from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    Fault,
    SimulatedBuild,
    TokenKind,
    VirtualClock,
    build_script,
)
from tests.support.case import cases

EPOCH = datetime(2031, 1, 1, tzinfo=UTC)
"""A date that no machine's clock shows, because ages count by the server's clock."""
COMMIT = "5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d"
WHY = NotDeployedReason


def simulated(**behavior: Any) -> BuildsSimulator:
    """A simulator with the Worker `shop`, deployed by a build of another commit."""
    sim = BuildsSimulator(clock=VirtualClock(), epoch=EPOCH, behavior=Behavior(**behavior))
    sim.add_finished_build(external_script_id=sim.add_worker("shop"), age=7200.0)
    return sim


def built(sim: BuildsSimulator, age: float = 300.0, **options: Any) -> SimulatedBuild:
    """A finished build of the commit."""
    return sim.add_finished_build(
        external_script_id=sim.workers["shop"], commit_hash=COMMIT, age=age, **options
    )


async def waited(sim: BuildsSimulator, **options: Any) -> Build:
    """Return the result of waiting for the commit."""
    async with sim.client(**options) as client:
        return await client.wait_for_commit(sim.workers["shop"], COMMIT[:7], deployed=True)


async def refused(sim: BuildsSimulator, **options: Any) -> NotDeployedError:
    """Return the error of waiting for the commit."""
    with pytest.raises(NotDeployedError) as caught:
        await waited(sim, **options)
    return caught.value


async def test_a_build_that_deploys() -> None:
    """A build that deploys is returned when it has finished and its deployment is listed."""
    sim = simulated(late_deployments=7.0)
    script = build_script(5)
    sim.add_build(script, external_script_id=sim.workers["shop"], commit_hash=COMMIT)
    build = await waited(sim)
    assert (build.build_outcome, build.commit_hash) == ("success", COMMIT)
    assert script[-1][0] + 7.0 <= sim.clock.now() <= script[-1][0] + 7.0 + 10.0


async def test_without_deployed_no_worker_request() -> None:
    """Without `deployed`, a build that deployed nothing is returned without reading Workers."""
    sim = simulated()
    built(sim, makes="nothing")
    async with sim.client(api_token=sim.add_token(TokenKind.NO_SCRIPTS)) as client:
        assert (await client.wait_for_commit(sim.workers["shop"], COMMIT)).succeeded


def newer(sim: BuildsSimulator, _build: SimulatedBuild) -> None:
    sim.add_finished_build(external_script_id=sim.workers["shop"], age=60.0)


def by_hand(sim: BuildsSimulator, _build: SimulatedBuild) -> None:
    sim.edit(sim.workers["shop"], age=60.0)


def secret(sim: BuildsSimulator, _build: SimulatedBuild) -> None:
    sim.change_secret(sim.workers["shop"], age=60.0)


def rollback(sim: BuildsSimulator, _build: SimulatedBuild) -> None:
    first = next(iter(sim.builds.values()))
    sim.roll_back(sim.workers["shop"], first.version_id, age=60.0)


def split(sim: BuildsSimulator, _build: SimulatedBuild) -> None:
    tag, first = sim.workers["shop"], next(iter(sim.builds.values()))
    hand = sim.add_version(tag, age=90.0)
    sim.deploy(tag, {first.version_id: 87.5, hand: 12.5}, age=60.0)


def nothing(_sim: BuildsSimulator, _build: SimulatedBuild) -> None:
    pass


def many(sim: BuildsSimulator, _build: SimulatedBuild) -> None:
    for age in range(71, 59, -1):
        sim.deploy(sim.workers["shop"], age=float(age))


@cases(
    ("options", "then", "reason", "serves"),
    [
        pytest.param({}, newer, WHY.SUPERSEDED, r"version \S+ with 100% \(build \S+ of commit", id="newer"),
        pytest.param({}, by_hand, WHY.SUPERSEDED, r"with 100% \(deployed by hand\)", id="edited by hand"),
        pytest.param({}, secret, WHY.SUPERSEDED, r"with 100% \(made by a changed secret\)", id="secret"),
        pytest.param({}, many, WHY.SUPERSEDED, r"with 100% \(deployed by hand\)", id="12 newer ones"),
        pytest.param({}, rollback, WHY.ROLLED_BACK, r"with 100% \(build \S+ of commit", id="rollback"),
        pytest.param(
            {},
            split,
            WHY.SPLIT,
            r"with 87.5% \(build \S+ of commit \S+\) and version \S+ with 12.5% \(deployed by hand\)",
            id="split",
        ),
        pytest.param({"makes": "version"}, nothing, WHY.UPLOADED_ONLY, r"with 100% \(build", id="uploaded"),
        pytest.param(
            {"deploy_command": "npx wrangler versions upload"},
            newer,
            WHY.UPLOADED_ONLY,
            r"with 100% \(build",
            id="uploaded by its command, and a newer deployment",
        ),
        pytest.param({"makes": "nothing"}, nothing, WHY.NOTHING_UPLOADED, r"with 100% \(build", id="nothing"),
        pytest.param({"outcome": BuildOutcome.FAIL}, nothing, WHY.UNSUCCESSFUL, "with 100%", id="failed"),
        pytest.param({"outcome": BuildOutcome.SKIPPED}, newer, WHY.UNSUCCESSFUL, "with 100%", id="skipped"),
    ],
)
async def test_not_deployed(
    options: Any, then: Callable[..., None], reason: NotDeployedReason, serves: str
) -> None:
    """The error names the reason, the build and the serving deployment; an old build costs no wait."""
    sim = simulated()
    build = built(sim, **options)
    then(sim, build)
    error = await refused(sim)
    assert error.reason == reason
    assert error.build is not None
    assert error.build.build_uuid == build.build_uuid
    assert error.serving is not None
    assert error.serving.deployment.created_on is not None
    since = f"{error.serving.deployment.created_on:%Y-%m-%d %H:%M:%S} UTC"
    assert str(error).endswith(f" since {since}")
    assert re.search(serves, str(error))
    assert not error.transient
    assert sim.clock.now() == 0.0
    assert pickle.loads(pickle.dumps(error)).serving == error.serving  # noqa: S301  # made here


async def test_a_worker_without_a_deployment() -> None:
    """Without a deployment nothing serves, whether the Worker is listed or not."""
    for deployed in (True, False):
        sim = BuildsSimulator(clock=VirtualClock(), epoch=EPOCH)
        sim.add_worker("shop", deployed=deployed)
        built(sim, makes="nothing")
        error = await refused(sim)
        assert (error.reason, error.serving) == (WHY.NOTHING_UPLOADED, None)
        assert str(error).endswith("; the Worker was never deployed")


async def test_a_share_of_the_traffic(caplog: pytest.LogCaptureFixture) -> None:
    """A build with part of the traffic counts as deployed, and a warning in the log gives its share."""
    sim = simulated()
    build, first = built(sim), next(iter(sim.builds.values()))
    sim.deploy(sim.workers["shop"], {first.version_id: 90, build.version_id: 10})
    with caplog.at_level(logging.WARNING, "builds_async"):
        assert (await waited(sim)).build_uuid == build.build_uuid
    assert [record.getMessage() for record in caplog.records] == [
        f"build {build.build_uuid} has 10% of the traffic of shop: another version serves the rest"
    ]


async def test_a_failed_build_that_has_deployed() -> None:
    """A failed build that deployed before it failed is returned with its outcome."""
    sim = simulated()
    build = built(sim, outcome=BuildOutcome.FAIL)
    uploaded = sim.add_version(sim.workers["shop"], age=299.0)
    sim._account._by_version[uploaded] = build
    sim.deploy(sim.workers["shop"], uploaded, age=298.0)
    assert (await waited(sim)).build_outcome == "fail"


@pytest.mark.parametrize("late", [DEPLOY_WAIT - 1, DEPLOY_WAIT + 20])
async def test_a_deployment_that_appears_late(late: float) -> None:
    """A deployment has 30 s to appear after the end of the build, including a last look."""
    sim = simulated(late_deployments=late)
    build = sim.add_build(external_script_id=sim.workers["shop"], commit_hash=COMMIT)
    build.finish()
    if late < DEPLOY_WAIT:
        assert (await waited(sim)).build_uuid == build.build_uuid
    else:
        assert (await refused(sim)).reason == WHY.UPLOADED_ONLY
    assert sim.clock.now() == pytest.approx(DEPLOY_WAIT, abs=0.5)


async def test_a_version_that_is_promoted_within_the_wait() -> None:
    """An uploaded version that is deployed within the 30 s counts as deployed."""
    sim = simulated()
    build = sim.add_build(external_script_id=sim.workers["shop"], commit_hash=COMMIT, makes="version")
    build.finish()
    async with sim.client() as client:
        waiting = asyncio.ensure_future(client.wait_for_commit(sim.workers["shop"], COMMIT, deployed=True))
        await sim.clock.sleep(12.0)
        sim.deploy(sim.workers["shop"], build.version_id, triggered_by="promotion")
        assert (await waiting).build_uuid == build.build_uuid
    assert sim.clock.now() <= 20.0


@pytest.mark.parametrize("path", ["/workers/scripts", "/deployments", "/builds/builds?", "/versions"])
async def test_outages_are_retried(path: str) -> None:
    """Each request is retried until the client's patience ends, and then its error is raised."""
    sim = simulated()
    built(sim, makes="version")
    sim.fault(Fault("server_error", times=8, path=path.rstrip("?")))
    assert (await refused(sim)).reason == WHY.UPLOADED_ONLY
    sim.fault(Fault("server_error", times=None, path=path.rstrip("?")))
    with pytest.raises(InternalServerError):
        await waited(sim, patience=20.0)


async def test_a_token_that_may_not_read_workers() -> None:
    """A token without access to Workers is refused before the wait for the build starts."""
    sim = simulated()
    sim.add_build(external_script_id=sim.workers["shop"], commit_hash=COMMIT)
    with pytest.raises(PermissionDeniedError):
        await waited(sim, api_token=sim.add_token(TokenKind.NO_SCRIPTS))
    assert sim.clock.now() == 0.0


async def test_misuse_sends_nothing() -> None:
    """An invalid commit, and `deployed` without `finished`, raise ValueError without a request."""
    sim = simulated()
    async with sim.client() as client:
        with pytest.raises(ValueError, match="hex digits"):
            await client.wait_for_commit(sim.workers["shop"], "main", deployed=True)
        with pytest.raises(ValueError, match="waits for the end of the build"):
            await client.wait_for_commit(sim.workers["shop"], COMMIT, finished=False, deployed=True)
    assert not sim.requests


async def test_requests() -> None:
    """`deployed` adds one request for the name, and two for each look at the deployment."""
    sim = simulated()
    built(sim)

    async def count(client: BuildsClient, *, deployed: bool) -> int:
        before = len(sim.requests)
        await client.wait_for_commit(sim.workers["shop"], COMMIT, deployed=deployed)
        return len(sim.requests) - before

    async with sim.client() as client:
        assert await count(client, deployed=True) == await count(client, deployed=False) + 3


async def test_zero_percent() -> None:
    """A version that is deployed with 0 percent has no traffic."""
    sim = simulated()
    build, tag = built(sim), sim.workers["shop"]
    sim.deploy(tag, {build.version_id: 1, sim.add_version(tag): 99})
    sim._account.deployments._deployments[tag][-1].versions[build.version_id] = 0.0
    error = await refused(sim)
    assert error.reason == WHY.SPLIT
    assert f"version {build.version_id} with 0%" in str(error)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(BuildOutcome.SUCCESS, WHY.SUPERSEDED), (BuildOutcome.FAIL, WHY.UNSUCCESSFUL)],
    ids=["replaced", "failed"],
)
async def test_settled_at_once(outcome: BuildOutcome, reason: NotDeployedReason) -> None:
    """A build that failed or was superseded is not waited for, even if it has just ended."""
    sim = simulated()
    sim.add_build(external_script_id=sim.workers["shop"], commit_hash=COMMIT).finish(outcome)
    sim.edit(sim.workers["shop"])
    assert (await refused(sim)).reason == reason
    assert sim.clock.now() < 0.5


@pytest.mark.parametrize("interval", [20.0, 100.0])
async def test_the_last_look(interval: float) -> None:
    """The last look happens at the end of the 30 s, whatever the interval."""
    sim = simulated()
    sim.add_build(external_script_id=sim.workers["shop"], commit_hash=COMMIT, makes="nothing").finish()
    async with sim.client() as client:
        with pytest.raises(NotDeployedError) as caught:
            await client.wait_for_commit(sim.workers["shop"], COMMIT, deployed=True, poll_interval=interval)
    assert caught.value.reason == WHY.NOTHING_UPLOADED
    waited_for_builds = sim.clock.now() - DEPLOY_WAIT
    assert waited_for_builds == pytest.approx(0.0, abs=0.5)


async def test_a_build_before_the_hundred_newest_versions() -> None:
    """A build older than the hundred newest versions is not reported as one that uploaded nothing."""
    sim = simulated()
    built(sim, makes="nothing", age=3600.0)
    for _ in range(101):
        sim.deploy(sim.workers["shop"], age=60.0)
    assert (await refused(sim)).reason == WHY.SUPERSEDED


async def test_only_versions_of_its_time_are_looked_up() -> None:
    """Versions uploaded long before or after the build cost no request."""
    sim = simulated()
    built(sim, makes="version", age=3600.0)
    for age in (*range(7000, 7040), *range(60, 100)):
        sim.add_version(sim.workers["shop"], age=float(age))
    assert (await refused(sim)).reason == WHY.UPLOADED_ONLY
    asked = [it.query["version_ids"] for it in sim.requests if "version_ids" in it.query]
    assert max(len(ids.split(",")) for ids in asked) == 1


class Between:
    """A simulator's transport that lets a test act before a request and change its response."""

    def __init__(
        self,
        sim: BuildsSimulator,
        before: Callable[[str], None] = lambda _path: None,
        after: Callable[[Request, bytes], bytes] = lambda _request, body: body,
    ) -> None:
        self._inner = sim.transport
        self._before, self._after = before, after
        self.check_open, self.aclose = self._inner.check_open, self._inner.aclose

    async def send(self, request: Request) -> Response:
        self._before(request.path)
        response = await self._inner.send(request)
        return Response(response.status, response.headers, self._after(request, response.body))


async def test_deployed_during_the_lookup() -> None:
    """A build that is deployed while the reason is being looked up is returned."""
    sim = simulated()
    build = built(sim, makes="version")
    looks: list[str] = []

    def promote(path: str) -> None:
        looks.extend([path] * path.endswith("/deployments"))
        if len(looks) == 2:
            sim.deploy(sim.workers["shop"], build.version_id)

    assert (await waited(sim, transport=Between(sim, promote))).build_uuid == build.build_uuid
    assert len(looks) == 2


async def test_an_unreadable_build() -> None:
    """An unreadable build of a version raises an error, because it may be the right one."""
    sim = simulated()
    build = built(sim)

    def spoil(request: Request, body: bytes) -> bytes:
        if "version_ids" not in request.query:
            return body
        return msgspec.json.encode({"success": True, "result": {"builds": {build.version_id: 5}}})

    with pytest.raises(ResponseDecodeError):
        await waited(sim, transport=Between(sim, after=spoil))
