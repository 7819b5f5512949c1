"""The protocols by which several processes divide Workers among themselves."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from builds_async.live.stores import PositionStore


class Share(Protocol):
    """Those Workers of one verb that this process follows. They change over time."""

    ended: bool
    """Whether this process has left the fleet: nothing more will be held."""

    version: int
    """Grows with each change of the methods' results."""

    @property
    def is_empty(self) -> bool:
        """Whether the verb wants no Workers."""
        ...

    def held(self) -> Mapping[str, int]:
        """The keys of the Workers that this process follows now, each with its fence."""
        ...

    def wants(self, key: str) -> bool:
        """Whether the verb wants this Worker."""
        ...

    def leaving(self) -> Collection[str]:
        """The held Workers that another process waits for: give them up at the next commit."""
        ...

    def is_sure(self, key: str) -> bool:
        """Whether this process holds the Worker, and no other process can hold it now."""
        ...

    async def give_up(self, keys: Collection[str]) -> None:
        """Let others follow these Workers. Call it after their positions were saved."""
        ...

    async def add(self, key: str) -> None:
        """Take part in following another Worker."""
        ...

    async def remove(self, key: str) -> None:
        """Follow a Worker no longer; others still do."""
        ...

    async def aclose(self) -> None:
        """Give up all held Workers. Calling it again does nothing."""
        ...


class Ownership(Protocol):
    """Divides Workers among processes. `fleet.Fleet` is one, over Redis."""

    @property
    def store(self) -> PositionStore:
        """The store that keeps positions unless the caller passes one."""
        ...

    def share(self, keys: Iterable[str], on_change: Callable[[], None]) -> Share:
        """Take part in following these Workers; `on_change` is called when `version` has grown."""
        ...


class Alone:
    """The `Share` of a process that follows all Workers by itself."""

    ended: bool = False
    """Never: there is no fleet that it could leave."""

    def __init__(self, keys: Iterable[str], on_change: Callable[[], None]) -> None:
        self._held = dict.fromkeys(keys, 0)
        self._on_change = on_change

        self.version: int = 1
        """Grows with each change of the methods' results."""

    @property
    def is_empty(self) -> bool:
        """Whether there are no Workers."""
        return not self._held

    def held(self) -> Mapping[str, int]:
        """All Workers, with the fence 0."""
        return self._held

    def wants(self, key: str) -> bool:
        """Whether it is followed."""
        return key in self._held

    def leaving(self) -> Collection[str]:
        """No Workers: no other process waits for them."""
        return ()

    def is_sure(self, key: str) -> bool:
        """True for each Worker that is held."""
        return key in self._held

    async def give_up(self, keys: Collection[str]) -> None:
        """Follow these Workers no longer."""
        for key in keys:
            await self.remove(key)

    async def add(self, key: str) -> None:
        """Follow another Worker."""
        self._held.setdefault(key, 0)
        self._changed()

    async def remove(self, key: str) -> None:
        """Follow a Worker no longer."""
        self._held.pop(key, None)
        self._changed()

    async def aclose(self) -> None:
        """Do nothing: no other process takes over."""

    def _changed(self) -> None:
        self.version += 1
        self._on_change()
