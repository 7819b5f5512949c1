"""Messages of queues."""

from builds_async.simulator.endpoints.calls import Call, Reply, known
from builds_async.simulator.queues import SimulatedQueue


def pull_messages(call: Call) -> Reply:
    """POST queues/{queue_id}/messages/pull."""
    return Reply(_queue(call).pull(call.request.body))


def ack_messages(call: Call) -> Reply:
    """POST queues/{queue_id}/messages/ack."""
    return Reply(_queue(call).ack(call.request.body))


def extend_messages(call: Call) -> Reply:
    """POST queues/{queue_id}/messages/extend."""
    return Reply(_queue(call).extend(call.request.body))


def _queue(call: Call) -> SimulatedQueue:
    return known(call.state.queues, call.names["queue_id"])
