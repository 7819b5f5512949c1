"""The public names of the fleet: all that `builds_async.fleet` exports."""

from builds_async.errors import LeaseLostError
from builds_async.fleet.budget import SharedBudget, SharedSnapshot
from builds_async.fleet.engine import EngineError
from builds_async.fleet.examine import diagnose_engine
from builds_async.fleet.fleet import Fleet
from builds_async.fleet.store import RedisStore

__all__ = [
    "EngineError",
    "Fleet",
    "LeaseLostError",
    "RedisStore",
    "SharedBudget",
    "SharedSnapshot",
    "diagnose_engine",
]
