"""The public names of the fleet: all that `builds_async.fleet` exports."""

from builds_async.fleet.budget import SharedBudget, SharedSnapshot
from builds_async.fleet.engine import EngineError

__all__ = [
    "EngineError",
    "SharedBudget",
    "SharedSnapshot",
]
