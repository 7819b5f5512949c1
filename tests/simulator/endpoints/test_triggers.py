"""Triggers and their variables."""

from typing import Any

import pytest

from builds_async.simulator import Behavior, BuildsSimulator, VirtualClock
from tests.simulator.support import UUID, triggers_of


def new_trigger(sim: BuildsSimulator, tag: str, door: Any, **fields: Any) -> dict[str, Any]:
    """A trigger body with the references of the Worker's first trigger."""
    like = triggers_of(sim, tag, door)[0]
    return {
        "external_script_id": tag,
        "build_token_uuid": like["build_token_uuid"],
        "repo_connection_uuid": like["repo_connection"]["repo_connection_uuid"],
        "trigger_name": "Another",
        "build_command": "make",
        "deploy_command": "make deploy",
        "branch_includes": ["release"],
        **fields,
    }


def test_the_trigger_of_a_build_is_the_listed_one(sim: BuildsSimulator, door: Any) -> None:
    """A build's trigger equals the listed one, except for its token, which is in the build's metadata."""
    build = sim.add_build(external_script_id=sim.add_worker("shop"))
    body = door(sim).result(f"builds/{build.build_uuid}")
    (trigger,) = triggers_of(sim, build.external_script_id, door)
    token = {name: trigger.pop(name) for name in ("build_token_uuid", "build_token_name")}
    assert body["trigger"] == trigger
    assert token.items() <= body["build_trigger_metadata"].items()
    assert trigger["repo_connection"]["repo_name"] == "shop"


def test_each_worker_has_its_own_repository_and_token(sim: BuildsSimulator, door: Any) -> None:
    """Each Worker has its own repository and token."""
    (one,), (other,) = (triggers_of(sim, sim.add_worker(), door) for _ in range(2))
    for name in ("trigger_uuid", "build_token_uuid"):
        assert one[name] != other[name]
    for name in ("repo_connection_uuid", "repo_id", "repo_name"):
        assert one["repo_connection"][name] != other["repo_connection"][name]


def test_a_worker_may_be_without_builds(sim: BuildsSimulator, door: Any) -> None:
    """An unconnected Worker has no trigger, and no build until it gets one."""
    tag = sim.add_worker("bare", connected=False)
    assert triggers_of(sim, tag, door) == []
    with pytest.raises(ValueError, match="has no such trigger"):
        sim.add_build(external_script_id=tag)
    sim.add_trigger(tag)
    assert sim.add_build(external_script_id=tag).external_script_id == tag


def test_a_second_trigger_builds_the_other_branches(sim: BuildsSimulator, door: Any) -> None:
    """A build belongs to the trigger of its branch or to the named one; a third trigger is refused."""
    tag = sim.add_worker()
    uuid = sim.add_trigger(tag)
    production, other = triggers_of(sim, tag, door)
    assert other["trigger_uuid"] == uuid
    assert (other["branch_includes"], other["branch_excludes"]) == (["*"], ["main"])
    assert other["deploy_command"] == "npx wrangler versions upload"
    seen = [
        door(sim).result(f"builds/{build.build_uuid}")["trigger"]["trigger_uuid"]
        for build in (
            sim.add_build(external_script_id=tag),
            sim.add_build(external_script_id=tag, branch="feature"),
            sim.add_build(external_script_id=tag, trigger_uuid=uuid),
        )
    ]
    assert seen == [production["trigger_uuid"], uuid, uuid]
    with pytest.raises(ValueError, match="has 2 triggers"):
        sim.add_trigger(tag)
    with pytest.raises(ValueError, match="no Worker with the tag 'shop'"):
        sim.add_trigger("shop")
    with pytest.raises(ValueError, match="no such trigger"):
        sim.add_build(external_script_id=tag, trigger_uuid=UUID)


@pytest.mark.parametrize(
    ("branch", "expected"), [("main", 0), ("fix/a", 1), ("fix/old", 0), ("other", 0), ("fix", 0)]
)
def test_a_trigger_builds_the_branches_of_its_patterns(
    branch: str, expected: int, sim: BuildsSimulator, door: Any
) -> None:
    """A trigger builds included branches that are not excluded; production builds the rest."""
    tag = sim.add_worker()
    sim.add_trigger(tag, branch_includes=["fix/*"], branch_excludes=["fix/old"])
    build = sim.add_build(external_script_id=tag, branch=branch)
    uuids = [trigger["trigger_uuid"] for trigger in triggers_of(sim, tag, door)]
    body = door(sim).result(f"builds/{build.build_uuid}")
    assert uuids.index(body["trigger"]["trigger_uuid"]) == expected


