"""The build minutes of an account."""

from builds_async.models.base import Model, Moment


class AccountLimits(Model, frozen=True, kw_only=True):
    """The build minutes of an account. Both fields apply to free plans only."""

    has_reached_build_minutes_limit: bool | None = None
    """True when no build minutes are left; None where there is no such limit, as on paid plans."""
    build_minutes_refresh_on: Moment | None = None
    """When the build minutes are refilled; None on paid plans."""
