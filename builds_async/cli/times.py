"""Parses and formats times and durations for people."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from math import inf
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from builds_async.cli.exits import CommandError

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "w": "weeks"}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])", re.ASCII)


def parse_since(text: str, now: datetime, zone: tzinfo | None = UTC) -> datetime:
    """Parse `10m`, `1h30m` or `2d` (ago), or an ISO date or time (in `zone`); else ValueError.

    The zone None is the local one.
    """
    text = text.strip()
    try:
        if _DURATION.fullmatch(text):
            return now - _duration(text)
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time: write 10m, 1h30m, 2d, 2026-01-31 or 2026-01-31T12:00Z"
        ) from None
    if time.tzinfo is not None:
        return time
    return time.replace(tzinfo=zone) if zone is not None else time.astimezone()


def parse_seconds(option: str, text: str) -> float:
    """Parse a duration such as `90` (seconds), `20m` or `1h30m`; CommandError that names the option."""
    text = text.strip()
    with suppress(ValueError, OverflowError):
        seconds = _duration(text).total_seconds() if _DURATION.fullmatch(text) else float(text)
        if 0 < seconds < inf:
            return seconds
    raise CommandError(f"{option}: {text!r} is not a duration: write seconds, or 20m, or 1h30m")


def _duration(text: str) -> timedelta:
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if len(set(units)) < len(units):
        raise ValueError("a unit is repeated")
    return timedelta(**{_UNITS[unit]: float(number) for number, unit in parts})


def find_zone(name: str) -> tzinfo:
    """The time zone with this IANA name; CommandError if it or the time zone database is missing."""
    try:
        return UTC if name.upper() in {"UTC", "Z"} else ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ValueError: a path; OSError: a directory; KeyError: unknown
        if not available_timezones():
            raise CommandError(
                f"--timezone: can't look up {name!r}: this machine has no time zone database;"
                " install the package tzdata (pip install tzdata), or use UTC"
            ) from None
        raise CommandError(
            f"--timezone: {name!r} is not a time zone: write UTC, Europe/Berlin, ..."
        ) from None


def format_clock(time: datetime, zone: tzinfo | None) -> str:
    """The time of day, `12:00:00`, in the zone or, with None, in the local one."""
    return f"{_in_zone(time, zone):%H:%M:%S}"


def format_time(time: datetime, zone: tzinfo | None) -> str:
    """A time to the millisecond, with its offset: `2026-01-31T12:00:00.000Z`. The zone None is the local one.

    A time without a zone is UTC. One at the edge of the calendar that `zone` can't show keeps its own zone.
    """
    time = _in_zone(time, zone)
    text = time.isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _in_zone(time: datetime, zone: tzinfo | None) -> datetime:
    time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    with suppress(OverflowError, ValueError, OSError):  # outside of the years that the system's clock knows
        time = time.astimezone(zone)
    return time


def format_duration(seconds: float) -> str:
    """A duration in at most two units: `45s`, `3m 20s`, `2h 5m`, `12d`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d"


def format_age(seconds: float) -> str:
    """The duration without its seconds from ten minutes on: `9m 5s`, `41m`, `2h 5m`."""
    text = format_duration(seconds)
    return text.partition(" ")[0] if 600 <= round(seconds) < 3600 else text
