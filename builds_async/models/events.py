"""Build events, as Cloudflare's event subscriptions put them into a queue.

https://developers.cloudflare.com/queues/event-subscriptions/events-schemas/. The documents and Cloudflare's
own consumer disagree on the words, and the REST API has yet others: all are read, and come out as those of
the REST API.
"""

from base64 import b64decode
from datetime import datetime
from typing import Any, Final

from builds_async.models import lenient
from builds_async.models.base import Id, Model, Moment, OpenStrEnum
from builds_async.models.builds import BuildOutcome, BuildStatus, BuildTriggerMetadata
from builds_async.models.queues import QueueMessage


class BuildEventType(OpenStrEnum):
    """What has happened. A cancelled build may come as `FAILED`: its outcome tells."""

    QUEUED = "cf.workersBuilds.worker.build.queued"
    STARTED = "cf.workersBuilds.worker.build.started"
    SUCCEEDED = "cf.workersBuilds.worker.build.succeeded"
    FAILED = "cf.workersBuilds.worker.build.failed"
    CANCELED = "cf.workersBuilds.worker.build.canceled"


class BuildEvent(Model, frozen=True, kw_only=True):
    """Something that happened to a build, with the words and field names of the REST API.

    `status` is `stopped` whenever there is a `build_outcome`. `worker_name` is the name of the Worker; its
    tag is not told. `build_trigger_metadata` has no token and no variables. Only `type` and `build_uuid`
    are sure to be there: what else is missing, or can't be read, is None.

    `message_id` and `attempts` are of the queue message: `attempts` counts its deliveries, from 1.
    """

    type: BuildEventType
    build_uuid: Id
    status: BuildStatus | None = None
    build_outcome: BuildOutcome | None = None
    worker_name: str | None = None
    created_on: Moment | None = None
    initializing_on: Moment | None = None
    running_on: Moment | None = None
    stopped_on: Moment | None = None
    event_timestamp: Moment | None = None
    account_id: str | None = None
    event_subscription_id: str | None = None
    build_trigger_metadata: BuildTriggerMetadata | None = None
    message_id: str = ""
    attempts: int = 1


_OUTCOMES: Final = {
    "succeeded": BuildOutcome.SUCCESS,
    "success": BuildOutcome.SUCCESS,
    "failed": BuildOutcome.FAIL,
    "failure": BuildOutcome.FAIL,
    "canceled": BuildOutcome.CANCELLED,
    "cancelled": BuildOutcome.CANCELLED,
}
_STATUSES: Final = {"queued": BuildStatus.QUEUED, "started": BuildStatus.RUNNING}
_LAYERS: Final = 4  # text in base64 in JSON in base64 is the most that anybody could mean


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


_METADATA_FIELDS: Final = {_camel(name): name for name in BuildTriggerMetadata.__struct_fields__}


def read_event(message: QueueMessage) -> BuildEvent | None:
    """The build event that a message brings; None if it is none, or can't be read.

    The body may be an object, JSON, or base64 of JSON, whatever the message says of its content.
    """
    event = _unpacked(message.body)
    payload, metadata = _object(event, "payload"), _object(event, "metadata")
    kind, build_uuid = _word(event, "type"), _word(payload, "buildUuid")
    if not kind or not build_uuid:
        return None
    word = kind.rpartition(".")[2]
    said = _word(payload, "status")
    outcome = _outcome(_word(payload, "buildOutcome"), word, said)
    return BuildEvent(
        type=BuildEventType(kind),
        build_uuid=build_uuid,
        status=BuildStatus.STOPPED if outcome else _status(said, word),
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
    """By the outcome, else by the last word of the type, else by the status."""
    if outcome:
        return _OUTCOMES.get(outcome) or BuildOutcome(outcome)
    return _OUTCOMES.get(word) or _OUTCOMES.get(status or "")


def _status(status: str | None, word: str) -> BuildStatus | None:
    return BuildStatus(status) if status else _STATUSES.get(word)


def _trigger_metadata(payload: dict[str, Any]) -> BuildTriggerMetadata | None:
    metadata = _object(payload, "buildTriggerMetadata")
    fields = {_METADATA_FIELDS.get(name, name): value for name, value in metadata.items()}
    return lenient.convert_or_none(fields, BuildTriggerMetadata) if fields else None


def _unpacked(body: object) -> dict[str, Any]:
    """The object that a body is, or that is written in it; an empty one if there is none."""
    for _ in range(_LAYERS):
        if not isinstance(body, str):
            break
        try:
            body = lenient.loads(body if body.lstrip()[:1] in {"{", '"'} else b64decode(body + "=="))
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
    """A field as the text that it should be, else None: no raw event is published, an event is worth more."""
    return lenient.convert_or_none(parent.get(name), str)


def _date(parent: dict[str, Any], name: str) -> datetime | None:
    return lenient.convert_or_none(parent.get(name), datetime)
