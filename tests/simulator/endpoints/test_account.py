"""The account's build minutes."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from builds_async.simulator import BuildsSimulator, VirtualClock


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (None, (False, "2026-12-01T00:00:00.000Z")),
        ((True, datetime(2026, 11, 30, 12, tzinfo=UTC)), (True, "2026-11-30T12:00:00.000Z")),
        (
            (False, datetime(2026, 12, 1, tzinfo=timezone(timedelta(hours=1)))),
            (False, "2026-11-30T23:00:00.000Z"),
        ),
        ((None, None), (None, None)),
    ],
    ids=["free", "used up", "zone", "paid"],
)
def test_the_limits_are_as_they_were_set(limits: Any, expected: Any, clock: VirtualClock, door: Any) -> None:
    """The limits are as set; the default is a free plan with minutes left, renewed next month."""
    sim = BuildsSimulator(clock=clock, epoch=datetime(2026, 11, 21, tzinfo=UTC))
    if limits is not None:
        sim.set_limits(*limits)
    assert door(sim).result("account/limits") == {
        "has_reached_build_minutes_limit": expected[0],
        "build_minutes_refresh_on": expected[1],
    }
