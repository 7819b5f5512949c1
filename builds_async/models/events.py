"""Build events from the messages that Cloudflare's event subscriptions put into a queue.

https://developers.cloudflare.com/queues/event-subscriptions/events-schemas/. The documentation,
Cloudflare's own consumer and the REST API use different words. All are accepted and converted to those of the
REST API.
"""

from base64 import b64decode
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from builds_async.models.base import Id, Model, Moment, OpenStrEnum
from builds_async.models.builds import Build, BuildOutcome, BuildStatus, BuildTriggerMetadata
from builds_async.models.lenient import convert_or_none
from builds_async.models.lenient_json import loads
from builds_async.models.queues import QueueMessage


class BuildEventType(OpenStrEnum):
    """The type of a build event. If the event has a `build_outcome`, rely on that instead."""

    QUEUED = "cf.workersBuilds.worker.build.queued"
    """The build was queued. Known to Cloudflare's own consumer, but not documented."""
    STARTED = "cf.workersBuilds.worker.build.started"
    """The build began to run."""
    SUCCEEDED = "cf.workersBuilds.worker.build.succeeded"
    """The build succeeded."""
    FAILED = "cf.workersBuilds.worker.build.failed"
    """The build stopped without success. Canceled builds may have this type too."""
    CANCELED = "cf.workersBuilds.worker.build.canceled"
    """The build was canceled."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class BuildEvent(Model, frozen=True, kw_only=True):
    """An event of a build, in the REST API's terms and field names.

    Only `type` and `build_uuid` are always set. Any other value that is missing or unreadable is None.
    """

    _shown: ClassVar[tuple[str, ...]] = ("type", "build_uuid", "build_outcome", "worker_name")

    type: BuildEventType
    """What happened."""
    build_uuid: Id
    """The id of the build."""
    status: BuildStatus | None = None
    """The stage that the build has reached: always `stopped` when there is a `build_outcome`."""
    build_outcome: BuildOutcome | None = None
    """How the build ended; None while it is queued or running."""
    worker_name: str | None = None
    """The name of the Worker. Events do not have the tag."""
    created_on: Moment | None = None
    """When the build was created."""
    initializing_on: Moment | None = None
    """When the build left the queue; None before that."""
    running_on: Moment | None = None
    """When the build began to run; None before that."""
    stopped_on: Moment | None = None
    """When the build stopped; None before that."""
    event_timestamp: Moment | None = None
    """When the event happened."""
    account_id: str | None = None
    """The id of the Worker's account."""
    event_subscription_id: str | None = None
    """The id of the subscription that put the event into the queue."""
    build_trigger_metadata: BuildTriggerMetadata | None = None
    """The commit and settings of the build, from its start, without token and variables."""
    message_id: str = ""
    """The id of the queue message."""
    attempts: int = 1
    """How many times the queue message was delivered, including this time."""


def updated(build: Build, event: BuildEvent) -> Build:
    """A build with the state that an event reports. Fields that the event lacks keep their values."""
    said = {
        name: value
        for name in ("status", "build_outcome", "created_on", "initializing_on", "running_on", "stopped_on")
        if (value := getattr(event, name)) is not None
    }
    return msgspec.structs.replace(build, **said)


# The documentation, Cloudflare's own consumer and the REST API spell outcomes differently. The last word of
# an event's type is an outcome too.
_OUTCOMES: Final = {
    "succeeded": BuildOutcome.SUCCESS,
    "success": BuildOutcome.SUCCESS,
    "failed": BuildOutcome.FAIL,
    "failure": BuildOutcome.FAIL,
    "canceled": BuildOutcome.CANCELLED,
    "cancelled": BuildOutcome.CANCELLED,
}
_STATUSES: Final = {"queued": BuildStatus.QUEUED, "started": BuildStatus.RUNNING}
_MAX_LAYERS: Final = 4  # base64 of a JSON string of base64 of JSON: no real message is nested deeper


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


_METADATA_FIELDS: Final = {_camel(name): name for name in BuildTriggerMetadata.__struct_fields__}


def read_event(message: QueueMessage) -> BuildEvent | None:
    """The build event in a message; None if there is none, or if it is unreadable.

    The body may be an object, JSON, or base64 of JSON, regardless of `CF-Content-Type`: Cloudflare's own
    documentation shows `json` messages both with and without base64.
    """
    event = _unpacked(message.body)
    payload, metadata = _object(event, "payload"), _object(event, "metadata")
    kind, build_uuid = _word(event, "type"), _word(payload, "buildUuid")
    if not kind or not build_uuid:
        return None
    word = kind.rpartition(".")[2]
    status = _word(payload, "status")
    outcome = _outcome(_word(payload, "buildOutcome"), word, status)
    return BuildEvent(
        type=BuildEventType(kind),
        build_uuid=build_uuid,
        # Documented events with an outcome have statuses such as `failed`, which the REST API does not have.
        status=BuildStatus.STOPPED if outcome else _status(status, word),
        build_outcome=outcome,
        worker_name=_text(_object(event, "source"), "workerName"),
        created_on=_date(payload, "createdAt"),
        initializing_on=_date(payload, "initializingAt"),
        running_on=_date(payload, "runningAt"),
        stopped_on=_date(payload, "stoppedAt"),
        event_timestamp=_date(metadata, "eventTimestamp"),
        account_id=_text(metadata, "accountId"),
        event_subscription_id=_text(metadata, "eventSubscriptionId"),
        build_trigger_metadata=_trigger_metadata(payload),
        message_id=message.id,
        attempts=message.attempts,
    )


def _outcome(outcome: str | None, word: str, status: str | None) -> BuildOutcome | None:
    """The outcome, or else the one implied by the type, or else by the status."""
    if outcome:
        return _OUTCOMES.get(outcome) or BuildOutcome(outcome)
    return _OUTCOMES.get(word) or _OUTCOMES.get(status or "")


def _status(status: str | None, word: str) -> BuildStatus | None:
    return BuildStatus(status) if status else _STATUSES.get(word)


def _trigger_metadata(payload: dict[str, Any]) -> BuildTriggerMetadata | None:
    metadata = _object(payload, "buildTriggerMetadata")
    fields = {_METADATA_FIELDS.get(name, name): value for name, value in metadata.items()}
    return convert_or_none(fields, BuildTriggerMetadata) if fields else None


def _unpacked(body: object) -> dict[str, Any]:
    """The JSON object in the body, decoded as often as needed; empty if there is none."""
    for _ in range(_MAX_LAYERS):
        if not isinstance(body, str):
            break
        try:
            # `==` completes missing padding; excess padding is ignored.
            body = loads(body if body.lstrip()[:1] in {"{", '"'} else b64decode(body + "=="))
        except (ValueError, RecursionError):
            break
    return body if isinstance(body, dict) else {}


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _word(parent: dict[str, Any], name: str) -> str | None:
    value = parent.get(name)
    return value if isinstance(value, str) else None


def _text(parent: dict[str, Any], name: str) -> str | None:
    """A field as a str, or None: one unreadable field must not cost the whole event."""
    return convert_or_none(parent.get(name), str)


def _date(parent: dict[str, Any], name: str) -> datetime | None:
    return convert_or_none(parent.get(name), datetime)
