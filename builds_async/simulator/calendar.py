"""Dates for the seconds of a clock, in the formats of the API and of HTTP."""

from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from builds_async.session.clock import Clock


class Calendar:
    """Dates of a clock's moments. `epoch` is the date of the moment at which the calendar was made."""

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


# A list of builds repeats a few dates hundreds of times, and strftime is most of the cost of showing them.
@lru_cache(maxsize=4096)
def _api_date(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
