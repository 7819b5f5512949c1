"""What the members of a fleet ask of the engine that they share, and how that fails."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

import msgspec

from builds_async.errors import BuildsConnectionError
from builds_async.session.clock import Clock


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


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a member, and the tokens that it wants. All durations are milliseconds."""

    member: str
    """The name of the member, never used by another one."""

    want: int = 0
    """How many more tokens it wants for single calls."""

    want_polls: int = 0
    """How many more tokens it wants for polls."""

    polling: int = 0
    """Its weight among the members that poll: one, and one for each build; 0 if it does not poll."""

    total: int
    """How many of its requests got their response so far, in its whole life."""

    in_flight: int
    """How many of its requests are on their way."""

    unused: int
    """How many tokens it has that it did not use yet."""

    capacity: int
    """The most requests of all members in a window."""

    window: int
    """The length of the window."""

    session: int
    """For how long the engine keeps what a silent member holds."""

    timeout: int
    """How long a request can take."""

    close: int = 0
    """For how long a 429 closes the gate from now on; 0 if there was none since the last claim."""

    api_left: int = -1
    """How many requests the API lets through, less the reserve, as it said last; -1 if it said nothing."""

    api_left_for: int = 0
    """For how long that is so."""

    history: tuple[tuple[int, int], ...] | None = None
    """Ages and numbers of the last responses, from a member that joins; None from others."""

    leaving: bool = False
    """Whether the member returns everything and leaves."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens granted to a member, and the state of the budget. All durations are milliseconds."""

    known: bool = True
    """False if the engine does not know the member: it did nothing, and the member has to join."""

    tokens: int = 0
    """How many more single calls it may send."""

    polls: int = 0
    """How many more polls it may send."""

    closed: int = 0
    """For how long a 429 still keeps the gate closed."""

    members: int = 1
    """How many members there are."""

    polling: int = 0
    """The sum of the weights of all members that poll."""

    free: int = 0
    """How many requests are left for all of them, after this grant."""

    wait: int = 0
    """How long to wait before the next claim; 0 if everything that was wanted was granted."""

    probing: bool = False
    """Whether this member sends the first request after a 429, for which all others wait."""


class RedisClient(Protocol):
    """A `redis.asyncio.Redis` or a `valkey.asyncio.Valkey`: what is used of it."""

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
    """Where the engine is, for messages: without a password."""

    clock: Clock
    """Measures what a member holds. It must not stand still while the engine's own clock goes on."""

    async def open(self) -> None:
        """Check once that the engine can be relied on: ConfigurationError if not."""
        ...

    async def lease(self, user: str, claim: Claim) -> Grant:
        """Tell the engine of a member, and ask it for tokens."""
        ...

    async def listen_to_closings(self, user: str, heard: Callable[[float], object]) -> None:
        """Call `heard` with the seconds of each closing, until cancelled."""
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...
