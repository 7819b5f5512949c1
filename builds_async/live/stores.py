"""Where the positions of a tail or a watch are kept."""

from typing import Any, Protocol

import msgspec


class Saved(msgspec.Struct, frozen=True):
    """What a store has for one Worker."""

    seq: int = 0
    """How many positions were saved for the Worker; 0 if none was."""

    position: str | None = None
    """The last of them, as it was passed to `save`; None if there is none."""


class PositionStore(Protocol):
    """Keeps a position for each Worker: `client.tail(tags, store=...)`.

    `FileStore` and `fleet.RedisStore` are two. Write your own to keep positions where the lines go, and to
    save both in one transaction: `examples/postgres_store.py` takes a table and about 25 lines.

    A store refuses an owner that is too late: it remembers the highest `fence` with which a Worker was
    opened, and a smaller one neither opens nor saves. Fences only grow, and without a fleet the fence is 0.

    Give a store that saves in the transaction of the lines the attribute `only_commit = True`. Then asking
    for the next batch does not save the one before, and a batch that was left without `commit`, because its
    transaction failed, comes again.
    """

    async def open(self, worker: str, fence: int) -> Saved | None:
        """What is saved for a Worker, and from now on refuse smaller fences; None if this one is too small.

        A Worker that is not known yet has an empty `Saved()`.
        """
        ...

    async def save(self, worker: str, fence: int, seq: int, position: str, *args: Any) -> bool:  # noqa: ANN401  # whatever the caller of `commit` passes
        """Save position number `seq` of a Worker; False if it is refused.

        It is refused if the Worker was opened with a higher fence, and if the last position has another
        number than `seq - 1`. A save whose response was lost is repeated: the same `fence` and `seq` again is
        a success that changes nothing.

        `position` is text to be kept as it is. `args` are what was passed to `batch.commit`, such as the
        connection whose transaction also has the lines; without any, the store uses a connection of its own.
        """
        ...
