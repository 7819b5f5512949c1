"""The account's build minutes."""

from builds_async.simulator.routing import Call, Reply, endpoint


@endpoint("getAccountLimits", "GET", "/builds/account/limits", "builds:read")
def account_limits(call: Call) -> Reply:
    """Whether the build minutes are used up."""
    return Reply(call.account.limits())
