"""Numbers and dates in whatever form they come: numeric strings, epoch seconds or milliseconds, ISO 8601."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

MAX_DIGITS: Final = 64
"""A number of more digits is neither an id nor a count. Converting it would take quadratic time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The second day of the calendar: every time zone can still show it.
_FIRST_SECOND: Final = (datetime(1, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds()
# A number below this is seconds: the year 5138 at most. From here on it is milliseconds: March 1973 at least.
_SECONDS_END: Final = 100_000_000_000
# Larger numbers than any date or count. Infinity is above it, and NaN is not below it.
_LARGEST: Final = 1e300
_NUMBER: Final = re.compile(rf"\s*[+-]?\d{{1,{MAX_DIGITS}}}(?:\.\d{{0,{MAX_DIGITS}}})?\s*", re.ASCII)
_Value: TypeAlias = Any
"""JSON."""


def moment(number: float) -> datetime:
    """Epoch seconds, or a smaller unit by the size of the number, as an aware datetime in UTC.

    Every number gives a datetime that any time zone can show: a number before the calendar gives its second
    day; infinity and NaN give 1970.
    """
    if not abs(number) < _LARGEST:  # written so that NaN is caught
        return _EPOCH
    seconds = max(number, _FIRST_SECOND)
    while seconds >= _SECONDS_END:  # milliseconds, then microseconds, then nanoseconds
        seconds /= 1000
    return _EPOCH + timedelta(seconds=seconds)


def number_in(text: str) -> int | float | None:
    """The number that a string spells, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def number_of(value: _Value) -> int | float | None:
    """A number, or the number that a string spells, or None. True and False are not numbers."""
    if isinstance(value, str):
        return number_in(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _LARGEST else None


def date_in(text: str) -> datetime | None:
    """The date that a string spells, aware and in UTC where it names no time zone, or None."""
    if (number := number_in(text)) is not None:
        return date_of(number)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def date_of(number: float) -> datetime | None:
    """The date of an epoch number, or None. 0 means "no date" wherever seconds are counted."""
    return moment(number) if 0 < number < _LARGEST else None
