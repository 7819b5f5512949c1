"""Messages in queues."""

from builds_async.simulator.queues import SimulatedQueue
from builds_async.simulator.routing import Call, Reply, endpoint

_MESSAGES = "/queues/{queue_id}/messages"


@endpoint("queues-pull-messages", "POST", f"{_MESSAGES}/pull", "queues:write")
def pull_messages(call: Call) -> Reply:
    """Lease a batch of messages."""
    return Reply(_queue(call).pull(call.request.body))


@endpoint("queues-ack-messages", "POST", f"{_MESSAGES}/ack", "queues:write")
def ack_messages(call: Call) -> Reply:
    """Acknowledge messages, and return others to the queue."""
    return Reply(_queue(call).ack(call.request.body))


@endpoint("queues-extend-messages", "POST", f"{_MESSAGES}/extend", "queues:write")
def extend_messages(call: Call) -> Reply:
    """Extend leases that have not ended."""
    return Reply(_queue(call).extend(call.request.body))


def _queue(call: Call) -> SimulatedQueue:
    return call.find(call.account.queues, "queue_id")
