"""Event subscriptions of queues."""

from typing import Final

import msgspec

from builds_async.simulator.endpoints.calls import Call, Reply, choice, known, paged, read
from builds_async.simulator.endpoints.requests import EventSource, NewSubscription, SubscriptionChange
from builds_async.simulator.records import Json, Subscription
from builds_async.simulator.refusals import AlreadySubscribedError, UnknownError
from builds_async.simulator.shapes import subscription_body

_MAX_PER_PAGE: Final = 100


def list_subscriptions(call: Call) -> Reply:
    """GET event_subscriptions/subscriptions."""
    order = choice(call, "order", ("name", "created_at", "enabled", "source"))
    descending = choice(call, "direction", ("asc", "desc")) == "desc"
    found = sorted(
        call.state.registry.subscriptions.values(), key=lambda it: _key(it, order), reverse=descending
    )
    return paged(call, found, lambda it: _body(call, it), default=20, largest=_MAX_PER_PAGE)


def create_subscription(call: Call) -> Reply:
    """POST event_subscriptions/subscriptions."""
    asked, registry = read(call, NewSubscription), call.state.registry
    known(call.state.queues, asked.destination.queue_id)
    _check_source(call, asked.source)
    source = asked.source.sent()
    if any(it.source == source for it in registry.subscriptions.values()):
        raise AlreadySubscribedError
    _settle(call)
    subscription = registry.subscribe(
        asked.name, source, asked.destination.queue_id, asked.events, enabled=asked.enabled
    )
    return Reply(_body(call, subscription))


def get_subscription(call: Call) -> Reply:
    """GET event_subscriptions/subscriptions/{subscription_id}."""
    return Reply(_body(call, _subscription(call)))


def update_subscription(call: Call) -> Reply:
    """PATCH event_subscriptions/subscriptions/{subscription_id}."""
    subscription, change = _subscription(call), read(call, SubscriptionChange)
    sent = change.sent()
    if "destination" in sent:
        known(call.state.queues, sent["destination"].queue_id)
        sent["destination"] = msgspec.to_builtins(sent["destination"])
    _settle(call)
    for name, value in sent.items():
        setattr(subscription, name, value)
    subscription.modified = call.now
    return Reply(_body(call, subscription))


def delete_subscription(call: Call) -> Reply:
    """DELETE event_subscriptions/subscriptions/{subscription_id}."""
    subscription = _subscription(call)
    _settle(call)
    del call.state.registry.subscriptions[subscription.id]
    return Reply(_body(call, subscription))


def _settle(call: Call) -> None:
    for queue in call.state.queues.values():
        queue.settle()


def _check_source(call: Call, source: EventSource) -> None:
    named = source.sent()
    if named.get("worker_name", "") not in {"", *call.state.workers}:
        raise UnknownError
    if named.get("script_tag", "") not in {"", *call.state.scripts}:
        raise UnknownError


def _subscription(call: Call) -> Subscription:
    return known(call.state.registry.subscriptions, call.names["subscription_id"])


def _body(call: Call, subscription: Subscription) -> Json:
    return subscription_body(call.state.calendar, subscription)


def _key(subscription: Subscription, order: str) -> str | float:
    match order:
        case "created_at":
            return subscription.created
        case "enabled":
            return subscription.enabled
        case "source":
            return f"{subscription.source}"
        case _:
            return subscription.name
