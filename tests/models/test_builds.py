"""Builds as the API sends them today, and as it may send them in the future."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from builds_async import (
    Build,
    BuildOutcome,
    BuildStatus,
    BuildTriggerSource,
    CanceledBuild,
    EnvironmentVariable,
    ProviderType,
    Trigger,
)
from tests.support import BUILD_UUID, TAG, build
from tests.support.case import cases
from tests.support.decoding import decoded


def test_current_build() -> None:
    """A build as the API sends it today decodes completely, under the API's own names."""
    it: Build = decoded(build(preview_url="https://p.example", deploy_hook={"deploy_hook_name": "cms"}))
    assert it.build_uuid == BUILD_UUID
    assert (it.status, it.build_outcome) == (BuildStatus.STOPPED, BuildOutcome.SUCCESS)
    assert it.created_on == datetime(2026, 8, 13, 2, 33, 54, 80_000, tzinfo=UTC)
    assert it.stopped_on == datetime(2026, 8, 13, 2, 34, 40, 500_000, tzinfo=UTC)
    assert it.preview_url == "https://p.example"
    assert it.deploy_hook
    assert it.deploy_hook.deploy_hook_name == "cms"
    assert it.trigger
    assert it.trigger.external_script_id == TAG
    assert it.trigger.path_includes == ("*",)
    assert it.trigger.build_caching_enabled is True
    assert it.trigger.repo_connection
    assert it.trigger.repo_connection.provider_type == ProviderType.GITHUB
    assert it.build_trigger_metadata
    assert it.build_trigger_metadata.build_trigger_source == BuildTriggerSource.PUSH_EVENT
    assert it.build_trigger_metadata.commit_message == "Fix the cart"


def test_only_the_id_is_needed() -> None:
    """A build requires only its id."""
    assert decoded({"build_uuid": "b"}) == Build(build_uuid="b")


@cases("field", [name for name in Build.__struct_fields__ if name != "build_uuid"])
def test_null_field(field: str) -> None:
    """Every field except the id may be null."""
    assert getattr(decoded(build(**{field: None})), field) is None


@cases(("field", "kind"), [("trigger", Trigger), ("build_trigger_metadata", None), ("pull_request", None)])
def test_null_nested_field(field: str, kind: type[msgspec.Struct] | None) -> None:
    """Every field of a nested object may be null or absent."""
    assert getattr(decoded(build(**{field: {}})), field) is not None
    names = (
        kind.__struct_fields__ if kind else getattr(decoded(build(**{field: {}})), field).__struct_fields__
    )
    inside = getattr(decoded(build(**{field: dict.fromkeys(names)})), field)
    assert [getattr(inside, name) for name in names] == [None] * len(names)


def test_new_fields() -> None:
    """Unknown fields are ignored at every depth."""
    new = {"later": {"deep": [1, {"a": None}]}}
    wire = build(**new)
    wire["trigger"] |= new
    wire["trigger"]["repo_connection"] |= new
    wire["build_trigger_metadata"] |= new
    assert decoded(wire) == decoded(build())


def test_environment_variables() -> None:
    """A build variable may be an object, a plain string or null."""
    variables = {
        "OBJECT": {"is_secret": False, "created_on": "2026-08-13T02:33:54.080Z", "value": "1"},
        "SECRET": {"is_secret": True, "value": None},
        "STRING": "plain",
        "NULL": None,
        "EMPTY": {},
    }
    it: Build = decoded(build(build_trigger_metadata={"environment_variables": variables}))
    assert it.build_trigger_metadata
    assert it.build_trigger_metadata.environment_variables == {
        "OBJECT": EnvironmentVariable(
            is_secret=False, created_on=datetime(2026, 8, 13, 2, 33, 54, 80_000, tzinfo=UTC), value="1"
        ),
        "SECRET": EnvironmentVariable(is_secret=True),
        "STRING": "plain",
        "NULL": None,
        "EMPTY": EnvironmentVariable(),
    }


def test_without_commit() -> None:
    """The empty strings of a build without a commit stay empty strings."""
    it: Build = decoded(build(build_trigger_metadata={"commit_hash": "", "author": ""}))
    assert it.build_trigger_metadata
    assert (it.build_trigger_metadata.commit_hash, it.build_trigger_metadata.author) == ("", "")


