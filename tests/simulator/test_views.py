"""A build as the API shows it."""

import re
from typing import Any

import msgspec
import pytest

from builds_async.models import BuildOutcome, BuildStatus
from builds_async.models.builds import Build, BuildMap, CanceledBuild
from builds_async.models.envelope import Envelope, Page
from builds_async.models.logs import LogPage
from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    VirtualClock,
)

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


BUILD_FIELDS = {
    "build_uuid",
    "status",
    "build_outcome",
    "created_on",
    "modified_on",
    "initializing_on",
    "running_on",
    "stopped_on",
    "pull_request",
    "deploy_hook",
    "trigger",
    "build_trigger_metadata",
}


async def test_a_build_has_every_field_in_every_state(
    sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """A build has every field in every state: unknown dates are null, others have milliseconds and Z."""
    build = sim.add_build(
        [
            (1, BuildStatus.INITIALIZING),
            (2, BuildStatus.RUNNING),
            (3, BuildStatus.STOPPED),
            (4, BuildOutcome.FAIL),
        ]
    )
    known = ("initializing_on", "running_on", "stopped_on", "build_outcome")
    modified = []
    for second in range(5):
        body = door(sim).result(f"builds/{build.build_uuid}")
        assert set(body) == BUILD_FIELDS
        assert [body[name] is not None for name in known] == [second > number for number in range(4)]
        stamps = [value for name, value in body.items() if name.endswith("_on") and value]
        assert all(STAMP.fullmatch(stamp) for stamp in stamps)
        modified.append(body["modified_on"])
        await clock.sleep(1.0)
    assert modified[:4] == [body[name] for name in ("created_on", *known[:3])]
    assert modified[4] > modified[3]


def test_only_the_lookup_of_one_success_has_a_preview_url(sim: BuildsSimulator, door: Any) -> None:
    """Only the lookup of a single success has a `preview_url`; the key is absent everywhere else."""
    success = sim.add_finished_build(preview_url="https://preview.example")
    failure = sim.add_finished_build(outcome=BuildOutcome.FAIL)
    ask = door(sim)
    assert ask.result(f"builds/{success.build_uuid}")["preview_url"] == "https://preview.example"
    assert "preview_url" not in ask.result(f"builds/{failure.build_uuid}")
    latest = ask.result("builds/latest", external_script_ids=success.external_script_id)
    assert "preview_url" not in latest["builds"][success.external_script_id]


def test_the_options_of_a_build_are_shown(sim: BuildsSimulator, door: Any) -> None:
    """Each option of a build is shown where the API has it."""
    tag = sim.add_worker("shop")
    build = sim.add_build(
        external_script_id=tag,
        branch="feature/x",
        commit_hash="",
        commit_message="",
        author="",
        source="manual",
        pull_request_url="https://example.com/pull/1",
        deploy_hook_name="nightly",
    )
    body = door(sim).result(f"builds/{build.build_uuid}")
    metadata = body["build_trigger_metadata"]
    assert [metadata[key] for key in ("branch", "commit_hash", "commit_message", "author")] == [
        "feature/x",
        "",
        "",
        "",
    ]
    assert (metadata["build_trigger_source"], metadata["repo_name"]) == ("manual", "shop")
    assert body["pull_request"]["pull_request_url"] == "https://example.com/pull/1"
    assert body["deploy_hook"] == {"deploy_hook_name": "nightly"}
    assert body["trigger"]["external_script_id"] == tag
    assert "build_token_uuid" not in body["trigger"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [("objects", {"A": "1", "B": None}), ("strings", {"A": "1", "B": None}), ("null", None)],
)
def test_environment_variables_have_the_shape_of_the_switch(
    how: Any, expected: Any, clock: VirtualClock, door: Any
) -> None:
    """Environment variables are objects, bare values, or a null map, as the switch says."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(environment_variables=how))
    build = sim.add_build(environment_variables={"A": "1", "B": None})
    variables = door(sim).result(f"builds/{build.build_uuid}")["build_trigger_metadata"][
        "environment_variables"
    ]
    if how == "objects":
        assert {name: value["is_secret"] for name, value in variables.items()} == {"A": False, "B": True}
        variables = {name: value["value"] for name, value in variables.items()}
    assert variables == expected


def test_words_can_be_replaced(clock: VirtualClock, door: Any) -> None:
    """A switch replaces documented words with undocumented ones."""
    assert BuildsSimulator().behavior == Behavior()
    words = {"running": "building", "success": "great"}
    sim = BuildsSimulator(clock=clock, behavior=Behavior(status_words=words))
    running, done = sim.add_build([(0, "line")]), sim.add_finished_build()
    ask = door(sim)
    assert ask.result(f"builds/{running.build_uuid}")["status"] == "building"
    assert ask.result(f"builds/{done.build_uuid}")["build_outcome"] == "great"


@pytest.mark.parametrize("late", [0.0, 3.0, "never"], ids=str)
async def test_the_outcome_may_be_late(late: Any, clock: VirtualClock, door: Any) -> None:
    """The outcome may follow `stopped` some seconds later, or never."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(late_outcome=late))
    build = sim.add_build([(1, "line"), (2, BuildOutcome.SUCCESS)])
    await clock.sleep(2.0)
    seen = [door(sim).result(f"builds/{build.build_uuid}")]
    await clock.sleep(3.0)
    seen.append(door(sim).result(f"builds/{build.build_uuid}"))
    assert [body["status"] for body in seen] == ["stopped", "stopped"]
    expected = {0.0: ["success", "success"], 3.0: [None, "success"], "never": [None, None]}
    assert [body["build_outcome"] for body in seen] == expected[late]
    assert (seen[0]["modified_on"] == seen[1]["modified_on"]) is (late != 3.0)


def test_every_result_decodes_as_its_model(sim: BuildsSimulator, door: Any) -> None:
    """Every endpoint's result decodes as its model, in the common envelope."""
    build, ask = sim.add_finished_build(), door(sim)
    path, tag = f"builds/{build.build_uuid}", build.external_script_id
    responses: list[tuple[type, Any]] = [
        (Build, ask(path)),
        (LogPage, ask(f"{path}/logs")),
        (CanceledBuild, ask(f"{path}/cancel", method="PUT")),
        (BuildMap, ask("builds", version_ids=build.version_id)),
        (BuildMap, ask("builds/latest", external_script_ids=tag)),
    ]
    for model, response in responses:
        decoded = msgspec.json.decode(response.body, type=Envelope[model])  # type: ignore[valid-type]  # a table
        assert (decoded.success, type(decoded.result)) == (True, model)
        assert set(msgspec.json.decode(response.body)) == {"success", "errors", "messages", "result"}
    page = msgspec.json.decode(ask(f"workers/{tag}/builds").body, type=Page[Build])
    assert [found.build_uuid for found in page] == [build.build_uuid]
    decoded_build = msgspec.json.decode(responses[0][1].body, type=Envelope[Build]).result
    assert isinstance(decoded_build, Build)
    assert decoded_build.succeeded
