"""A single build: its script, and manual control."""

import pytest

from builds_async.models import BuildOutcome, BuildStatus
from builds_async.simulator import Behavior, BuildsSimulator, SimulatedBuild, VirtualClock, build_script


def texts(build: SimulatedBuild) -> list[str]:
    """The messages of the whole log."""
    return [line.message for line in build.lines]


async def test_a_script_happens_at_its_moments(clock: VirtualClock) -> None:
    """Each moment of a script is visible from its second on."""
    build = BuildsSimulator(clock=clock).add_build(
        [
            (1, BuildStatus.INITIALIZING),
            (2, BuildStatus.RUNNING),
            (2, "one"),
            (2, "two"),
            (3, BuildStatus.STOPPED),
            (5, BuildOutcome.FAIL),
        ]
    )
    seen = []
    for _ in range(6):
        seen.append((str(build.status), build.outcome, texts(build)))
        await clock.sleep(1.0)
    both = ["one", "two"]
    assert seen == [
        ("queued", None, []),
        ("initializing", None, []),
        ("running", None, both),
        ("stopped", None, both),
        ("stopped", None, both),
        ("stopped", "fail", both),
    ]


async def test_a_script_needs_no_order(clock: VirtualClock) -> None:
    """A script's moments are sorted by time, and equal times keep the given order."""
    build = BuildsSimulator(clock=clock).add_build([(2, "c"), (1, "a"), (1, "b"), (2, "d")])
    await clock.sleep(2.0)
    assert texts(build) == ["a", "b", "c", "d"]


async def test_an_outcome_stops_a_build_that_still_runs(clock: VirtualClock) -> None:
    """An outcome stops a build that still runs."""
    build = BuildsSimulator(clock=clock).add_build([(1, "line"), (2, BuildOutcome.SUCCESS)])
    await clock.sleep(1.0)
    assert str(build.status) == "running"
    await clock.sleep(1.0)
    assert (build.status, build.outcome) == (BuildStatus.STOPPED, BuildOutcome.SUCCESS)


async def test_a_build_driven_by_hand_shows_each_step(clock: VirtualClock) -> None:
    """Manual steps take effect at once, at the clock's time."""
    build = BuildsSimulator(clock=clock).add_build()
    assert str(build.status) == "queued"
    build.emit("first", "second")
    assert str(build.status) == "running"
    await clock.sleep(1.5)
    build.emit("third")
    build.finish(BuildOutcome.FAIL)
    first, _, third = build.lines
    assert third.timestamp - first.timestamp == 1500
    assert texts(build) == ["first", "second", "third"]
    assert (build.status, build.outcome) == (BuildStatus.STOPPED, BuildOutcome.FAIL)
    assert build.entered(BuildStatus.STOPPED) == 1.5


async def test_an_outcome_may_come_after_the_end(clock: VirtualClock) -> None:
    """An outcome may follow the stop of a build."""
    build = BuildsSimulator(clock=clock).add_build()
    build.finish(None)
    await clock.sleep(1.0)
    assert (build.status, build.outcome) == (BuildStatus.STOPPED, None)
    build.finish(BuildOutcome.TERMINATED)
    assert build.outcome == BuildOutcome.TERMINATED
    assert build.entered(BuildStatus.STOPPED) == 0.0


async def test_canceling_ends_the_script(clock: VirtualClock) -> None:
    """Canceling drops the rest of the script, and a second cancellation has no effect."""
    build = BuildsSimulator(clock=clock).add_build([(0, "before"), (2, "after"), (3, BuildOutcome.SUCCESS)])
    await clock.sleep(1.0)
    assert build.cancel()
    await clock.sleep(10.0)
    assert not build.cancel()
    assert (texts(build), build.outcome) == (["before"], BuildOutcome.CANCELLED)
    assert build.entered(BuildStatus.STOPPED) == 1.0


