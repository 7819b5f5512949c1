"""The delay of lines under simulated load, against the bounds that the tests enforce."""

from tests.benchmarks.table import show
from tests.support.scenarios import SCENARIOS, Scenario

_HEAD = ("", "mean lag", "aim", "gate", "first line", "first aim", "first gate", "requests", "429", "verdict")


async def run(*, quick: bool) -> None:
    """Measure and print."""
    scenarios = SCENARIOS[2:4] if quick else SCENARIOS
    show(
        "Lines of an account under load, simulated: 1,200 requests per 300 s, one tail unless said otherwise",
        _HEAD,
        [await _row(it) for it in scenarios],
        "From the writing of a line to its delivery. In each case every line has to come once and in order.",
    )


async def _row(scenario: Scenario) -> tuple[str, ...]:
    traffic = await scenario.run()
    lag, first = traffic.mean_lag, traffic.mean_first_lag
    bounds = [(lag, scenario.aim, scenario.gate)]
    if scenario.first_aim is not None and scenario.first_gate is not None:
        bounds.append((first, scenario.first_aim, scenario.first_gate))
    if traffic.statuses[429] or not traffic.complete or any(it > gate for it, _, gate in bounds):
        verdict = "not met"
    elif any(it > aim for it, aim, _ in bounds):
        verdict = "within the gate"
    else:
        verdict = "met"
    return (
        scenario.name,
        f"{lag:.1f} s",
        f"{scenario.aim:g} s",
        f"{scenario.gate:g} s",
        f"{first:.1f} s",
        "" if scenario.first_aim is None else f"{scenario.first_aim:g} s",
        "" if scenario.first_gate is None else f"{scenario.first_gate:g} s",
        f"{traffic.statuses.total():,}",
        f"{traffic.statuses[429]}",
        verdict,
    )