def test_a_trigger_is_created_with_the_defaults_seen_live(sim: BuildsSimulator, door: Any) -> None:
    """A trigger is created with the defaults seen live, and is listed."""
    tag = sim.add_worker()
    made = door(sim).result("triggers", method="POST", body=new_trigger(sim, tag, door))
    names = ("root_directory", "branch_excludes", "path_includes", "path_excludes", "build_caching_enabled")
    assert [made[name] for name in names] == ["/", [], ["*"], [], False]
    assert triggers_of(sim, tag, door)[1] == made


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("name", ["external_script_id", "build_token_uuid", "repo_connection_uuid"])
def test_a_trigger_needs_existing_references(name: str, status: Any, clock: VirtualClock, door: Any) -> None:
    """An unknown reference of a trigger is a 400 or 404, as the switch says, and nothing is created."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(unknown_references=status))
    tag = sim.add_worker()
    body = new_trigger(sim, tag, door, **{name: UUID})
    code = {400: 12002, 404: 12000}[status]
    assert door(sim).error("triggers", method="POST", body=body) == (status, code)
    assert len(triggers_of(sim, tag, door)) == 1


@pytest.mark.parametrize("status", [400, 409])
def test_a_third_trigger_is_refused(status: Any, clock: VirtualClock, door: Any) -> None:
    """A third trigger is refused with 12030 and the switch's status."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(third_trigger=status))
    tag = sim.add_worker()
    sim.add_trigger(tag)
    assert door(sim).error("triggers", method="POST", body=new_trigger(sim, tag, door)) == (status, 12030)


def test_a_trigger_must_not_exclude_every_branch(sim: BuildsSimulator, door: Any) -> None:
    """A trigger that excludes every branch is a 400 with 12002, on creation and on update."""
    tag = sim.add_worker()
    body, uuid = (
        new_trigger(sim, tag, door, branch_excludes=["*"]),
        triggers_of(sim, tag, door)[0]["trigger_uuid"],
    )
    assert door(sim).error("triggers", method="POST", body=body) == (400, 12002)
    change = {"branch_excludes": ["*"]}
    assert door(sim).error(f"triggers/{uuid}", method="PATCH", body=change) == (400, 12002)