async def test_unknown_status_words_can_be_played(clock: VirtualClock) -> None:
    """A script may have status words that no client knows."""
    build = BuildsSimulator(clock=clock).add_build([(0, BuildStatus("paused"))])
    assert build.status == "paused"


async def test_escape_sequences_can_be_stripped(clock: VirtualClock) -> None:
    """A switch strips escape sequences."""
    kept, stripped = (
        BuildsSimulator(clock=clock, behavior=Behavior(ansi_codes=how)).add_build([(0, "\x1b[31mred\x1b[0m")])
        for how in ("kept", "stripped")
    )
    assert (texts(kept), texts(stripped)) == (["\x1b[31mred\x1b[0m"], ["red"])


async def test_a_typical_build_goes_through_all_statuses(clock: VirtualClock) -> None:
    """A typical build is queued, initializing, running and stopped, and then has its outcome."""
    script = build_script(10, rate=2.0, queued=3.0, initializing=4.0, outcome_after=1.5)
    build = BuildsSimulator(clock=clock).add_build(script)
    seen = [(clock.now(), str(build.status))]
    while build.outcome is None:
        await clock.sleep(0.5)
        if seen[-1][1] != build.status:
            seen.append((clock.now(), str(build.status)))
    assert seen == [(0.0, "queued"), (3.0, "initializing"), (7.0, "running"), (12.5, "stopped")]
    assert (clock.now(), build.outcome) == (14.0, "success")
    assert [text for text in texts(build) if text.startswith("line")][-1] == "line 10 of 10"
    assert texts(build)[-1].endswith("Success! Build completed.")


async def test_a_typical_log_has_equal_neighbors_of_one_millisecond(clock: VirtualClock) -> None:
    """A typical log has equal neighbors in the same millisecond, so that deduplication would lose lines."""
    build = BuildsSimulator(clock=clock).add_build(build_script(["x", "x"], rate=10_000.0))
    await clock.sleep(60.0)
    pairs = list(zip(build.lines, build.lines[1:], strict=False))
    assert sum(first == second for first, second in pairs) >= 2


async def test_a_typical_failure_ends_with_the_last_line_of_the_service(clock: VirtualClock) -> None:
    """A typical failure has its cause before the service's last line."""
    build = BuildsSimulator(clock=clock).add_build(build_script(1, outcome=BuildOutcome.FAIL))
    await clock.sleep(60.0)
    assert texts(build)[-1] == "Failed: error occurred while running build command"
    assert any("[ERROR]" in text for text in texts(build))
    assert build.outcome == BuildOutcome.FAIL


async def test_a_skipped_build_has_no_log(clock: VirtualClock) -> None:
    """A skipped build goes from queued to its end without a log."""
    build = BuildsSimulator(clock=clock).add_build(build_script(outcome=BuildOutcome.SKIPPED))
    await clock.sleep(60.0)
    assert (build.lines, build.outcome, build.begun) == ((), "skipped", False)


async def test_a_finished_build_is_in_the_past(clock: VirtualClock) -> None:
    """A finished build stopped an hour ago and has exactly the given lines, in order of time."""
    build = BuildsSimulator(clock=clock).add_finished_build(["a", "", "", "b"], BuildOutcome.FAIL)
    assert texts(build) == ["a", "", "", "b"]
    assert (build.created, build.entered(BuildStatus.STOPPED)) == (-3660.0, -3600.0)
    assert (build.outcome, build.status) == ("fail", "stopped")
    stamps = [line.timestamp for line in build.lines]
    assert stamps == sorted(stamps)


@pytest.mark.slow
async def test_a_finished_build_can_have_many_lines_or_none(clock: VirtualClock) -> None:
    """A finished build given a number has that many numbered lines."""
    sim = BuildsSimulator(clock=clock)
    long, empty = sim.add_finished_build(100_000, duration=0.0), sim.add_finished_build(0)
    assert (len(long.lines), long.lines[-1].message) == (100_000, "line 100000 of 100000")
    assert (empty.lines, empty.status) == ((), "stopped")
    assert "100000 lines" in repr(long)
