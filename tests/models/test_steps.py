"""The steps of a build, found in its log."""

import time
from datetime import UTC, datetime

import pytest

from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.logs import LogEvent, LogLine
from builds_async.models.steps import StepFinder
from tests.support.case import cases

T0 = 1_784_052_295
INIT, READY = "Initializing build environment...", "Success: Finished initializing build environment"
CLONE, INSTALL = (
    "Cloning repository...",
    "Installing project dependencies: npm clean-install --progress=false",
)
BUILD, BUILT = "Executing user build command: npm run build", "Success: Build command completed"
DEPLOY, DONE = "Executing user deploy command: npx wrangler deploy", "✨ Success! Build completed."
FAILED = "Failed: error occurred while running build command"

Log = list[tuple[float, str]]
WHOLE: Log = [
    (0, INIT),
    (2, READY),
    (2, CLONE),
    (5, INSTALL),
    (9, BUILD),
    (20, "out"),
    (21, BUILT),
    (21, DEPLOY),
    (25, DONE),
]
STEPS = "initialize 2 success, clone 3 success, install 4 success, build 12 success, deploy 4 success"


def finder_of(log: Log) -> StepFinder:
    finder = StepFinder()
    finder.add(LogLine((T0 + second) * 1000, text) for second, text in log)
    return finder


def at(second: float) -> datetime:
    return datetime.fromtimestamp(T0 + second, UTC)


def ended(outcome: BuildOutcome, second: float | None = None) -> Build:
    stopped = None if second is None else at(second)
    return Build(build_uuid="b", status=BuildStatus.STOPPED, build_outcome=outcome, stopped_on=stopped)


def words(finder: StepFinder, build: Build | None = None) -> str:
    return ", ".join(
        f"{it.name} {'-' if it.duration is None else f'{it.duration:g}'} {it.outcome or 'runs'}"
        for it in finder.steps(build)
    )


@cases(
    ("log", "expected"),
    [
        pytest.param([], "", id="empty"),
        pytest.param([(0, "a"), (1, "b")], "", id="no line of the service"),
        pytest.param(WHOLE, STEPS, id="whole"),
        pytest.param([*WHOLE[:1], *WHOLE], STEPS, id="the first line twice"),
        pytest.param([*WHOLE, *WHOLE], STEPS, id="all lines twice"),
        pytest.param(
            WHOLE[:5], "initialize 2 success, clone 3 success, install 4 success, build - runs", id="runs"
        ),
        pytest.param([(0, BUILD), (4, FAILED)], "build 4 fail", id="only the end, failed"),
        pytest.param(
            [(0, BUILD), (4, FAILED), (6, DEPLOY)], "build 6 success, deploy - runs", id="forged failure"
        ),
        pytest.param([(0, DEPLOY), (1, BUILT), (3, CLONE), (5, DONE)], "deploy 5 success", id="forged lines"),
        pytest.param([(0, CLONE), (3, DEPLOY)], "clone 3 success, deploy - runs", id="missing steps"),
        pytest.param([(9, CLONE), (3, BUILD)], "clone - success, build - runs", id="time goes back"),
        pytest.param([(-T0, CLONE), (3, BUILD)], "clone - success, build - runs", id="a line of 1970"),
        pytest.param(
            [(0, f"\x1b[1m{CLONE}\x1b[0m"), (1, BUILD)], "clone 1 success, build - runs", id="colored"
        ),
        pytest.param([(0, f"echo {CLONE}")], "", id="in the middle of a line"),
        pytest.param(
            [(0, "Executing user non-production deploy command: x")], "deploy - runs", id="deploy of a branch"
        ),
    ],
)
def test_steps(log: Log, expected: str) -> None:
    """Each step occurs at most once and in order, with its duration if that is known."""
    assert words(finder_of(log)) == expected


@cases(
    ("build", "expected"),
    [
        pytest.param(ended(BuildOutcome.FAIL, 12), "build 12 fail", id="fail"),
        pytest.param(ended(BuildOutcome.CANCELLED, 12), "build 12 cancelled", id="cancelled"),
        pytest.param(ended(BuildOutcome.SUCCESS), "build 8 success", id="no date: the last line"),
    ],
)
def test_end(build: Build, expected: str) -> None:
    """A finished build ends its last step with its own outcome."""
    assert words(finder_of([(0, BUILD), (8, "out")]), build) == expected


@cases(
    ("log", "expected"),
    [
        pytest.param(WHOLE, STEPS.replace("initialize 2", "initialize 1.5"), id="more exact"),
        pytest.param([], "initialize 1.5 success", id="no line"),
        pytest.param([(2, CLONE)], "initialize 1.5 success, clone - runs", id="no line of that step"),
    ],
)
def test_events(log: Log, expected: str) -> None:
    """The log's events supply the times of the first step; unknown events change nothing."""
    finder = finder_of(log)
    finder.see([LogEvent(type="initializing", started_on=at(0.25), ended_on=at(1.75)), LogEvent(type="x")])
    finder.see(None)
    assert words(finder) == expected


@pytest.mark.slow
def test_hostile_lines() -> None:
    """Huge lines and many forged lines cost little time and add no step."""
    began = time.process_time()
    finder = finder_of([(0, BUILD), *[(1, " " * 1_000_000)] * 20, *[(1, CLONE), (2, BUILT)] * 20_000])
    assert words(finder) == "build 2 success"
    assert time.process_time() - began < 2