async def test_an_update_keeps_what_it_omits(sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
    """An update changes only the sent fields and the date; empty lists and strings are values."""
    tag = sim.add_worker()
    (before,) = triggers_of(sim, tag, door)
    await clock.sleep(60.0)
    change = {"build_command": "", "path_includes": [], "build_caching_enabled": False}
    after = door(sim).result(f"triggers/{before['trigger_uuid']}", method="PATCH", body=change)
    assert after["modified_on"] > before["modified_on"]
    assert after == before | change | {"modified_on": after["modified_on"]}
    assert triggers_of(sim, tag, door) == [after]


@pytest.mark.parametrize(
    "body",
    [{"build_command": None}, {"branch_includes": "main"}, {"build_caching_enabled": 1}, [], None],
    ids=["null", "text for a list", "number for a bool", "list", "nothing"],
)
def test_a_bad_update_changes_nothing(body: Any, sim: BuildsSimulator, door: Any) -> None:
    """A bad update is a 400 with 12002 and changes nothing."""
    tag = sim.add_worker()
    before = triggers_of(sim, tag, door)
    path = f"triggers/{before[0]['trigger_uuid']}"
    assert door(sim).error(path, method="PATCH", body=body) == (400, 12002)
    assert triggers_of(sim, tag, door) == before


async def test_deleting_a_trigger_cancels_its_unfinished_builds(
    sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """Deleting a trigger cancels its unfinished builds only, and its builds show the deletion date."""
    tag = sim.add_worker()
    other, done = sim.add_trigger(tag), sim.add_finished_build(external_script_id=tag)
    queued, running = (sim.add_build(external_script_id=tag) for _ in range(2))
    running.emit("line")
    kept = sim.add_build(external_script_id=tag, trigger_uuid=other)
    path = f"triggers/{triggers_of(sim, tag, door)[0]['trigger_uuid']}"
    await clock.sleep(1.0)
    assert door(sim).result(path, method="DELETE") is None
    assert [build.outcome for build in (done, queued, running, kept)] == [
        "success",
        "cancelled",
        "cancelled",
        None,
    ]
    body = door(sim).result(f"builds/{running.build_uuid}")
    assert body["trigger"]["deleted_on"] == body["trigger"]["modified_on"] == body["stopped_on"]
    assert [trigger["trigger_uuid"] for trigger in triggers_of(sim, tag, door)] == [other]
    for method, where in (("DELETE", path), ("PATCH", path), ("POST", f"{path}/builds")):
        assert door(sim).error(where, method=method, body={}) == (404, 12000)


def test_deleted_triggers_may_be_listed(clock: VirtualClock, door: Any) -> None:
    """Deleted triggers are listed with the date of their deletion, if the switch says so."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(deleted_triggers="listed"))
    tag = sim.add_worker()
    (trigger,) = triggers_of(sim, tag, door)
    door(sim).result(f"triggers/{trigger['trigger_uuid']}", method="DELETE")
    (deleted,) = triggers_of(sim, tag, door)
    assert (trigger["deleted_on"], deleted["deleted_on"]) == (None, deleted["modified_on"])


def test_purging_the_cache_needs_a_trigger(sim: BuildsSimulator, door: Any) -> None:
    """Purging the cache returns null for a known trigger and a 404 for an unknown one."""
    (trigger,) = triggers_of(sim, sim.add_worker(), door)
    path = f"triggers/{trigger['trigger_uuid']}/purge_build_cache"
    assert door(sim).result(path, method="POST") is None
    assert door(sim).error(f"triggers/{UUID}/purge_build_cache", method="POST") == (404, 12000)


@pytest.mark.parametrize(("how", "status"), [("empty", 200), ("not_found", 404)])
def test_an_unknown_tag_has_no_triggers(how: Any, status: int, clock: VirtualClock, door: Any) -> None:
    """An unknown tag has an empty list or is a 404, as the switch says; a name is never a tag."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(unknown_worker=how))
    sim.add_worker("shop")
    for kind in ("triggers", "previews"):
        assert door(sim)(f"workers/{'0' * 32}/{kind}").status == status
        assert door(sim).error(f"workers/shop/{kind}") == (404, 12000)


class TestVariables:
    @pytest.fixture
    def path(self, sim: BuildsSimulator, door: Any) -> str:
        """The path of a trigger's variables."""
        (trigger,) = triggers_of(sim, sim.add_worker(), door)
        return f"triggers/{trigger['trigger_uuid']}/environment_variables"

    async def test_set(self, path: str, sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
        """Sent variables are added or replaced, the others are kept, and no secret is returned."""
        ask = door(sim)
        first = {"A": {"value": "1", "is_secret": False}, "B": {"value": "hush", "is_secret": True}}
        made = ask.result(path, method="PATCH", body=first)
        await clock.sleep(5.0)
        after = ask.result(path, method="PATCH", body={"A": {"value": "2", "is_secret": False}})
        assert made["B"] == {"value": None, "is_secret": True, "created_on": made["A"]["created_on"]}
        assert after == made | {"A": made["A"] | {"value": "2"}} == ask.result(path)
        assert b"hush" not in ask(path).body

    def test_changed(self, clock: VirtualClock, door: Any) -> None:
        """The response has only the sent variables, if the switch says so."""
        sim = BuildsSimulator(clock=clock, behavior=Behavior(variables_answer="changed"))
        uuid = sim.add_trigger(sim.add_worker(), environment_variables={"A": "1"})
        path, body = f"triggers/{uuid}/environment_variables", {"B": {"value": "2", "is_secret": False}}
        assert set(door(sim).result(path, method="PATCH", body=body)) == {"B"}
        assert set(door(sim).result(path)) == {"A", "B"}

    def test_delete(self, path: str, sim: BuildsSimulator, door: Any) -> None:
        """A deleted variable is unknown."""
        door(sim).result(path, method="PATCH", body={"A": {"value": "1", "is_secret": False}})
        assert door(sim).result(f"{path}/A", method="DELETE") is None
        assert door(sim).error(f"{path}/A", method="DELETE") == (404, 12000)
        assert door(sim).result(path) == {}

    @pytest.mark.parametrize(
        ("name", "length"),
        [("1A", 1), ("", 1), ("A-B", 1), ("A\n", 1), ("Ä", 1), ("A", 5001)],
        ids=["digit", "empty", "dash", "line", "umlaut", "long"],
    )
    def test_limits(self, name: str, length: int, path: str, sim: BuildsSimulator, door: Any) -> None:
        """Names are identifiers, and values have at most 5,000 characters."""
        body = {name: {"value": "x" * length, "is_secret": False}}
        assert door(sim).error(path, method="PATCH", body=body) == (400, 12002)
        assert door(sim).result(path) == {}

    def test_number(self, path: str, sim: BuildsSimulator, door: Any) -> None:
        """A trigger has at most 64 variables."""
        names = [f"V{number}" for number in range(65)]
        body = {name: {"value": "x" * 5000, "is_secret": False} for name in names}
        assert door(sim).error(path, method="PATCH", body=body) == (400, 12002)
        del body["V64"]
        assert len(door(sim).result(path, method="PATCH", body=body)) == 64
        more = {"V64": {"value": "", "is_secret": True}}
        assert door(sim).error(path, method="PATCH", body=more) == (400, 12002)

    def test_build(self, path: str, sim: BuildsSimulator, door: Any) -> None:
        """A build has the variables from the moment it was added."""
        door(sim).result(path, method="PATCH", body={"S": {"value": "hush", "is_secret": True}})
        build = sim.add_build(external_script_id=next(iter(sim.workers.values())))
        door(sim).result(f"{path}/S", method="DELETE")
        metadata = door(sim).result(f"builds/{build.build_uuid}")["build_trigger_metadata"]
        assert metadata["environment_variables"]["S"]["value"] is None
        assert metadata["environment_variables"]["S"]["is_secret"] is True
