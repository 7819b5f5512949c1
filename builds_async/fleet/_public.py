"""The public names of the fleet: all that `builds_async.fleet` exports."""

from builds_async.errors import LeaseLostError
from builds_async.fleet.engine import EngineError
from builds_async.fleet.fleet import Fleet
from builds_async.fleet.memory import MemoryEngine
from builds_async.fleet.store import RedisStore

__all__ = [
    "EngineError",
    "Fleet",
    "LeaseLostError",
    "MemoryEngine",
    "RedisStore",
]
