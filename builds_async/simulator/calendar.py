"""Dates for the seconds of a clock, in the formats of the API and of HTTP."""

from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from builds_async.session.clock import Clock


class Calendar:
    """Converts moments of a clock to dates. `epoch` is the date of the moment at which it is created."""

    def __init__(self, clock: Clock, epoch: datetime | None = None) -> None:
        self.clock = clock
        self._offset = (epoch or datetime.now(UTC)).timestamp() - clock.now()

    def now(self) -> float:
        """The clock's seconds."""
        return self.clock.now()

    def milliseconds(self, moment: float) -> int:
        """A moment of the clock as milliseconds since 1970."""
        return round((moment + self._offset) * 1000)

    def api_date(self, moment: float | None) -> str | None:
        """A moment in the API's date format, for example `2026-08-13T02:33:54.080Z`; None stays None."""
        if moment is None:
            return None
        return _date_text(self.milliseconds(moment))

    def workers_date(self, moment: float) -> str:
        """A moment in the Workers API's date format, for example `2026-01-25T18:00:10.112994Z`."""
        return f"{self.date(moment):%Y-%m-%dT%H:%M:%S.%f}Z"

    def date(self, moment: float) -> datetime:
        """A moment of the clock as a datetime."""
        return datetime.fromtimestamp(moment + self._offset, UTC)

    def http_date(self, moment: float) -> str:
        """A moment in the date format of HTTP headers, in whole seconds."""
        return format_datetime(datetime.fromtimestamp(int(moment + self._offset), UTC), usegmt=True)


# A list of builds repeats a few dates hundreds of times, and strftime is most of the cost of rendering it.
@lru_cache(maxsize=4096)
def _date_text(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