@cases(
    ("status", "outcome", "dated", "stopped", "finished", "succeeded", "failed"),
    [
        ("queued", None, False, False, False, False, False),
        ("initializing", None, False, False, False, False, False),
        ("running", None, False, False, False, False, False),
        ("running", "success", False, False, False, False, False),
        ("running", None, True, False, False, False, False),
        ("running", "", True, False, False, False, False),
        ("paused", None, False, False, False, False, False),
        (None, None, False, False, False, False, False),
        (None, "success", False, False, False, False, False),
        (None, "success", True, True, True, True, False),
        ("completed", "success", True, True, True, True, False),
        ("completed", "fail", True, True, True, False, True),
        ("running", "cancelled", True, True, True, False, False),
        ("stopped", None, True, True, False, False, False),
        ("stopped", "", True, True, False, False, False),
        ("stopped", "success", True, True, True, True, False),
        ("stopped", "success", False, True, True, True, False),
        ("stopped", "fail", True, True, True, False, True),
        ("stopped", "terminated", True, True, True, False, True),
        ("stopped", "skipped", True, True, True, False, False),
        ("stopped", "evaporated", True, True, True, False, True),
    ],
)
def test_end(  # noqa: PLR0917
    status: str | None,
    outcome: str | None,
    dated: bool,
    stopped: bool,
    finished: bool,
    succeeded: bool,
    failed: bool,
) -> None:
    """A build has stopped if its status says so, or if it has an outcome and `stopped_on`.

    It has failed with any outcome other than success, unless it was canceled or skipped.
    """
    when = "2026-08-13T02:34:40.500Z" if dated else None
    it: Build = decoded(build(status=status, build_outcome=outcome, stopped_on=when))
    assert (it.is_stopped, it.is_finished) == (stopped, finished)
    assert (it.succeeded, it.failed) == (succeeded, failed)


@cases(
    ("written", "read"),
    [
        ("2026-08-13T02:33:54Z", datetime(2026, 8, 13, 2, 33, 54, tzinfo=UTC)),
        ("2026-01-25T18:00:10.112994Z", datetime(2026, 1, 25, 18, 0, 10, 112994, tzinfo=UTC)),
        (
            "2026-08-13T04:33:54+02:00",
            datetime(2026, 8, 13, 4, 33, 54, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
    ids=["seconds", "microseconds", "offset"],
)
def test_time(written: str, read: datetime) -> None:
    """Times become timezone-aware datetimes, with or without fractional seconds."""
    it: Build = decoded(build(created_on=written))
    assert it.created_on == read
    assert it.created_on
    assert it.created_on.tzinfo is not None


def test_cancelled() -> None:
    """The response to a cancellation decodes."""
    wire = {"build_uuid": "b", "build_outcome": "cancelled", "stopped_on": "2026-08-13T02:33:54Z"}
    assert decoded(wire, CanceledBuild) == CanceledBuild(
        build_uuid="b",
        build_outcome=BuildOutcome.CANCELLED,
        stopped_on=datetime(2026, 8, 13, 2, 33, 54, tzinfo=UTC),
    )


T0, T5, T65 = ("2026-08-13T02:00:00Z", "2026-08-13T02:00:05.500Z", "2026-08-13T02:01:05.500Z")


@cases(
    ("dates", "queued_for", "duration"),
    [
        pytest.param({"initializing_on": T5, "running_on": T65, "stopped_on": T65}, 5.5, 60.0, id="finished"),
        pytest.param({"running_on": T5, "stopped_on": T65}, 5.5, 60.0, id="never initialized"),
        pytest.param({"initializing_on": T5}, 5.5, None, id="running"),
        pytest.param({}, None, None, id="queued"),
        pytest.param({"stopped_on": T65}, 65.5, None, id="stopped in the queue"),
        pytest.param({"initializing_on": T65, "stopped_on": T5}, 65.5, None, id="wrong order"),
        pytest.param(
            {"created_on": None, "initializing_on": T5, "stopped_on": T65}, None, 60.0, id="no date"
        ),
        pytest.param({"created_on": "0001-01-01T00:00:00Z", "initializing_on": T5}, None, None, id="absurd"),
    ],
)
def test_durations(dates: dict[str, str], queued_for: float | None, duration: float | None) -> None:
    """`queued_for` is the wait in the queue and `duration` the time after it, in seconds; unknown is None."""
    none = dict.fromkeys(("initializing_on", "running_on", "stopped_on"))
    it: Build = decoded(build(**{**none, "created_on": T0, **dates}))
    assert (it.queued_for, it.duration) == (queued_for, duration)


@cases(
    ("metadata", "branch", "commit"),
    [
        pytest.param({"branch": "main", "commit_hash": "0123abc"}, "main", "0123abc", id="both"),
        pytest.param({"branch": "main", "commit_hash": ""}, "main", None, id="no commit"),
        pytest.param({"branch": ""}, None, None, id="empty"),
        pytest.param(None, None, None, id="no metadata"),
    ],
)
def test_branch_and_commit(metadata: dict[str, str] | None, branch: str | None, commit: str | None) -> None:
    """Branch and commit come from the metadata, and are None if the API has none or an empty string."""
    it: Build = decoded(build(build_trigger_metadata=metadata))
    assert (it.branch, it.commit_hash) == (branch, commit)


@pytest.mark.parametrize(
    ("status", "outcome", "state"),
    [
        (BuildStatus.RUNNING, None, "running"),
        (BuildStatus.STOPPED, None, "stopped"),
        (BuildStatus.STOPPED, BuildOutcome.FAIL, "fail"),
        (None, BuildOutcome("new_word"), "new_word"),
        (None, None, "unknown"),
    ],
)
def test_state(status: BuildStatus | None, outcome: BuildOutcome | None, state: str) -> None:
    """The state of a build is its outcome, or else its status."""
    assert Build(build_uuid="b", status=status, build_outcome=outcome).state == state
