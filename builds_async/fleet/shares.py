"""The Workers that one verb of a member follows."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from builds_async.errors import BuildsError


class Membership(Protocol):
    """The member of a share, as far as the share uses it."""

    failure: BuildsError | None
    """The error that ended the membership for good."""

    held: dict[str, int]
    """The Workers that the member has, with their fences."""

    leaving: set[str]
    """Those of them that it has to give up, because other members wait for them."""

    @property
    def is_sure(self) -> bool:
        """Whether no other member can have the Workers in `held`."""
        ...

    def update(self) -> None:
        """List all wanted Workers in the next heartbeat: those of a share have changed."""
        ...

    def forget(self, share: "FleetShare") -> None:
        """Remove a share that has ended."""
        ...

    async def give_up(self, keys: Collection[str]) -> None:
        """Release Workers, so that other members can take them."""
        ...


class FleetShare:
    """The `Share` of one verb: the Workers that it wants, and those of them that this member has."""

    def __init__(self, membership: "Membership", keys: Iterable[str], on_change: Callable[[], None]) -> None:
        self._membership = membership
        self._on_change = on_change

        self.keys: set[str] = set(keys)
        """The Workers that the verb wants."""

        self.ended: bool = False
        """Whether the member has left the group."""

        self.version: int = 1
        """Grows with each change."""

    @property
    def is_empty(self) -> bool:
        """Whether the verb wants no Workers."""
        return not self.keys

    def held(self) -> Mapping[str, int]:
        """Those of its Workers that this member has, with their fences.

        Raises the error that ended the membership, if one did.
        """
        if self._membership.failure is not None:
            raise self._membership.failure
        return {key: fence for key, fence in self._membership.held.items() if key in self.keys}

    def wants(self, key: str) -> bool:
        """Whether the verb wants this Worker."""
        return key in self.keys

    def leaving(self) -> Collection[str]:
        """The Workers to give up at the next commit, because other members wait for them."""
        return [key for key in self._membership.leaving if key in self.keys]

    def is_sure(self, key: str) -> bool:
        """Whether this member has the Worker, and no other member can have it now."""
        return key in self._membership.held and self._membership.is_sure

    async def give_up(self, keys: Collection[str]) -> None:
        """Release Workers, so that other members can take them."""
        await self._membership.give_up(keys)

    async def add(self, key: str) -> None:
        """Want another Worker."""
        self.keys.add(key)
        self._membership.update()

    async def remove(self, key: str) -> None:
        """Want a Worker no longer."""
        self.keys.discard(key)
        self._membership.update()
        await self._membership.give_up([key])
        self.changed()

    async def aclose(self) -> None:
        """End the share, and give up all its Workers."""
        self.end()
        self._membership.forget(self)
        await self._membership.give_up(tuple(self.keys))

    def end(self) -> None:
        """Mark the share as ended: the member has left the group."""
        self.ended = True
        self.changed()

    def changed(self) -> None:
        """Notify the verb of a change."""
        self.version += 1
        self._on_change()
