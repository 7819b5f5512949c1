"""The account's build minutes."""

from builds_async.simulator.endpoints.calls import Call, Reply


def account_limits(call: Call) -> Reply:
    """GET builds/account/limits."""
    return Reply(call.state.limits())
