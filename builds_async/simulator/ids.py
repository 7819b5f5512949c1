"""Generates the ids and tokens of a simulated service."""

from random import Random
from uuid import UUID

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class IdGenerator:
    """Random-looking ids: repeatable with a seed, new ones for None."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = Random(seed)  # noqa: S311  # nothing to protect
        # Separate, so that other ids do not depend on the number of requests in between.
        self._rays = Random(seed)  # noqa: S311  # nothing to protect

    def uuid(self) -> str:
        """A version 4 UUID."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def tag(self) -> str:
        """The id of an account or a tag of a Worker: 32 hex characters."""
        return f"{self._random.getrandbits(128):032x}"

    def commit(self) -> str:
        """A commit hash: 40 hex characters."""
        return f"{self._random.getrandbits(160):040x}"

    def token(self, prefix: str) -> str:
        """A secret: `prefix` and 40 letters and digits."""
        return prefix + "".join(self._random.choices(_LETTERS, k=40))

    def ray(self) -> str:
        """The id of a request for the `cf-ray` header."""
        return f"{self._rays.getrandbits(64):016x}-SIM"
