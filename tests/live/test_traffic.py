"""Accounts under load, simulated: no line lags longer behind than the project promises."""

import asyncio

import pytest

from tests.support.scenarios import SCENARIOS, Scenario
from tests.support.traffic import follow

TAILS = [it for it in SCENARIOS if it.reader is not follow]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", TAILS, ids=lambda it: it.name)
def test_lag(scenario: Scenario) -> None:
    """Lines lag no more than the gate on average, each comes once, each build ends once, and no 429 comes."""
    traffic = asyncio.run(scenario.run())
    assert set(traffic.statuses) == {200}
    assert traffic.complete
    assert traffic.ends == {build.build_uuid: 1 for build in traffic.builds}
    assert traffic.mean_lag <= scenario.gate
    assert scenario.first_gate is None or traffic.mean_first_lag <= scenario.first_gate


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_it_is_the_same_every_time() -> None:
    """One load gives the same numbers in each run: they can be compared, and pinned."""
    first, second = [asyncio.run(TAILS[3].run()) for _ in range(2)]
    assert first.lags == second.lags
    assert first.asked == second.asked
