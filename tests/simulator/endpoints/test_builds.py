"""The endpoints of builds: lookups, lists and cancellation."""

from typing import Any

import msgspec
import pytest

from builds_async.models import BuildOutcome
from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    VirtualClock,
)
from tests.support.case import cases


def test_canceling_returns_the_outcome(sim: BuildsSimulator, door: Any) -> None:
    """Canceling returns the outcome and the stop date without a status, and the build then shows the same."""
    build = sim.add_build([(0, "line")])
    body = door(sim).result(f"builds/{build.build_uuid}/cancel", method="PUT")
    assert set(body) == {"build_uuid", "build_outcome", "stopped_on"}
    after = door(sim).result(f"builds/{build.build_uuid}")
    assert (after["status"], after["build_outcome"]) == ("stopped", "cancelled")
    assert body == {key: after[key] for key in body}


@pytest.mark.parametrize("how", ["ok", 400, 404, 409], ids=str)
def test_canceling_a_finished_build_returns_what_the_switch_says(
    how: Any, clock: VirtualClock, door: Any
) -> None:
    """Canceling a finished build responds as the switch says and leaves the build unchanged."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(cancel_finished=how))
    build = sim.add_finished_build()
    response = door(sim)(f"builds/{build.build_uuid}/cancel", method="PUT")
    assert response.status == (200 if how == "ok" else how)
    assert msgspec.json.decode(response.body)["success"] is (how == "ok")
    assert build.outcome == BuildOutcome.SUCCESS


@pytest.mark.parametrize("how", ["absent", "null"])
def test_bulk_lookups_are_keyed_by_the_ids_of_the_request(how: Any, clock: VirtualClock, door: Any) -> None:
    """Bulk lookups key known ids to their builds; an unknown id has no key, or null."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(unknown_ids=how))
    build, idle = sim.add_finished_build(), sim.add_worker()
    ask = door(sim)
    unknown = {} if how == "absent" else {"x": None, idle: None}
    tag, version = build.external_script_id, build.version_id
    latest = ask.result("builds/latest", external_script_ids=f"x,{tag},{idle}")["builds"]
    by_version = ask.result("builds", version_ids=f"x,{version},{idle}")["builds"]
    assert latest == unknown | {tag: latest[tag]}
    assert by_version == unknown | {version: latest[tag]}
    assert latest[tag]["build_uuid"] == build.build_uuid


@cases("asked", [("builds", "version_ids"), ("builds/latest", "external_script_ids")], ids=" ".join)
@cases(
    ("ids", "status"),
    [(None, 400), ("", 400), ("a,,b", 400), (",".join("a" * 20), 200), (",".join("a" * 21), 400)],
    ids=["missing", "empty", "an empty one", "twenty", "twenty-one"],
)
def test_bulk_lookups_take_one_to_twenty_ids(
    asked: tuple[str, str], ids: str | None, status: int, sim: BuildsSimulator, door: Any
) -> None:
    """Bulk lookups take one to twenty ids; any other number is a 400 with 12013."""
    path, name = asked
    query = {} if ids is None else {name: ids}
    response = door(sim)(path, **query)
    assert response.status == status
    if status == 400:
        assert door(sim).error(path, **query) == (400, 12013)


def test_the_latest_build_is_the_newest(sim: BuildsSimulator, door: Any) -> None:
    """The latest build is the newest by creation, then by insertion; unlisted builds do not count."""
    tag, ask = sim.add_worker(), door(sim)
    sim.add_build(external_script_id=tag)
    second = sim.add_build(external_script_id=tag)
    sim.add_finished_build(external_script_id=tag)
    hidden = sim.add_build(external_script_id=tag, listed=False)
    latest = ask.result("builds/latest", external_script_ids=tag)["builds"][tag]
    assert latest["build_uuid"] == second.build_uuid
    assert ask.result(f"builds/{hidden.build_uuid}")["status"] == "queued"


@pytest.mark.parametrize(
    ("query", "shown", "info"),
    [
        ({}, range(50), {"page": 1, "per_page": 50, "count": 50, "total_pages": 3, "next_page": True}),
        (
            {"page": 3},
            range(100, 120),
            {"page": 3, "per_page": 50, "count": 20, "total_pages": 3, "next_page": False},
        ),
        (
            {"page": 4},
            range(0),
            {"page": 4, "per_page": 50, "count": 0, "total_pages": 3, "next_page": False},
        ),
        (
            {"page": 2, "per_page": 60},
            range(60, 120),
            {"page": 2, "per_page": 60, "count": 60, "total_pages": 2, "next_page": False},
        ),
        (
            {"per_page": 200},
            range(120),
            {"page": 1, "per_page": 200, "count": 120, "total_pages": 1, "next_page": False},
        ),
    ],
    ids=["default", "last", "beyond", "exact end", "all"],
)
def test_builds_of_a_worker_are_paged_newest_first(
    query: dict[str, int], shown: range, info: dict[str, Any], sim: BuildsSimulator, door: Any
) -> None:
    """The builds of a Worker are paged newest first, and each page has its paging info."""
    tag = sim.add_worker()
    builds = [sim.add_finished_build(0, age=float(age), external_script_id=tag) for age in range(120)]
    body = door(sim).body(f"workers/{tag}/builds", **query)
    assert [build["build_uuid"] for build in body["result"]] == [builds[age].build_uuid for age in shown]
    assert body["result_info"] == info | {"total_count": 120}


@cases(
    "query",
    [
        *({"page": text} for text in (0, -1, "x", "", "1.0", "\u0661", "9" * 5000)),
        *({"per_page": text} for text in (0, 201)),
    ],
    ids=lambda query: "-".join(f"{key}={value}"[:20] for key, value in query.items()),
)
def test_a_bad_page_is_refused(query: dict[str, Any], sim: BuildsSimulator, door: Any) -> None:
    """An invalid page is a 400 with 12013."""
    assert door(sim).error(f"workers/{sim.add_worker()}/builds", **query) == (400, 12013)


@pytest.mark.parametrize(("how", "status"), [("empty", 200), ("not_found", 404)])
def test_an_unknown_tag_has_no_builds(how: Any, status: int, clock: VirtualClock, door: Any) -> None:
    """An unknown tag lists nothing or is a 404, as the switch says; a Worker without builds lists nothing."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(unknown_worker=how))
    assert door(sim)(f"workers/{'0' * 32}/builds").status == status
    body = door(sim).body(f"workers/{sim.add_worker()}/builds")
    assert (body["result"], body["result_info"]["total_pages"]) == ([], 0)
