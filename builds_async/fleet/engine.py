"""What the members of a fleet ask of the engine that they share, and how that fails."""

import msgspec

from builds_async.errors import BuildsConnectionError


class EngineError(BuildsConnectionError):
    """The shared engine can't be reached, did not respond in time, or can't do its work now.

    The message names the engine without its password. It passes by itself once the engine is back: members
    go on without it meanwhile, and try again.
    """


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says of itself."""

    product: str
    """`Redis` or `Valkey`."""

    version: str
    """Its version, such as `7.0.15`."""

    policy: str
    """Its `maxmemory-policy`; `noeviction` is the one that keeps what it was given."""

    max_memory: int
    """Its `maxmemory` in bytes, 0 for no limit."""

    persistent: bool | None
    """Whether it writes to disk, so that a restart loses little or nothing; None if it does not say."""
