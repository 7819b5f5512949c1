"""Builds that are started over the API."""

from typing import Any

import pytest

from builds_async.models import BuildOutcome, BuildStatus
from builds_async.simulator import Behavior, BuildsSimulator, Fault, FaultKind, SimulatedBuild, VirtualClock
from tests.simulator.support import triggers_of


class TestStartedBuilds:
    @pytest.fixture
    def path(self, sim: BuildsSimulator, door: Any) -> str:
        """The path of a trigger's builds."""
        (trigger,) = triggers_of(sim, sim.add_worker("shop"), door)
        return f"triggers/{trigger['trigger_uuid']}/builds"

    def test_branch(self, path: str, sim: BuildsSimulator, door: Any) -> None:
        """A build of a branch has no commit, is queued, and is the latest of its Worker."""
        body = door(sim).result(path, method="POST", body={"branch": "release"})
        metadata = body["build_trigger_metadata"]
        assert (body["status"], body["build_outcome"]) == ("queued", None)
        assert (metadata["build_trigger_source"], metadata["branch"]) == ("manual", "release")
        assert [metadata[name] for name in ("commit_hash", "commit_message", "author")] == ["", "", ""]
        tag = sim.workers["shop"]
        assert door(sim).result("builds/latest", external_script_ids=tag)["builds"][tag] == body

    def test_commit(self, path: str, sim: BuildsSimulator, door: Any) -> None:
        """A build of a commit alone has the trigger's branch; both may be sent."""
        alone = door(sim).result(path, method="POST", body={"commit_hash": "abc"})["build_trigger_metadata"]
        both = door(sim).result(path, method="POST", body={"commit_hash": "abc", "branch": "x"})
        assert (alone["commit_hash"], alone["branch"]) == ("abc", "main")
        assert alone["author"]
        assert both["build_trigger_metadata"]["branch"] == "x"

    @pytest.mark.parametrize(
        "body",
        [{}, {"branch": ""}, {"branch": 5}, {"branch": "x", "seed_repo": {}}, b"", b"{"],
        ids=["nothing", "empty", "number", "seed", "no body", "no JSON"],
    )
    def test_bad(self, body: Any, path: str, sim: BuildsSimulator, door: Any) -> None:
        """An invalid body is a 400 with 12002, and nothing is started."""
        assert door(sim).error(path, method="POST", body=body) == (400, 12002)
        assert not sim.builds

    async def test_typical(self, path: str, sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
        """By default, a started build is a typical one of several seconds."""
        door(sim).result(path, method="POST", body={"branch": "main"})
        (build,) = sim.builds.values()
        await clock.sleep(3.0)
        assert str(build.status) == "initializing"
        await clock.sleep(10.0)
        assert (build.status, build.outcome) == (BuildStatus.STOPPED, BuildOutcome.SUCCESS)
        assert len(build.lines) > 5

    async def test_script(self, clock: VirtualClock, door: Any) -> None:
        """The script of a started build can depend on the build, and its seconds count from the start."""

        def script(build: SimulatedBuild) -> list[tuple[float, Any]]:
            outcome = BuildOutcome.FAIL if build.details.branch == "bad" else BuildOutcome.SUCCESS
            return [(1.0, f"of {build.details.branch}"), (2.0, outcome)]

        sim = BuildsSimulator(clock=clock, started_builds=script)
        (trigger,) = triggers_of(sim, sim.add_worker(), door)
        await clock.sleep(100.0)
        for branch in ("good", "bad"):
            path = f"triggers/{trigger['trigger_uuid']}/builds"
            door(sim).result(path, method="POST", body={"branch": branch})
        good, bad = sim.builds.values()
        assert (good.outcome, bad.lines) == (None, ())
        await clock.sleep(2.0)
        assert (good.outcome, bad.outcome) == (BuildOutcome.SUCCESS, BuildOutcome.FAIL)
        assert [line.message for line in bad.lines] == ["of bad"]

    @pytest.mark.parametrize("kind", ["reset", "cut_body", "stall"])
    def test_lost_response(self, kind: FaultKind, path: str, sim: BuildsSimulator, door: Any) -> None:
        """A build whose response is lost is started."""
        sim.fault(Fault(kind, method="POST"))
        response = door(sim)(path, method="POST", body={"branch": "main"})
        assert response.fault is not None
        assert len(sim.builds) == 1

    def test_unsent(self, path: str, sim: BuildsSimulator, door: Any) -> None:
        """A fault that replaces the response prevents the start."""
        sim.fault("server_error")
        assert door(sim)(path, method="POST", body={"branch": "main"}).status == 502
        assert not sim.builds

    def test_source(self, clock: VirtualClock, door: Any) -> None:
        """The source of a started build may be `api`."""
        sim = BuildsSimulator(clock=clock, behavior=Behavior(started_source="api"))
        (trigger,) = triggers_of(sim, sim.add_worker(), door)
        path = f"triggers/{trigger['trigger_uuid']}/builds"
        body = door(sim).result(path, method="POST", body={"branch": "main"})
        assert body["build_trigger_metadata"]["build_trigger_source"] == "api"

    def test_settings(self, path: str, sim: BuildsSimulator, door: Any) -> None:
        """A build keeps the commands from its start, and shows its trigger as it is now."""
        uuid = door(sim).result(path, method="POST", body={"branch": "main"})["build_uuid"]
        change = {"build_command": "make", "root_directory": "/app"}
        door(sim).result(path.removesuffix("/builds"), method="PATCH", body=change)
        body = door(sim).result(f"builds/{uuid}")
        assert body["trigger"]["build_command"] == "make"
        assert body["build_trigger_metadata"]["build_command"] == "npm run build"
        assert body["build_trigger_metadata"]["root_directory"] == "/"


async def test_a_script_can_be_played_later(sim: BuildsSimulator, clock: VirtualClock) -> None:
    """A script played later counts its seconds from then, and the rest of the first script continues."""
    build = sim.add_build([(1, "a"), (4, "d"), (5, BuildOutcome.SUCCESS)])
    await clock.sleep(2.0)
    build.play([(1, "c"), (0, "b")])
    await clock.sleep(3.0)
    assert [line.message for line in build.lines] == ["a", "b", "c", "d"]
    assert build.outcome == BuildOutcome.SUCCESS
