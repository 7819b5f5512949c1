"""`client.summarize`: the reason of a failure, and the other facts of a log."""

import pytest

from builds_async import LogSummary, NotFoundError
from builds_async.live.summary import MAX_PAGES, RECENT
from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator import Behavior, BuildsSimulator, VirtualClock, build_script
from tests.support import BUILD_UUID

ERROR = "Error: no such module"


def simulated(**options: object) -> BuildsSimulator:
    return BuildsSimulator(clock=VirtualClock(), **options)  # type: ignore[arg-type]


async def summary_of(
    sim: BuildsSimulator, lines: list[str], outcome: BuildOutcome = BuildOutcome.FAIL
) -> LogSummary:
    async with sim.client() as client:
        build = sim.add_finished_build(lines, outcome)
        return await client.summarize(await client.builds.get(build.build_uuid))


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        pytest.param(0, 0, (0, 0), id="alone"),
        pytest.param(3, 2, (3, 2), id="near both ends"),
        pytest.param(30, 30, (10, 5), id="in the middle"),
        pytest.param(RECENT, 30, (10, 5), id="in a long log"),
        pytest.param(5, RECENT - 1, (0, 5), id="the first line that counts"),
    ],
)
async def test_reason(before: int, after: int, shown: tuple[int, int]) -> None:
    """The reason is the line that explains the failure, with 10 lines before it and 5 after it."""
    lines = [*(f"before {n}" for n in range(before)), ERROR, *(f"after {n}" for n in range(after))]
    summary = await summary_of(simulated(), lines)
    assert (summary.reason, summary.complete) == (ERROR, True)
    assert [line.message for line in summary.around] == lines[before - shown[0] : before + 1 + shown[1]]


async def test_reason_of_two_lines() -> None:
    """A reason that ends in a colon is joined with the next line, and the context is that of the first."""
    summary = await summary_of(simulated(), ["a", "Error: build failed:", "no such module"])
    assert summary.reason == "Error: build failed: no such module"
    assert [line.message for line in summary.around] == ["a", "Error: build failed:", "no such module"]


@pytest.mark.parametrize("outcome", [BuildOutcome.SUCCESS, BuildOutcome.CANCELLED])
async def test_no_failure(outcome: BuildOutcome) -> None:
    """A build that has not failed has no reason, whatever its log contains."""
    summary = await summary_of(simulated(), [ERROR], outcome)
    assert (summary.reason, summary.around, summary.complete) == (None, (), True)


async def test_long_log() -> None:
    """At most 20 pages are read, and an error in them is not the reason if the end is missing."""
    sim = simulated(page_size=2)
    summary = await summary_of(sim, [ERROR, *("line" for _ in range(2 * MAX_PAGES + 1))])
    assert (summary.reason, summary.around, summary.complete) == (None, (), False)
    assert sum(seen.path.endswith("/logs") for seen in sim.requests) <= MAX_PAGES


async def test_deleted_log() -> None:
    """A log that no longer exists yields an empty summary, not an error."""
    assert await summary_of(simulated(behavior=Behavior(logs_kept=0.0)), [ERROR]) == LogSummary()


async def test_steps_and_versions() -> None:
    """The steps and the uploaded versions equal those of a follower."""
    sim = simulated()
    async with sim.client() as client:
        uploaded = "Current Version ID: 0a1b2c3d-0000-4000-8000-000000000001"
        build = sim.add_build(build_script(3, uploaded=uploaded))
        log = client.follow(build.build_uuid)
        async for _ in log:
            pass
        summary = await client.summarize(log.build)
    assert summary.steps == log.steps != ()
    assert summary.versions == log.versions != ()


async def test_running_build() -> None:
    """The log of a running build is read as far as it exists, without waiting for the end."""
    sim = simulated()
    async with sim.client() as client:
        build = sim.add_build([(0, BuildStatus.RUNNING), (0, "Initializing build environment..."), (99, "b")])
        await sim.clock.sleep(1)
        summary = await client.summarize(await client.builds.get(build.build_uuid))
        assert sim.clock.now() == 1
    assert [step.name for step in summary.steps] == ["initialize"]
    assert summary.complete


async def test_unknown_build() -> None:
    """An unknown build raises NotFoundError."""
    sim = simulated()
    async with sim.client() as client:
        build = await client.builds.get(sim.add_finished_build(1).build_uuid)
        gone = type(build)(build_uuid=BUILD_UUID)
        with pytest.raises(NotFoundError):
            await client.summarize(gone)
