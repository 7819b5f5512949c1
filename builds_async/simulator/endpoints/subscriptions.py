"""Event subscriptions of queues."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from builds_async.simulator.endpoints.changes import Change
from builds_async.simulator.records import Subscription
from builds_async.simulator.refusals import AlreadySubscribedError, UnknownError
from builds_async.simulator.routing import Call, Reply, endpoint, find


class EventSource(Change):
    """The source of events: a Worker, by name or by tag depending on the type."""

    type: Literal[
        "images",
        "kv",
        "r2",
        "superSlurper",
        "vectorize",
        "workersAi.model",
        "workersBuilds.worker",
        "workers.script",
        "workflows.workflow",
    ]
    model_name: str | UnsetType = UNSET
    worker_name: str | UnsetType = UNSET
    script_tag: str | UnsetType = UNSET
    workflow_name: str | UnsetType = UNSET


class EventDestination(msgspec.Struct, kw_only=True):
    """The destination of events."""

    type: Literal["queues.queue"]
    queue_id: str


class NewSubscription(msgspec.Struct, kw_only=True):
    """A subscription of a queue."""

    name: str
    source: EventSource
    destination: EventDestination
    events: Annotated[list[str], Meta(min_length=1)]
    enabled: bool = True


class SubscriptionChange(Change):
    """A change of a subscription."""

    name: str | UnsetType = UNSET
    destination: EventDestination | UnsetType = UNSET
    events: Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


_SUBSCRIPTIONS = "/event_subscriptions/subscriptions"
_SUBSCRIPTION = f"{_SUBSCRIPTIONS}/{{subscription_id}}"


@endpoint("subscriptions-list", "GET", _SUBSCRIPTIONS, "queues:read")
def list_subscriptions(call: Call) -> Reply:
    """A page of the subscriptions."""
    order = call.choice("order", ("name", "created_at", "enabled", "source"))
    descending = call.choice("direction", ("asc", "desc")) == "desc"
    found = sorted(call.account.subscriptions.values(), key=lambda it: _key(it, order), reverse=descending)
    return call.page(found, call.views.subscription, default=20, largest=100)


@endpoint("subscriptions-create", "POST", _SUBSCRIPTIONS, "queues:write")
def create_subscription(call: Call) -> Reply:
    """Subscribe a queue to the events of a source that has no subscription yet."""
    new = call.read(NewSubscription)
    find(call.account.queues, new.destination.queue_id)
    _check_source(call, new.source)
    source = new.source.sent()
    if any(it.source == source for it in call.account.subscriptions.values()):
        raise AlreadySubscribedError
    # Called before the subscription is added, so that earlier changes of builds make no events for it.
    _catch_up(call)
    subscription = call.account.subscribe(
        new.name, source, new.destination.queue_id, new.events, enabled=new.enabled
    )
    return Reply(call.views.subscription(subscription))


@endpoint("subscriptions-get", "GET", _SUBSCRIPTION, "queues:write")
def get_subscription(call: Call) -> Reply:
    """One subscription."""
    return Reply(call.views.subscription(_subscription(call)))


@endpoint("subscriptions-patch", "PATCH", _SUBSCRIPTION, "queues:write")
def update_subscription(call: Call) -> Reply:
    """Change a subscription; fields that are not sent keep their values."""
    subscription, change = _subscription(call), call.read(SubscriptionChange)
    sent = change.sent()
    if "destination" in sent:
        find(call.account.queues, sent["destination"].queue_id)
        sent["destination"] = msgspec.to_builtins(sent["destination"])
    _catch_up(call)
    for name, value in sent.items():
        setattr(subscription, name, value)
    subscription.modified_at = call.now
    return Reply(call.views.subscription(subscription))


@endpoint("subscriptions-delete", "DELETE", _SUBSCRIPTION, "queues:write")
def delete_subscription(call: Call) -> Reply:
    """Delete a subscription."""
    subscription = _subscription(call)
    _catch_up(call)
    del call.account.subscriptions[subscription.id]
    return Reply(call.views.subscription(subscription))


def _catch_up(call: Call) -> None:
    """Turn the changes of builds up to now into messages, while the old subscriptions still apply."""
    for queue in call.account.queues.values():
        queue.catch_up()


def _check_source(call: Call, source: EventSource) -> None:
    named = source.sent()
    if named.get("worker_name", "") not in {"", *call.account.workers}:
        raise UnknownError
    if named.get("script_tag", "") not in {"", *call.account.scripts}:
        raise UnknownError


def _subscription(call: Call) -> Subscription:
    return call.find(call.account.subscriptions, "subscription_id")


def _key(subscription: Subscription, order: str) -> str | float:
    match order:
        case "created_at":
            return subscription.created_at
        case "enabled":
            return subscription.enabled
        case "source":
            return f"{subscription.source}"
        case _:
            return subscription.name
