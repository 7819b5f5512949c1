"""Simulated accounts under load keep the lag of lines within the project's promise."""

import asyncio

import pytest

from tests.support.scenarios import SCENARIOS, Scenario
from tests.support.traffic import follow

TAILS = [it for it in SCENARIOS if it.reader is not follow]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", TAILS, ids=lambda it: it.name)
def test_lag(scenario: Scenario) -> None:
    """The average lag stays within the gate, each line and end is delivered once, and no 429 occurs."""
    traffic = asyncio.run(scenario.run())
    assert set(traffic.statuses) == {200}
    assert traffic.complete
    assert traffic.ends == {build.build_uuid: 1 for build in traffic.builds}
    assert traffic.mean_lag <= scenario.gate
    assert scenario.first_gate is None or traffic.mean_first_lag <= scenario.first_gate


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_runs_are_reproducible() -> None:
    """One load yields the same numbers in each run, so that they can be compared and pinned."""
    first, second = [asyncio.run(TAILS[3].run()) for _ in range(2)]
    assert first.lags == second.lags
    assert first.asked == second.asked
