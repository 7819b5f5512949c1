"""The protocol between the members of a shared budget and their engine, and the error when it fails."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

import msgspec

from builds_async.errors import BuildsConnectionError
from builds_async.session.clock import Clock


class EngineError(BuildsConnectionError):
    """The shared engine can't be reached, did not respond in time, or can't do its work now.

    The message names the engine without its password. The error is temporary: members keep trying, and
    meanwhile go on without the engine.
    """


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts that an engine reports about itself."""

    product: str
    """`Redis` or `Valkey`."""

    version: str
    """Its version, such as `7.0.15`."""

    policy: str
    """Its `maxmemory-policy`. Only `noeviction` never drops data."""

    max_memory: int
    """Its `maxmemory` in bytes, 0 for no limit."""

    persistent: bool | None
    """Whether it writes to disk, so that a restart loses little or nothing; None if that is unknown."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A member's report, and how many tokens it requests. All durations are milliseconds."""

    member: str
    """The name of the member. No other member ever has the same name."""

    want: int = 0
    """How many more tokens it wants for single calls."""

    want_polls: int = 0
    """How many more tokens it wants for polls."""

    polling: int = 0
    """Its weight among the members that poll: 1, plus 1 for each build; 0 if it does not poll."""

    total: int
    """How many of its requests have ended since the member was started."""

    in_flight: int
    """How many of its requests are in flight."""

    unused: int
    """How many of its tokens it has not used yet."""

    capacity: int
    """The most requests of all members in a window."""

    window: int
    """The length of the window."""

    session: int
    """How long the engine keeps the tokens of a member that sends no claim."""

    timeout: int
    """How long a request can take."""

    close: int = 0
    """How long the gate stays closed because of a 429; 0 if there was none since the last claim."""

    api_left: int = -1
    """How many requests are left by the API's last headers, minus the reserve; -1 without new headers."""

    api_left_for: int = 0
    """How long `api_left` holds: until the API resets its limit."""

    history: tuple[tuple[int, int], ...] | None = None
    """Pairs of an age and the number of requests that ended then, from a member that joins; else None."""

    leaving: bool = False
    """Whether the member gives back its tokens and leaves."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens granted to a member, and the state of the budget. All durations are milliseconds."""

    known: bool = True
    """False if the engine does not know the member. Then nothing was changed, and the member has to join."""

    tokens: int = 0
    """How many more single calls it may send."""

    polls: int = 0
    """How many more polls it may send."""

    closed: int = 0
    """How long a 429 still keeps the gate closed."""

    members: int = 1
    """How many members there are."""

    polling: int = 0
    """The sum of the weights of all members that poll."""

    free: int = 0
    """How many requests are left for all members after this grant."""

    wait: int = 0
    """How long to wait before the next claim; 0 if all requested tokens were granted."""

    probing: bool = False
    """Whether this member sends the first request after a 429. All other members wait for its response."""


class RedisClient(Protocol):
    """The methods that we use of a `redis.asyncio.Redis` or a `valkey.asyncio.Valkey`."""

    def execute_command(self, *args: Any, **options: Any) -> Awaitable[Any]:  # noqa: ANN401  # as theirs
        """Send a command."""
        ...

    def pubsub(self, **options: Any) -> Any:  # noqa: ANN401  # one of the client's own classes
        """Subscribe to channels."""
        ...


@runtime_checkable
class BudgetEngine(Protocol):
    """The engine of a `SharedBudget`. Every call may raise `EngineError` or `ConfigurationError`."""

    name: str
    """The address of the engine for messages, without a password."""

    clock: Clock
    """Measures how long tokens are valid. It must not stand still while the engine's own clock goes on."""

    async def open(self) -> None:
        """Check once that the engine can be relied on; ConfigurationError if it can't."""
        ...

    async def lease(self, user: str, claim: Claim) -> Grant:
        """Report the state of a member to the engine, and request tokens."""
        ...

    async def listen_to_closings(self, user: str, heard: Callable[[float], object]) -> None:
        """Call `heard` with the seconds for which a 429 closes the gate, until canceled."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
