"""Moments as people read them, up to the edges of the calendar."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from builds_async.cli.times import stamp

ZONES = ["UTC", "Pacific/Kiritimati", "America/Adak", "Etc/GMT+12", "Asia/Kathmandu"]
EDGES = {
    "first": datetime.min.replace(tzinfo=UTC),
    "last": datetime.max.replace(tzinfo=UTC),
    "before the first": datetime.fromisoformat("0001-01-01T00:00:00+14:00"),
    "behind the last": datetime.fromisoformat("9999-12-31T23:59:59-14:00"),
    "a naive first": datetime.min,  # noqa: DTZ901
    "a naive last": datetime.max,  # noqa: DTZ901
}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("edge", EDGES)
def test_edges(edge: str, zone: str) -> None:
    """A moment at the edge of the calendar is shown in every zone, at worst in its own."""
    moment = EDGES[edge]
    text = stamp(moment, ZoneInfo(zone))
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    assert abs(datetime.fromisoformat(text) - aware).total_seconds() < 0.001


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_naive(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment without a zone is UTC, wherever the machine is."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    naive = datetime(2026, 8, 13, 2, 33)  # noqa: DTZ001
    assert stamp(naive, ZoneInfo(zone)) == stamp(naive.replace(tzinfo=UTC), ZoneInfo(zone))
