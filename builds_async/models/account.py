"""What the account may do."""

from builds_async.models.base import Model, Moment


class AccountLimits(Model, frozen=True, kw_only=True):
    """Whether the account has build minutes left. Both are None on paid plans."""

    has_reached_build_minutes_limit: bool | None = None
    build_minutes_refresh_on: Moment | None = None
