"""The protocol between the members of a group and their engine: who follows which Worker, and how far.

A *Worker* here is any key that members divide: a tag, `watch:<tag>`, or `queue:<id>` of `client.events`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from builds_async.live.stores import Saved
from builds_async.session.clock import Clock


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """The heartbeat of a member."""

    member: str
    """The id of the member. A process that joins again gets a new id, a new *incarnation*."""

    name: str = ""
    """The stable name that the ids of all its incarnations begin with; empty for a member without one."""

    lease: float
    """How many seconds the member counts as alive from now on."""

    digest: str
    """A hash of all Workers that it wants: members with the same Workers have the same digest."""

    most: int
    """The maximum number of free Workers to take now."""

    follows: Mapping[str, int] | None
    """The Workers that it follows, with their fences. None: those of `version`."""

    version: int = 0
    """The version of the last response, if the member still follows what it had then; else 0."""

    workers: Sequence[str] | None = None
    """All Workers that it wants, sent by a new member and when the engine asks for them; else None."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The response to a heartbeat: who is alive, and what has changed for this member."""

    members: tuple[str, ...]
    """The members that are alive."""

    excess: int
    """How many Workers it has beyond its fair share; negative if it has fewer."""

    lapse: float
    """Seconds until the lease of another member ends, the earliest of all; 0 if there is no other member."""

    version: int
    """Identifies the Workers that the member has after this heartbeat. Each change makes another version."""

    taken: Mapping[str, int]
    """Workers that the member has from now on, with their fences."""

    gone: frozenset[str]
    """Workers that the member follows but no longer has."""


class Dead(msgspec.Struct, frozen=True):
    """The member's lease has ended in the engine, and other members may have its Workers by now."""

    superseded: bool = False
    """Whether a newer incarnation with the same name has joined."""


class UnknownWorkers(msgspec.Struct, frozen=True):
    """The engine does not know the Workers that the member wants or follows: the next beat must list them."""


class Group(Protocol):
    """One group in an engine. Each method is one atomic call, and raises EngineError without a response.

    A call that is repeated after a lost response counts once.
    """

    clock: Clock
    """Measures leases in this process. It goes on while the machine sleeps."""

    async def open(self) -> bool | None:
        """Check the engine, and return whether its data survives a restart; None if that is unknown.

        ConfigurationError if the engine can't be relied on.
        """
        ...

    async def beat(self, beat: Beat) -> Standing | Dead | UnknownWorkers:
        """Renew the lease, learn what has changed, and take free Workers."""
        ...

    async def load(self, worker: str, fence: int) -> Saved | None:
        """Return what is saved for a Worker, and refuse smaller fences from now on.

        None if a later owner has the Worker.
        """
        ...

    async def save(
        self, worker: str, fence: int, seq: int, position: str, append: Sequence[str | bytes] = ()
    ) -> bool:
        """Save position number `seq`; False if a later owner has the Worker or `seq` is not the next number.

        The first element of `append` is the name of a list. The others are appended to that list in the same
        step.
        """
        ...

    async def release(self, member: str, workers: Mapping[str, int]) -> None:
        """Give up Workers."""
        ...

    async def leave(self, member: str) -> None:
        """Give up all Workers, and leave the group."""
        ...

    async def listen(self, heard: Callable[[], object]) -> None:
        """Call `heard` whenever members or free Workers have changed, until canceled.

        A message may get lost.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
