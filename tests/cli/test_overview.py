"""Tests the order and the counts of Workers."""

import pytest

from builds_async import Build, BuildOutcome, BuildsConnectionError, BuildStatus
from builds_async.cli.filters import NO_FILTERS, BuildFilters
from builds_async.cli.overview import Standing, overview, standing_of

ERROR = BuildsConnectionError("reset")


def build(state: str) -> Build:
    if state in {it.value for it in BuildStatus}:
        return Build(build_uuid="b", status=BuildStatus(state))
    return Build(build_uuid="b", status=BuildStatus.STOPPED, build_outcome=BuildOutcome(state))


def names(count: int) -> dict[str, str]:
    return {str(number): f"w{number}" for number in range(count)}


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        ("fail", Standing.FAILED),
        ("terminated", Standing.FAILED),
        ("exploded", Standing.FAILED),
        ("success", Standing.SUCCESSFUL),
        ("cancelled", Standing.CANCELED),
        ("skipped", Standing.SKIPPED),
        ("queued", Standing.QUEUED),
        ("initializing", Standing.RUNNING),
        ("running", Standing.RUNNING),
        ("stopped", Standing.RUNNING),
    ],
)
def test_standing(state: str, standing: Standing) -> None:
    """Each state has its group, and a build is running until its outcome is known."""
    assert standing_of(build(state)) is standing


def test_three_kinds_without_a_build() -> None:
    """A Worker without builds differs from one that is unknown, not yet or after an error."""
    latest = {"0": build("queued"), "1": None, "4": build("queued")}
    found = overview(names(5), latest, {"3": ERROR, "4": ERROR}, NO_FILTERS)
    assert {row.name: row.standing for row in found.rows} == {
        "w0": Standing.QUEUED,
        "w1": Standing.NEVER_BUILT,
        "w2": Standing.NOT_KNOWN,
        "w3": Standing.NO_RESPONSE,
        "w4": Standing.QUEUED,  # the last known state
    }
    assert found.summary == "5 Workers: 2 queued, 1 never built, 1 no response, 1 not known yet"


@pytest.mark.parametrize(
    ("states", "filters", "summary"),
    [
        (["success"], NO_FILTERS, "1 Worker: 1 successful"),
        (["success", "fail", "terminated"], NO_FILTERS, "3 Workers: 2 failed, 1 successful"),
        (["success", "fail"], BuildFilters(failed=True), "1 of 2 Workers: 1 failed"),
        (["success", None], BuildFilters(running=True), "0 of 2 Workers"),
        (["fail", "?"], BuildFilters(failed=True), "1 of 2 Workers: 1 failed; 1 not known yet"),
        (["success", "error"], BuildFilters(failed=True), "1 of 2 Workers: 1 no response"),
    ],
    ids=str,
)
def test_summary(states: list[str | None], filters: BuildFilters, summary: str) -> None:
    """The summary counts the shown Workers of the total, and a filter does not hide unknown ones."""
    known = {
        str(at): None if it is None else build(it) for at, it in enumerate(states) if it not in {"?", "error"}
    }
    failed = {str(at): ERROR for at, it in enumerate(states) if it == "error"}
    assert overview(names(len(states)), known, failed, filters).summary == summary
