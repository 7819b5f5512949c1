"""The versions that a follower finds in its log."""

from typing import Any

import pytest

from builds_async import LogPosition
from builds_async.simulator import BuildsSimulator, VirtualClock, build_script

FIRST = "0f5c2e6a-1b3d-4c7e-9a8b-2d4f6a8c0e1f"
SECOND = "c1d2e3f4-0000-4000-8000-00000000abcd"


@pytest.fixture
def sim() -> BuildsSimulator:
    """A simulator with small pages."""
    return BuildsSimulator(clock=VirtualClock(), page_size=3)


async def test_filled_while_following(sim: BuildsSimulator) -> None:
    """A version is known with the batch of its line, while the build is still running."""
    build = sim.add_build()
    async with sim.client() as client:
        log = client.follow(build.build_uuid)
        assert not log.versions
        build.emit("Uploading", f"\x1b[1mCurrent Version ID:\x1b[22m {FIRST}")
        await log.read()
        assert [*log.versions] == [FIRST]
        assert not log.build.is_stopped
        build.emit(f"Current Version ID: {SECOND}", f"Current Version ID: {FIRST}")
        await log.read()
        assert [*log.versions] == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("options", "versions"),
    [
        pytest.param({}, (FIRST, SECOND), id="whole"),
        pytest.param({"tail": 2}, (FIRST, SECOND), id="skipped by tail"),
        pytest.param({"tail": 0}, (FIRST, SECOND), id="all skipped"),
        pytest.param({"start": LogPosition(None, 2, 2)}, (SECOND,), id="in front of the start"),
    ],
)
async def test_lines_that_are_not_delivered(options: Any, versions: Any, sim: BuildsSimulator) -> None:
    """Versions in lines that `tail` skips count, and those in lines before `start` do not."""
    texts = [f"line {number}" for number in range(10)]
    texts[1], texts[4] = f"Current Version ID: {FIRST}", f"Current Version ID: {SECOND}"
    build = sim.add_finished_build(texts)
    async with sim.client() as client:
        log = client.follow(build.build_uuid, **options)
        async for _ in log:
            pass
        assert log.versions == versions


@pytest.mark.parametrize(
    ("command", "has_url"), [("npx wrangler deploy", False), ("npx wrangler versions upload", True)]
)
async def test_a_simulated_build(command: str, has_url: bool, sim: BuildsSimulator) -> None:
    """The simulator's own builds write wrangler's lines, and the API's build confirms them."""
    tag = sim.add_worker("shop")
    async with sim.client() as client:
        [trigger] = await client.triggers.list(tag)
        await client.triggers.update(str(trigger.trigger_uuid), deploy_command=command)
        log = client.follow((await client.builds.start(tag, branch="main")).build_uuid)
        async for _ in log:
            pass
        [version_id] = log.versions
        assert (await client.builds.by_version([version_id])).found[version_id].succeeded
        assert log.preview_url == (log.build.preview_url if has_url else None)


async def test_the_preview_url_of_the_api_stays(sim: BuildsSimulator) -> None:
    """The preview URL of the API's build is not replaced by the one in the log."""
    build = sim.add_finished_build(
        [f"Worker Version ID: {FIRST}", f"Version Preview URL: https://{FIRST[:8]}-log.octo.workers.dev"],
        preview_url="https://api.example",
    )
    async with sim.client() as client:
        log = client.follow(build.build_uuid)
        await log.read()
        assert log.build.preview_url == "https://api.example"
        assert log.preview_url == f"https://{FIRST[:8]}-log.octo.workers.dev"


async def test_a_successful_log_without_a_version(sim: BuildsSimulator) -> None:
    """A build that uploaded nothing names no version, although its log reports success."""
    build = sim.add_build(build_script(5), makes="nothing")
    async with sim.client() as client:
        log = client.follow(build.build_uuid)
        texts = [line.message async for line in log]
        assert "Success! Build completed." in texts[-1]
        assert (log.build.succeeded, log.versions, log.preview_url) == (True, (), None)
