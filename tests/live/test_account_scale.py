"""The promise of the rate budget at the scale of an account, in a simulated hour."""

import pytest

from tests.support.hour import Client, Hour, follow, naive, tail

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("client", "minutes"),
    [pytest.param(follow, 60, id="followers"), pytest.param(tail, 60, id="tail")],
)
async def test_fifty_builds_and_a_thousand_workers(client: Client, minutes: int) -> None:
    """An hour has no 429, delivers every line once and in order, and lags at most 1.25 times the optimum."""
    hour = Hour(seconds=60 * minutes)
    await hour.run(client)
    assert set(hour.statuses) == {200}
    assert hour.complete
    assert hour.mean_lag <= 1.25 * hour.best_lag
    assert hour.clock.now() < hour.seconds + 120


async def test_the_naive_client_is_locked_out() -> None:
    """Without a budget, the same account is blocked most of the time."""
    hour = Hour(seconds=600)
    await hour.run(naive)
    assert hour.statuses[429] > 1000
    assert len(hour.blocked) > 400
    assert hour.mean_lag > 5 * hour.best_lag
