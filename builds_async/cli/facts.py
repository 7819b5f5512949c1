"""The facts of a build by name, as text: the fields of templates and the variables of commands."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from builds_async import Build, BuildEvent, BuildTriggerMetadata, Trigger
from builds_async.cli.times import format_time
from builds_async.models.events import updated

DIGITS: Final = 8
"""How many digits of a UUID or a commit are shown where there is little room."""

BUILD_FIELDS: Final = (
    "build",
    "build_uuid",
    "worker",
    "external_script_id",
    "outcome",
    "status",
    "build_outcome",
    "branch",
    "commit",
    "commit_hash",
    "message",
    "author",
    "created_on",
    "stopped_on",
    "duration",
    "dashboard_url",
)
"""The facts in a list of builds. Facts that the JSON output has too have the same names there."""
LOG_FIELDS: Final = ("reason", "preview_url")
"""The facts that need further requests: for the build itself, and for its log."""
STATUS_FIELDS: Final = (*BUILD_FIELDS, "error")
"""The latest build of a Worker, or why the lookup failed."""
EVENT_FIELDS: Final = (
    "type",
    "time",
    *(name for name in BUILD_FIELDS if name != "external_script_id"),  # events do not have the tag
)
"""An event and its build."""
LINE_FIELDS: Final = (
    "build",
    "build_uuid",
    "worker",
    "external_script_id",
    "timestamp",
    "time",
    "message",
)
"""The fields of a line of a log."""


def subject_of(build: Build) -> str:
    """The first line of the message of the commit; "" if there is none."""
    metadata = build.build_trigger_metadata
    lines = ((metadata and metadata.commit_message) or "").strip().splitlines()
    return lines[0] if lines else ""


def build_facts(
    build: Build | None,
    *,
    worker: str | None = None,
    page: str | None = None,
    reason: str | None = None,
    preview_url: str | None = None,
    tag: str | None = None,
) -> Mapping[str, str]:
    """The facts of a build as text, as the API gives them; "" for an unknown fact.

    None for a Worker without builds: its outcome is `never built`. `tag` is that of the Worker, for a build
    that does not name it.
    """
    if build is None:
        return {"worker": worker or "", "external_script_id": tag or "", "outcome": "never built"}
    metadata = build.build_trigger_metadata or BuildTriggerMetadata()
    facts = {
        "build": build.build_uuid[:DIGITS],
        "build_uuid": build.build_uuid,
        "worker": worker,
        "external_script_id": (build.trigger or Trigger()).external_script_id or tag,
        "outcome": build.state,
        "status": build.status,
        "build_outcome": build.build_outcome,
        "branch": build.branch,
        "commit": (build.commit_hash or "")[:DIGITS],
        "commit_hash": build.commit_hash,
        "message": subject_of(build),
        "author": metadata.author,
        "created_on": _time(build.created_on),
        "stopped_on": _time(build.stopped_on),
        "duration": None if build.duration is None else f"{build.duration:.0f}",
        "dashboard_url": page,
        "reason": reason,
        "preview_url": build.preview_url or preview_url,
    }
    return {name: "" if value is None else str(value) for name, value in facts.items()}


def build_of(event: BuildEvent) -> Build:
    """The build of an event, as far as the event describes it."""
    build = updated(Build(build_uuid=event.build_uuid), event)
    return replace(build, build_trigger_metadata=event.build_trigger_metadata)


def _time(time: datetime | None) -> str | None:
    return None if time is None else format_time(time, UTC)
