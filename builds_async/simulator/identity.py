"""What a simulated service makes up: ids, tokens, and dates for the seconds of its clock."""

from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from random import Random
from typing import Final
from uuid import UUID

from builds_async.session.clock import Clock

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Identities:
    """Ids that look random: the same ones in the same order for the same seed, fresh ones for None."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = Random(seed)  # noqa: S311  # nothing to protect
        self._rays = Random(seed)  # noqa: S311  # apart: ids must not depend on the number of requests

    def uuid(self) -> str:
        """A version 4 UUID."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def tag(self) -> str:
        """32 hex characters, as of accounts and Workers."""
        return f"{self._random.getrandbits(128):032x}"

    def commit(self) -> str:
        """40 hex characters."""
        return f"{self._random.getrandbits(160):040x}"

    def token(self, prefix: str) -> str:
        """A secret of 40 letters and digits behind `prefix`."""
        return prefix + "".join(self._random.choices(_LETTERS, k=40))

    def ray(self) -> str:
        """The id of a request, as in the `cf-ray` header."""
        return f"{self._rays.getrandbits(64):016x}-SIM"


class Calendar:
    """Puts dates to the seconds of a clock: `epoch` is the date of the moment at which this was made."""

    def __init__(self, clock: Clock, epoch: datetime | None = None) -> None:
        self.clock = clock
        self._offset = (epoch or datetime.now(UTC)).timestamp() - clock.now()

    def now(self) -> float:
        """The clock's seconds."""
        return self.clock.now()

    def milliseconds(self, moment: float) -> int:
        """Milliseconds since 1970 of a moment on the clock."""
        return round((moment + self._offset) * 1000)

    def stamp(self, moment: float | None) -> str | None:
        """A moment as the API writes dates, for example `2026-08-13T02:33:54.080Z`; None stays None."""
        if moment is None:
            return None
        return _api_date(self.milliseconds(moment))

    def microstamp(self, moment: float) -> str:
        """A moment as the Workers API writes dates, for example `2026-01-25T18:00:10.112994Z`."""
        return f"{self.date(moment):%Y-%m-%dT%H:%M:%S.%f}Z"

    def date(self, moment: float) -> datetime:
        """The date of a moment on the clock."""
        return datetime.fromtimestamp(moment + self._offset, UTC)

    def http_date(self, moment: float) -> str:
        """A moment as HTTP headers write dates, in whole seconds."""
        return format_datetime(datetime.fromtimestamp(int(moment + self._offset), UTC), usegmt=True)


@lru_cache(maxsize=4096)
def _api_date(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
