"""The page that `builds-async dashboard` serves: all Workers of an account, and the log of any build."""

from builds_async.dashboard.server import Dashboard, serving
from builds_async.dashboard.table import workers

__all__ = ["Dashboard", "serving", "workers"]
