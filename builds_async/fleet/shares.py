"""What one verb of a member follows."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from builds_async.errors import BuildsError


class Membership(Protocol):
    """What a share has to know of its member."""

    failure: BuildsError | None
    """What ended the membership for good."""

    held: dict[str, int]
    """What the member has, with fences."""

    leaving: set[str]
    """What others wait for."""

    @property
    def is_sure(self) -> bool:
        """Whether no other member can have what is held."""
        ...

    def want(self) -> None:
        """The units of a share have changed."""
        ...

    def forget(self, share: "FleetShare") -> None:
        """A share has ended."""
        ...

    async def give_up(self, keys: Collection[str]) -> None:
        """Let others have units."""
        ...


class FleetShare:
    """The part of a fleet's Workers that one verb asks for: the `Share` of that verb."""

    def __init__(self, membership: "Membership", keys: Iterable[str], on_change: Callable[[], None]) -> None:
        self._membership = membership
        self._on_change = on_change

        self.keys: set[str] = set(keys)
        """What is asked for."""

        self.ended: bool = False
        """Whether the member has left."""

        self.version: int = 1
        """Grows with each change."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return not self.keys

    def held(self) -> Mapping[str, int]:
        """What this member has of it, with fences. Raises what ended the membership."""
        if self._membership.failure is not None:
            raise self._membership.failure
        return {key: fence for key, fence in self._membership.held.items() if key in self.keys}

    def wants(self, key: str) -> bool:
        """Whether it is asked for."""
        return key in self.keys

    def leaving(self) -> Collection[str]:
        """What others wait for."""
        return [key for key in self._membership.leaving if key in self.keys]

    def is_sure(self, key: str) -> bool:
        """Whether no other member can have it now."""
        return key in self._membership.held and self._membership.is_sure

    async def give_up(self, keys: Collection[str]) -> None:
        """Let others have it."""
        await self._membership.give_up(keys)

    async def add(self, key: str) -> None:
        """Ask for another one."""
        self.keys.add(key)
        self._membership.want()

    async def remove(self, key: str) -> None:
        """Ask for one no longer."""
        self.keys.discard(key)
        self._membership.want()
        await self._membership.give_up([key])
        self.changed()

    async def aclose(self) -> None:
        """Give up all of it."""
        self.end()
        self._membership.forget(self)
        await self._membership.give_up(tuple(self.keys))

    def end(self) -> None:
        """The member has left."""
        self.ended = True
        self.changed()

    def changed(self) -> None:
        """Tell the verb that something has changed."""
        self.version += 1
        self._on_change()
