"""The protocol of a store, which keeps the positions of a tail or a watch."""

from typing import Any, Protocol

import msgspec


class Saved(msgspec.Struct, frozen=True):
    """The state that a store has for one Worker."""

    seq: int = 0
    """How many positions were saved for the Worker; 0 if none was."""

    position: str | None = None
    """The last position, as it was passed to `save`; None if there is none."""


class PositionStore(Protocol):
    """Keeps a position for each Worker: `client.tail(tags, store=...)`.

    `FileStore` and `fleet.RedisStore` are two. Write your own to keep positions in the database that has the
    lines, and to save both in one transaction: `examples/postgres_store.py` needs a table and about 25 lines.

    A store refuses an owner that is too late. It remembers the highest `fence` with which a Worker was
    opened, and refuses to open or save with a smaller one. Fences only grow. Without a fleet the fence is 0.

    A store that saves in the transaction of the lines should have the attribute `only_commit = True`. Then
    requesting the next batch saves nothing, and a batch without a `commit`, because its transaction failed,
    comes again.
    """

    async def open(self, worker: str, fence: int) -> Saved | None:
        """Return what is saved for a Worker, and refuse smaller fences from now on.

        None if this fence is too small. A Worker without a position has an empty `Saved()`.
        """
        ...

    async def save(self, worker: str, fence: int, seq: int, position: str, *args: Any) -> bool:  # noqa: ANN401  # whatever the caller of `commit` passes
        """Save position number `seq` of a Worker; False if it is refused.

        It is refused if the Worker was opened with a higher fence, or if the number of the last position is
        not `seq - 1`. A save whose response was lost is repeated, so a second save with the same `fence` and
        `seq` is a success that changes nothing.

        `position` is text that is kept unchanged. `args` are the arguments of `batch.commit`, such as the
        connection whose transaction also has the lines. Without them, the store uses its own connection.
        """
        ...
