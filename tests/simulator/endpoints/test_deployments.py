"""Versions and deployments, made by builds and by hand."""

import re
from typing import Any

import pytest

from builds_async import BuildOutcome
from builds_async.simulator import Behavior, BuildsSimulator, TokenKind, VirtualClock
from tests.simulator.support import UUID, headers

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
SHOP = "/workers/scripts/shop"


@pytest.fixture
def shop(sim: BuildsSimulator) -> str:
    """The tag of a Worker without builds."""
    return sim.add_worker("shop")


def served(sim: BuildsSimulator, door: Any) -> list[dict[str, float]]:
    """The percentages of each deployment, newest first."""
    listed = door(sim).result(f"{SHOP}/deployments")["deployments"]
    return [{it["version_id"]: it["percentage"] for it in one["versions"]} for one in listed]


def uploaded(sim: BuildsSimulator, door: Any) -> list[str]:
    """The ids of the versions, newest first."""
    return [it["id"] for it in door(sim).result(f"{SHOP}/versions")["items"]]


def test_a_production_build_makes_a_version_and_deploys_it(
    sim: BuildsSimulator, shop: str, door: Any
) -> None:
    """A production build makes a version and deploys it on success, not before, both with source wrangler."""
    build = sim.add_build(external_script_id=shop)
    assert (served(sim, door), uploaded(sim, door)) == ([], [])
    build.finish()
    assert (served(sim, door), uploaded(sim, door)) == ([{build.version_id: 100}], [build.version_id])
    [deployment] = door(sim).result(f"{SHOP}/deployments")["deployments"]
    [version] = door(sim).result(f"{SHOP}/versions")["items"]
    assert (deployment["source"], version["metadata"]["source"]) == ("wrangler", "wrangler")
    assert STAMP.fullmatch(deployment["created_on"])
    assert STAMP.fullmatch(version["metadata"]["created_on"])
    assert "created_on" not in version


@pytest.mark.parametrize(
    ("options", "left"),
    [
        pytest.param({"deploy_command": "npx wrangler versions upload"}, (0, 1), id="upload"),
        pytest.param({"makes": "version"}, (0, 1), id="version"),
        pytest.param({"makes": "nothing"}, (0, 0), id="nothing"),
        pytest.param({"outcome": BuildOutcome.FAIL}, (0, 0), id="failed"),
        pytest.param({"outcome": BuildOutcome.SKIPPED}, (0, 0), id="skipped"),
        pytest.param({"deploy_command": "pnpm run ship"}, (1, 1), id="another command"),
    ],
)
def test_deployments_of_each_outcome(
    options: Any, left: tuple[int, int], sim: BuildsSimulator, shop: str, door: Any
) -> None:
    """A successful build is deployed, unless its deploy command or the test says otherwise."""
    sim.add_finished_build(external_script_id=shop, **options)
    assert (len(served(sim, door)), len(uploaded(sim, door))) == left


def test_a_build_of_a_preview_is_not_deployed_to_its_worker(clock: VirtualClock, door: Any) -> None:
    """A Preview's build is not deployed to its Worker, even if the Worker's list includes it."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(preview_builds="listed"))
    preview = sim.add_preview(sim.add_worker("shop"), "feature")
    sim.add_finished_build(external_script_id=preview, branch="feature")
    assert (served(sim, door), uploaded(sim, door)) == ([], [])


def test_exactly_the_ten_newest_deployments_are_listed(sim: BuildsSimulator, shop: str, door: Any) -> None:
    """Exactly the ten newest deployments are listed, whatever the page; an older one is found by its id."""
    made = [sim.deploy(shop, age=float(age)) for age in range(12, 0, -1)]
    body = door(sim).body(f"{SHOP}/deployments", page=2, per_page=1)
    assert [it["id"] for it in body["result"]["deployments"]] == made[:1:-1]
    assert "result_info" not in body
    assert door(sim).result(f"{SHOP}/deployments/{made[0]}")["id"] == made[0]


def test_versions_are_paged(sim: BuildsSimulator, shop: str, door: Any) -> None:
    """Versions are paged newest first with numbers and `result_info`; `deployable` returns all of them."""
    made = [sim.add_version(shop, age=float(age)) for age in range(12, 0, -1)]
    body = door(sim).body(f"{SHOP}/versions", page=2, per_page=5)
    assert [it["id"] for it in body["result"]["items"]] == made[6:1:-1]
    assert [it["number"] for it in body["result"]["items"]] == [7, 6, 5, 4, 3]
    assert body["result_info"]["total_count"] == 12
    everything = door(sim).result(f"{SHOP}/versions", page=2, per_page=5, deployable="true")["items"]
    assert [it["id"] for it in everything] == made[::-1]


def test_one_version_has_its_resources(sim: BuildsSimulator, shop: str, door: Any) -> None:
    """The lookup of a single version adds its resources."""
    version = door(sim).result(f"{SHOP}/versions/{sim.add_version(shop, message='why')}")
    assert version["resources"]["script"]["handlers"] == ["fetch"]
    assert version["startup_time_ms"] > 0
    assert version["annotations"] == {"workers/triggered_by": "upload", "workers/message": "why"}


def test_deployments_by_hand(sim: BuildsSimulator, shop: str, door: Any) -> None:
    """Every kind of deployment by hand is listed: gradual, rollback, secret, edit and laptop."""
    first = sim.add_finished_build(external_script_id=shop, age=50.0).version_id
    second = sim.add_version(shop, age=40.0)
    sim.deploy(shop, {first: 99.5, second: 0.5}, age=30.0)
    sim.roll_back(shop, first, message="broken", age=20.0)
    secret = sim.change_secret(shop, age=10.0)
    edited = sim.edit(shop, age=5.0)
    sim.deploy(shop)
    laptop = uploaded(sim, door)[0]
    assert served(sim, door) == [
        {laptop: 100},
        {edited: 100},
        {secret: 100},
        {first: 100},
        {first: 99.5, second: 0.5},
        {first: 100},
    ]
    listed = door(sim).result(f"{SHOP}/deployments")["deployments"]
    assert [(it["source"], it["annotations"]["workers/triggered_by"]) for it in listed] == [
        ("wrangler", "deployment"),
        ("dash", "upload"),
        ("api", "secret"),
        ("wrangler", "rollback"),
        ("wrangler", "deployment"),
        ("wrangler", "deployment"),
    ]
    assert listed[3]["annotations"]["workers/message"] == "broken"


@pytest.mark.parametrize(
    "shares", [{}, {"a": 100}, {"a": 50, "b": 49}, {"a": 50, "b": 25, "c": 25}, {"a": 100, "b": 0}], ids=repr
)
def test_an_invalid_deployment_is_refused(shares: dict[str, float], sim: BuildsSimulator, shop: str) -> None:
    """A deployment of an unknown version, or with invalid shares, is a ValueError."""
    known = {name: sim.add_version(shop) for name in "bc"}
    with pytest.raises(ValueError, match="version"):
        sim.deploy(shop, {known.get(name, name): share for name, share in shares.items()})
    with pytest.raises(ValueError, match="add_worker"):
        sim.deploy("0" * 32)


@pytest.mark.parametrize("code", [10007, 10090])
def test_an_unknown_worker(code: Any, clock: VirtualClock, door: Any) -> None:
    """An unknown Worker name is a 404 with the switch's code, and so is a tag in place of the name."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(unknown_script=code))
    for name in ("nope", sim.add_worker("shop")):
        for rest in ("deployments", "versions", "subdomain", f"deployments/{UUID}", f"versions/{UUID}"):
            assert door(sim).error(f"/workers/scripts/{name}/{rest}") == (404, code)


