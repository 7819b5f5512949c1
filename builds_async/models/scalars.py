"""Reads numbers and dates in any form: numeric strings, epoch seconds or milliseconds, ISO 8601."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

MAX_DIGITS: Final = 64
"""The maximum number of digits of an id or count. Converting longer numbers would take quadratic time."""

SECONDS_END: Final = 100_000_000_000
"""A smaller epoch number is in seconds (up to the year 5138), others in milliseconds (from March 1973)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The second day of the calendar. In time zones west of UTC, the first one begins before the calendar.
_FIRST_SECOND: Final = (datetime(1, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds()
# Larger than any date or count. Infinity is above it, and NaN is not below it.
_LARGEST: Final = 1e300
_NUMBER: Final = re.compile(rf"\s*[+-]?\d{{1,{MAX_DIGITS}}}(?:\.\d{{0,{MAX_DIGITS}}})?\s*", re.ASCII)
_Value: TypeAlias = Any
"""JSON."""


def moment(number: float) -> datetime:
    """An epoch number as an aware datetime in UTC. Larger numbers count milliseconds or a smaller unit.

    Every number results in a datetime that is valid in any time zone. A number before the first date of the
    calendar becomes its second day; infinity and NaN become 1970.
    """
    if not abs(number) < _LARGEST:  # not `>=`, which would be False for NaN
        return _EPOCH
    seconds = max(number, _FIRST_SECOND)
    while seconds >= SECONDS_END:  # milliseconds, then microseconds, then nanoseconds
        seconds /= 1000
    return _EPOCH + timedelta(seconds=seconds)


def number_in(text: str) -> int | float | None:
    """The number in a string, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def number_of(value: _Value) -> int | float | None:
    """A number, or the number in a string, or None. True and False are not numbers."""
    if isinstance(value, str):
        return number_in(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _LARGEST else None


def date_in(text: str) -> datetime | None:
    """The date in a string, aware, in UTC if it has no time zone; None if there is no date."""
    if (number := number_in(text)) is not None:
        return date_of(number)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def date_of(number: float) -> datetime | None:
    """The date of an epoch number, or None. By convention 0 means "no date"."""
    return moment(number) if 0 < number < _LARGEST else None
