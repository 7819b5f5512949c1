"""Ids and tokens that a simulated service makes up."""

from random import Random
from uuid import UUID

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class IdGenerator:
    """Ids that look random: the same in the same order for the same seed, new ones for None."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = Random(seed)  # noqa: S311  # nothing to protect
        # A source of their own: other ids must not depend on how many requests were made meanwhile.
        self._rays = Random(seed)  # noqa: S311  # nothing to protect

    def uuid(self) -> str:
        """A version 4 UUID."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def tag(self) -> str:
        """32 hex characters, as accounts and Workers have."""
        return f"{self._random.getrandbits(128):032x}"

    def commit(self) -> str:
        """40 hex characters."""
        return f"{self._random.getrandbits(160):040x}"

    def token(self, prefix: str) -> str:
        """A secret of 40 letters and digits after `prefix`."""
        return prefix + "".join(self._random.choices(_LETTERS, k=40))

    def ray(self) -> str:
        """The id of a request, as in the `cf-ray` header."""
        return f"{self._rays.getrandbits(64):016x}-SIM"
