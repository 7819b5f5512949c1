"""Tests parsing and formatting of times and durations."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from builds_async.cli import times
from builds_async.cli.exits import CommandError
from builds_async.cli.times import (
    find_zone,
    format_age,
    format_duration,
    format_time,
    parse_seconds,
    parse_since,
)
from tests.support.case import cases

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@cases(
    ("text", "expected"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("1h30m", NOW - timedelta(hours=1, minutes=30)),
        ("2d", NOW - timedelta(days=2)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("1w2d3h4m5s", NOW - timedelta(days=9, hours=3, minutes=4, seconds=5)),
        (" 0s ", NOW),
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
        ("2026-01-30T08:00:00Z", datetime(2026, 1, 30, 8, tzinfo=UTC)),
        ("2026-01-30T08:00+02:00", datetime(2026, 1, 30, 6, tzinfo=UTC)),
    ],
    ids=str,
)
def test_since(text: str, expected: datetime) -> None:
    """A duration counts back from now; a date or time without a zone is UTC by default."""
    assert parse_since(text, NOW) == expected


def test_since_uses_the_zone() -> None:
    """A time without an offset is in the given zone."""
    assert parse_since("2026-01-31T01:00", NOW, BERLIN) == datetime(2026, 1, 31, tzinfo=UTC)


@cases(
    "text", ["", "10", "-5m", "yesterday", "5m5m", "m", "1y", "9" * 99 + "d", "٣m", "2026-13-01"], ids=ascii
)
def test_invalid_since(text: str) -> None:
    """The error for an invalid time shows valid ones."""
    with pytest.raises(ValueError, match="1h30m"):
        parse_since(text, NOW)


@cases(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 0s"),
        (3599, "59m 59s"),
        (7500, "2h 5m"),
        (10**6, "11d"),
    ],
    ids=str,
)
def test_format_duration(seconds: float, text: str) -> None:
    """A duration has at most two units."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59, "59s"), (599, "9m 59s"), (600, "10m"), (3599, "59m"), (3600, "1h 0m"), (90_000, "1d")],
    ids=str,
)
def test_format_age(seconds: float, text: str) -> None:
    """An age omits seconds from ten minutes on."""
    assert format_age(seconds) == text


def test_format_time() -> None:
    """A time has milliseconds and an offset."""
    assert format_time(NOW, UTC) == "2026-01-31T12:00:00.000Z"
    assert format_time(NOW, BERLIN) == "2026-01-31T13:00:00.000+01:00"


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "Europe", "\0"], ids=ascii)
def test_invalid_zone(name: str) -> None:
    """An unknown time zone is a usage error."""
    with pytest.raises(CommandError, match=r"--timezone: .* is not a time zone"):
        find_zone(name)


def test_without_a_time_zone_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a time zone database, as on Windows, the error names the package to install."""
    monkeypatch.setattr(times, "available_timezones", set)
    monkeypatch.setattr(times, "ZoneInfo", {}.__getitem__)
    with pytest.raises(CommandError, match=r"this machine has no time zone database; install .* tzdata"):
        find_zone("Europe/Berlin")
    assert find_zone("utc") is UTC


ZONES = ["UTC", "Pacific/Kiritimati", "America/Adak", "Etc/GMT+12", "Asia/Kathmandu"]
EDGES = {
    "first": datetime.min.replace(tzinfo=UTC),
    "last": datetime.max.replace(tzinfo=UTC),
    "before the first": datetime.fromisoformat("0001-01-01T00:00:00+14:00"),
    "after the last": datetime.fromisoformat("9999-12-31T23:59:59-14:00"),
    "a naive first": datetime.min,  # noqa: DTZ901
    "a naive last": datetime.max,  # noqa: DTZ901
}


@cases("zone", ZONES)
@cases("edge", EDGES)
def test_edges(edge: str, zone: str) -> None:
    """A time at the edge of the calendar is shown in any zone, or otherwise in its own."""
    moment = EDGES[edge]
    text = format_time(moment, ZoneInfo(zone))
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    assert abs(datetime.fromisoformat(text) - aware).total_seconds() < 0.001


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_naive(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time without a zone is UTC, whatever the zone of the machine."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    naive = datetime(2026, 8, 13, 2, 33)  # noqa: DTZ001
    assert format_time(naive, ZoneInfo(zone)) == format_time(naive.replace(tzinfo=UTC), ZoneInfo(zone))


@cases(
    ("text", "seconds"),
    [("90", 90), ("0.5", 0.5), ("20m", 1200), ("1h30m", 5400), (" 2d ", 172_800), ("1e3", 1000)],
)
def test_seconds(text: str, seconds: float) -> None:
    """A duration is a number of seconds, or has units."""
    assert parse_seconds("--timeout", text) == seconds


@cases("text", ["", "0", "-1", "nan", "inf", "0s", "1m1m", "soon", "9" * 400 + "d"])
def test_invalid_duration(text: str) -> None:
    """An invalid duration, or one that is not above 0, is a usage error that names the option."""
    with pytest.raises(CommandError, match="is not a duration"):
        parse_seconds("--timeout", text)
