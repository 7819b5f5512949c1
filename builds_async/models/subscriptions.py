"""Event subscriptions, which put build events into a queue."""

from typing import ClassVar

from msgspec import UNSET, UnsetType

from builds_async.models.base import Body, Id, Model, Moment


class EventSource(Body, frozen=True, kw_only=True):
    """The source of events. Each `type` has a field of its own for the name of the source, or none."""

    type: str | None = "workersBuilds.worker"
    """The kind of source, in the API's terms. The default is Workers Builds."""
    worker_name: str | UnsetType | None = UNSET
    """The name of the Worker, with `workersBuilds.worker`."""
    script_tag: str | UnsetType | None = UNSET
    """The tag of the Worker, with `workers.script`."""
    workflow_name: str | UnsetType | None = UNSET
    """The name of the Workflow, with `workflows.workflow`."""
    model_name: str | UnsetType | None = UNSET
    """The name of the model, with `workersAi.model`."""


class EventDestination(Body, frozen=True, kw_only=True):
    """The destination of a subscription's events: a queue."""

    queue_id: str | None
    """The id of the queue; not its name."""
    type: str | None = "queues.queue"
    """The kind of destination. `queues.queue` is the only one in the schema."""


class Subscription(Model, frozen=True, kw_only=True):
    """An event subscription."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name", "enabled", "events")

    id: Id
    """The id of the subscription."""
    name: str | None = None
    """The display name."""
    enabled: bool | None = None
    """Whether events are delivered."""
    source: EventSource | None = None
    """The source of the events."""
    destination: EventDestination | None = None
    """The destination of the events."""
    events: tuple[str, ...] | None = None
    """The types of events that are delivered, such as `build.failed`."""
    created_at: Moment | None = None
    """When the subscription was created."""
    modified_at: Moment | None = None
    """When the subscription was last changed."""
