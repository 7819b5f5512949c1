"""Deploy hooks, and the builds that they start."""

from typing import Any

import pytest

from builds_async.simulator import Behavior, BuildsSimulator, Fault, RateLimit, VirtualClock
from tests.simulator.support import UUID

ROOT = "/client/v4/workers/builds/deploy_hooks"


@pytest.fixture
def tag(sim: BuildsSimulator) -> str:
    """The tag of a Worker named `shop`."""
    return sim.add_worker("shop")


def trigger(sim: BuildsSimulator, door: Any, uuid: str) -> Any:
    """The response to triggering a hook without a token."""
    return door(sim).result(f"{ROOT}/{uuid}", method="POST", headers={})


async def test_a_hook_is_created_replaced_and_deleted(
    tag: str, sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """A hook is created, replaced and deleted below its Worker's name; the deletion returns it."""
    ask, path = door(sim), "workers/shop/deploy_hooks"
    made = ask.result(path, method="POST", body={"deploy_hook_name": "x" * 58, "branch": "main"})
    assert made["external_script_id"] == tag
    where = f"{path}/{made['deploy_hook_uuid']}"
    await clock.sleep(1.0)
    replaced = ask.result(where, method="PUT", body={"deploy_hook_name": "night", "branch": "b"})
    changes = {"deploy_hook_name": "night", "branch": "b", "modified_on": replaced["modified_on"]}
    assert replaced == made | changes == ask.result(where)
    assert replaced["modified_on"] > made["modified_on"]
    assert ask.result(path) == [replaced | {"latest_build": None}]
    assert ask.result(where, method="DELETE") == replaced
    assert ask.error(where) == (404, 12000)
    assert ask.error(f"{ROOT}/{made['deploy_hook_uuid']}", method="POST", headers={}) == (404, 12000)


def test_a_name_is_used_once(tag: str, sim: BuildsSimulator, door: Any) -> None:
    """A second hook with the same name is a 409 with 12049; a replacement may keep its own name."""
    sim.add_deploy_hook(tag, "a")
    path, body = "workers/shop/deploy_hooks", {"deploy_hook_name": "a", "branch": "main"}
    other = sim.add_deploy_hook(tag, "b")
    assert door(sim).error(path, method="POST", body=body) == (409, 12049)
    assert door(sim).error(f"{path}/{other}", method="PUT", body=body) == (409, 12049)
    keep = {"deploy_hook_name": "b", "branch": "x"}
    assert door(sim).result(f"{path}/{other}", method="PUT", body=keep)["branch"] == "x"
    sim.add_worker("blog")
    assert door(sim)("workers/blog/deploy_hooks", method="POST", body=body).status == 200
    assert door(sim).error(f"workers/blog/deploy_hooks/{other}") == (404, 12000)


@pytest.mark.parametrize(
    "body", [{"deploy_hook_name": "", "branch": "b"}, {"deploy_hook_name": "x" * 59, "branch": "b"}]
)
def test_a_name_has_1_to_58_characters(body: Any, tag: str, sim: BuildsSimulator, door: Any) -> None:
    """A name outside of 1 to 58 characters is a 400 with 12002."""
    assert sim.workers["shop"] == tag
    assert door(sim).error("workers/shop/deploy_hooks", method="POST", body=body) == (400, 12002)


@pytest.mark.parametrize(("how", "status"), [("empty", 200), ("not_found", 404)])
def test_hooks_are_found_by_name(how: Any, status: int, clock: VirtualClock, door: Any) -> None:
    """Hooks of an unknown name are an empty list or a 404, as the switch says; a tag is never a name."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(unknown_worker=how))
    tag = sim.add_worker("shop")
    assert door(sim)("workers/nobody/deploy_hooks").status == status
    assert door(sim).error(f"workers/{tag}/deploy_hooks") == (404, 12000)
    body = {"deploy_hook_name": "a", "branch": "b"}
    assert door(sim).error("workers/nobody/deploy_hooks", method="POST", body=body) == (404, 12000)


async def test_a_hook_starts_a_build(tag: str, sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
    """A hook starts a build of its branch without a token, by the branch's trigger and with its own name."""
    other = sim.add_trigger(tag)
    uuid = sim.add_deploy_hook(tag, "nightly", "release")
    started = trigger(sim, door, uuid)
    build = door(sim).result(f"builds/{started['build_uuid']}")
    expected = {name: build[name] for name in ("build_uuid", "created_on", "status")}
    assert started == expected | {"already_exists": False}
    assert (build["trigger"]["trigger_uuid"], build["deploy_hook"]) == (
        other,
        {"deploy_hook_name": "nightly"},
    )
    metadata = build["build_trigger_metadata"]
    assert (metadata["build_trigger_source"], metadata["branch"]) == ("deploy_hook", "release")
    (hook,) = door(sim).result("workers/shop/deploy_hooks")
    assert hook["latest_build"] == {"created_on": build["created_on"]}
    await clock.sleep(60.0)
    assert str(next(iter(sim.builds.values())).outcome) == "success"


async def test_a_pending_build_of_the_branch_is_not_started_twice(
    tag: str, sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """A queued build of the branch is returned again; a running one or another branch allows a new build."""
    pending = sim.add_build([(5.0, "line")], external_script_id=tag)
    sim.add_build(external_script_id=sim.add_worker("blog"))
    main, other = sim.add_deploy_hook(tag, "a"), sim.add_deploy_hook(tag, "b", "other")
    for _ in range(20):
        response = trigger(sim, door, main)
        assert (response["build_uuid"], response["already_exists"]) == (pending.build_uuid, True)
    assert trigger(sim, door, other)["already_exists"] is False
    await clock.sleep(5.0)
    assert trigger(sim, door, main)["already_exists"] is False
    assert len(sim.builds) == 4


async def test_ten_builds_a_minute_for_each_worker(clock: VirtualClock, door: Any) -> None:
    """The eleventh build of a Worker within a minute is a 429 with 12051, and so is the 101st overall."""
    sim = BuildsSimulator(clock=clock, started_builds=lambda _: [(0.0, "runs at once")])
    hooks = [sim.add_deploy_hook(sim.add_worker()) for _ in range(11)]
    for number, hook in enumerate(hooks):
        for _ in range(10 if number < 10 else 0):
            assert trigger(sim, door, hook)["already_exists"] is False
        assert door(sim).error(f"{ROOT}/{hook}", method="POST", headers={}) == (429, 12051)
    await clock.sleep(59.5)
    assert door(sim).error(f"{ROOT}/{hooks[0]}", method="POST", headers={}) == (429, 12051)
    await clock.sleep(0.5)
    assert [trigger(sim, door, hook)["already_exists"] for hook in hooks] == [False] * 11
    assert len(sim.builds) == 111


def test_an_unknown_hook_starts_nothing(sim: BuildsSimulator, door: Any) -> None:
    """An unknown hook, another method, or a Worker without a trigger is a 404 with 12000."""
    assert door(sim).error(f"{ROOT}/{UUID}", method="POST", headers={}) == (404, 12000)
    assert door(sim).error(f"{ROOT}/{UUID}") == (404, 12000)
    hook = sim.add_deploy_hook(sim.add_worker(connected=False))
    assert door(sim).error(f"{ROOT}/{hook}", method="POST", headers={}) == (404, 12000)
    with pytest.raises(ValueError, match="no Worker with the tag 'shop'"):
        sim.add_deploy_hook("shop")
    assert not sim.builds


def test_a_hook_counts_in_the_rate_limit_and_meets_faults(clock: VirtualClock, door: Any) -> None:
    """A hook counts in the rate limit and meets faults, and the next request returns a lost build."""
    sim = BuildsSimulator(
        clock=clock, rate_limit=RateLimit(2, 10.0), faults=[Fault("reset", path="/deploy_hooks")]
    )
    hook = sim.add_deploy_hook(sim.add_worker())
    assert door(sim)(f"{ROOT}/{hook}", method="POST", headers={}).fault is not None
    assert trigger(sim, door, hook)["already_exists"] is True
    assert door(sim).error(f"{ROOT}/{hook}", method="POST", headers={}) == (429, 971)


def test_a_hook_may_respond_as_documented(clock: VirtualClock, door: Any) -> None:
    """A hook may respond with build, branch and Worker as documented, and its source may be another word."""
    behavior = Behavior(hook_answer="documents", hook_source="api")
    sim = BuildsSimulator(clock=clock, behavior=behavior)
    started = trigger(sim, door, sim.add_deploy_hook(sim.add_worker("shop")))
    assert started == {"build_uuid": started["build_uuid"], "branch": "main", "worker": "shop"}
    metadata = door(sim).result(f"builds/{started['build_uuid']}")["build_trigger_metadata"]
    assert metadata["build_trigger_source"] == "api"
