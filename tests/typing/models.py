"""The types of results and request bodies."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_type

import msgspec

from builds_async import (
    Build,
    BuildSettingsUpdate,
    BuildTriggerMetadata,
    Diagnosis,
    EnvironmentVariable,
    Finding,
    LogEvent,
    LogLine,
    LogPage,
    LogPosition,
    NewBuildSettings,
    NewVariable,
    Page,
    QueueBatch,
    QueueMessage,
    ResultInfo,
    Trigger,
    WorkerScript,
)


def build(it: Build) -> None:
    assert_type(it.build_uuid, str)
    assert_type(it.created_on, datetime | None)
    assert_type(it.trigger, Trigger | None)
    assert_type(it.build_trigger_metadata, BuildTriggerMetadata | None)
    assert_type(it.branch, str | None)
    assert_type(it.commit_hash, str | None)
    assert_type(it.duration, float | None)
    assert_type(it.queued_for, float | None)
    assert_type(it.is_stopped, bool)
    assert_type(it.is_finished, bool)
    assert_type(it.succeeded, bool)
    assert_type(it.failure_reason([LogLine(0, "Error: x")]), str | None)
    it.status = None  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def build_needs_an_id() -> None:
    assert_type(Build(build_uuid="b"), Build)
    Build()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Build("b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def variables(metadata: BuildTriggerMetadata) -> None:
    assert_type(metadata.environment_variables, dict[str, EnvironmentVariable | str | None] | None)


def log(page: LogPage, line: LogLine) -> None:
    assert_type(page.lines, tuple[LogLine, ...])
    assert_type(page.cursor, str | None)
    assert_type(page.events, tuple[LogEvent, ...] | None)
    assert_type(line.timestamp, int | float)
    assert_type(line.time, datetime)
    assert_type(line.text, str)


def position(saved: bytes) -> None:
    assert_type(msgspec.json.decode(saved, type=LogPosition), LogPosition)
    assert_type(LogPosition().cursor, str | None)
    assert_type(LogPosition().offset, int)


def page(it: Page[Build]) -> None:
    assert_type(it.result, tuple[Build, ...])
    assert_type(it.result_info, ResultInfo | None)
    assert_type(iter(it), Iterator[Build])
    assert_type(it[0], Build)
    assert_type([each.build_uuid for each in it], list[str])
    assert_type(len(it), int)


def batch(it: QueueBatch) -> None:
    assert_type(it.messages, tuple[QueueMessage, ...])
    assert_type(it.messages[0].lease_id, str)
    assert_type(it.messages[0].body, object)


def worker(it: WorkerScript) -> None:
    assert_type(it.id, str)
    assert_type(it.tag, str | None)


def diagnosis(it: Diagnosis) -> None:
    assert_type(it.ok, bool)
    assert_type(it.findings, tuple[Finding, ...])


def bodies() -> None:
    settings = NewBuildSettings(
        build_command="npm run build",
        deploy_command="npx wrangler deploy",
        build_token_uuid="t",
        environment_variables={"NODE_ENV": "production", "KEY": NewVariable(value="k", is_secret=True)},
        path_includes=["*"],
    )
    assert_type(settings, NewBuildSettings)
    assert_type(BuildSettingsUpdate(environment_variables={"GONE": None}), BuildSettingsUpdate)
