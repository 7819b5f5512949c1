"""What the members of one group ask of the engine: who follows what, and how far."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from builds_async.live.stores import Saved
from builds_async.session.clock import Clock


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """What a member says of itself."""

    member: str
    """The member: a new name for each incarnation."""

    name: str = ""
    """What all incarnations of the member's name begin with; empty for a member without a name."""

    lease: float
    """For how many seconds it is alive from now on."""

    digest: str
    """Stands for all units that it wants: members with the same units have the same digest."""

    most: int
    """The maximum number of units to take."""

    follows: Mapping[str, int] | None
    """The units that it follows, with their fences. None: those of `version`."""

    version: int = 0
    """The version of the last response, if the member follows what it had then; 0 if not."""

    units: Sequence[str] | None = None
    """All units that it wants: of a new member, and when the engine asks for them."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a member stands, after its beat."""

    members: tuple[str, ...]
    """The members that are alive."""

    excess: int
    """How many units it has beyond its fair share; negative if it has fewer."""

    lapse: float
    """Seconds until the first other member is dead unless it says something; 0 if there is no other."""

    version: int
    """Stands for the units that the member has after this beat. Another one follows each change."""

    taken: Mapping[str, int]
    """Units that are the member's from now on, with their fences."""

    gone: frozenset[str]
    """Units that the member follows and does not have."""


class Dead(msgspec.Struct, frozen=True):
    """The engine took the member for dead, and others may have its units by now."""

    superseded: bool = False
    """Whether another incarnation has its name."""


class UnknownUnits(msgspec.Struct, frozen=True):
    """The engine does not know which units the member wants or follows: it has to say so again."""


class Group(Protocol):
    """One group in an engine. Each method is one call, atomic; EngineError if there was no response.

    A call that was repeated after a lost response counts once.
    """

    clock: Clock
    """Measures leases on this side: it goes on while the machine sleeps."""

    async def open(self) -> bool | None:
        """Check the engine; whether it keeps its data over a restart, None if it does not say.

        ConfigurationError if it can't be relied on.
        """
        ...

    async def beat(self, beat: Beat) -> Standing | Dead | UnknownUnits:
        """Be alive, learn what has changed, and take units that are free."""
        ...

    async def load(self, unit: str, fence: int) -> Saved | None:
        """What is saved of a unit, and no smaller fence from now on; None if a later owner has it."""
        ...

    async def save(
        self, unit: str, fence: int, seq: int, position: str, append: Sequence[str | bytes] = ()
    ) -> bool:
        """Save position number `seq`; False if a later owner has the unit, or another number is next.

        With `append`, its first element is the name of a list, and the others are appended to that list in
        the same step.
        """
        ...

    async def release(self, member: str, units: Mapping[str, int]) -> None:
        """Give up units."""
        ...

    async def leave(self, member: str) -> None:
        """Give up everything, and be a member no longer."""
        ...

    async def listen(self, heard: Callable[[], object]) -> None:
        """Call `heard` whenever members or free units have changed, until cancelled.

        A message may get lost.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
