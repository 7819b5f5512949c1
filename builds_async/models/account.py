"""What the account may do."""

from datetime import datetime

from builds_async.models.base import Model


class AccountLimits(Model, frozen=True, kw_only=True):
    """Whether the account has build minutes left. Both are None on paid plans."""

    has_reached_build_minutes_limit: bool | None = None
    build_minutes_refresh_on: datetime | None = None