def test_an_unknown_version_or_deployment(sim: BuildsSimulator, door: Any) -> None:
    """An unknown version or deployment is a 404, even if another Worker has it."""
    sim.add_worker("shop")
    other = sim.add_worker("blog")
    version, deployment = sim.add_version(other), sim.deploy(other)
    assert door(sim).error(f"{SHOP}/versions/{version}") == (404, 10007)
    assert door(sim).error(f"{SHOP}/deployments/{deployment}") == (404, 10007)


def test_a_worker_that_was_never_deployed(sim: BuildsSimulator, door: Any) -> None:
    """A Worker that was never deployed has an empty list of deployments."""
    sim.add_worker("shop", deployed=False)
    assert served(sim, door) == []


def test_subdomains(sim: BuildsSimulator, shop: str, door: Any) -> None:
    """The account has a subdomain or a 404 with 10007, and each Worker says whether it uses it."""
    assert door(sim).result("/workers/subdomain") == {"subdomain": "simulated"}
    sim.set_subdomain(None)
    assert door(sim).error("/workers/subdomain") == (404, 10007)
    assert door(sim).result(f"{SHOP}/subdomain") == {"enabled": True, "previews_enabled": True}
    sim.set_workers_dev(shop, enabled=False, previews_enabled=False)
    assert door(sim).result(f"{SHOP}/subdomain") == {"enabled": False, "previews_enabled": False}


def test_account_owned_tokens_are_accepted(sim: BuildsSimulator, shop: str, door: Any) -> None:
    """Account-owned tokens are accepted, unlike for builds; the permission for Workers is required."""
    sim.deploy(shop)
    for kind, status in ((TokenKind.ACCOUNT_OWNED, 200), (TokenKind.NO_SCRIPTS, 403)):
        for rest in ("deployments", "versions", "subdomain"):
            assert door(sim)(f"{SHOP}/{rest}", headers=headers(sim, kind)).status == status


async def test_an_expired_build(clock: VirtualClock, door: Any) -> None:
    """An expired build is unknown to every lookup and list, and its version still serves."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(builds_kept=60.0))
    tag = sim.add_worker("shop")
    build = sim.add_finished_build(external_script_id=tag, age=30.0)
    ask, paths = door(sim), (f"builds/{build.build_uuid}", f"builds/{build.build_uuid}/logs")
    assert ask.result("builds", version_ids=build.version_id)["builds"]
    assert ask.result("builds/latest", external_script_ids=tag)["builds"]
    assert len(ask.result(f"workers/{tag}/builds")) == 1
    assert [ask(path).status for path in paths] == [200, 200]
    await clock.sleep(30.0)
    assert ask.result("builds", version_ids=build.version_id)["builds"] == {}
    assert ask.result("builds/latest", external_script_ids=tag)["builds"] == {}
    assert ask.result(f"workers/{tag}/builds") == []
    assert [ask.error(path) for path in paths] == [(404, 12000)] * 2
    assert served(sim, door) == [{build.version_id: 100}]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("npx wrangler deploy", "Current Version ID: {}"),
        ("npx wrangler versions upload", "Worker Version ID: {}"),
    ],
)
async def test_the_log_of_a_started_build_names_its_version(
    command: str, line: str, clock: VirtualClock, door: Any
) -> None:
    """The log of a started build names its version in wrangler's words, and that version then exists."""
    sim = BuildsSimulator(clock=clock)
    tag = sim.add_worker("shop", connected=False)
    trigger = sim.add_trigger(tag, deploy_command=command)
    path = f"triggers/{trigger}/builds"
    build_uuid = door(sim).result(path, method="POST", body={"branch": "main"})["build_uuid"]
    await clock.sleep(60.0)
    build = sim.builds[build_uuid]
    assert line.format(build.version_id) in [it.message for it in build.lines]
    assert uploaded(sim, door) == [build.version_id]
