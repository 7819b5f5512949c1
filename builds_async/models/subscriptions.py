"""Event subscriptions: what puts build events into a queue."""

from msgspec import UNSET, UnsetType

from builds_async.models.base import Body, Id, Model, Moment


class EventSource(Body, frozen=True, kw_only=True):
    """What a subscription listens to; by default the builds of a Worker, by its name.

    Each other `type` of the API goes with the name of its own field, or with none.
    """

    type: str | None = "workersBuilds.worker"
    worker_name: str | UnsetType | None = UNSET
    script_tag: str | UnsetType | None = UNSET
    workflow_name: str | UnsetType | None = UNSET
    model_name: str | UnsetType | None = UNSET


class EventDestination(Body, frozen=True, kw_only=True):
    """Where the events of a subscription go: a queue."""

    queue_id: str | None
    type: str | None = "queues.queue"


class Subscription(Model, frozen=True, kw_only=True):
    """An event subscription. `events` are words such as `build.failed`."""

    id: Id
    name: str | None = None
    enabled: bool | None = None
    source: EventSource | None = None
    destination: EventDestination | None = None
    events: tuple[str, ...] | None = None
    created_at: Moment | None = None
    modified_at: Moment | None = None
