"""Waiting for a build and for the build of a commit: the requests, their times, and the result."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, pairwise
from typing import Any

import msgspec
import pytest

from builds_async import (
    AuthenticationError,
    BuildsConnectionError,
    BuildsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from builds_async.live.board import OwnState
from builds_async.live.finish import OUTCOME_WAIT
from builds_async.live.patience import Patience
from builds_async.live.sources import Seen
from builds_async.live.wait import QUEUED_FACTOR, newest_of_commit, wait_for_build, wait_for_commit
from builds_async.models.builds import Build, BuildOutcome, BuildStatus, BuildTriggerMetadata
from builds_async.models.envelope import Page
from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    Fault,
    RateLimit,
    SimulatedBuild,
    TokenKind,
    VirtualClock,
    build_script,
)
from tests.support import BUILD_UUID, TAG, FakeClock, nothing_left, settle
from tests.support.case import cases

EPOCH = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
COMMIT = "5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d"
OTHER = "5f0c99990000000000000000000000000000beef"


def build(
    status: str = "stopped",
    outcome: str | None = "success",
    *,
    uuid: str = BUILD_UUID,
    commit: str | None = COMMIT,
    branch: str | None = "main",
    at: float | None = 0.0,
) -> Build:
    """A build created at `at` seconds. Without a `commit`, it has no metadata."""
    metadata = BuildTriggerMetadata(commit_hash=commit, branch=branch)
    return Build(
        build_uuid=uuid,
        status=BuildStatus(status),
        build_outcome=BuildOutcome(outcome) if outcome and status == "stopped" else None,
        created_on=None if at is None else EPOCH + timedelta(seconds=at),
        build_trigger_metadata=None if commit is None else metadata,
    )


QUEUED, INITIALIZING, RUNNING = build("queued"), build("initializing"), build("running")
STOPPED, FINISHED = build(outcome=None), build()


class Script:
    """A source that responds to `state` from a list and repeats the last entry; `asked` has the times."""

    def __init__(self, clock: FakeClock, builds: Sequence[Build | BuildsError], latency: float = 0.0) -> None:
        self.clock = clock
        self.builds = list(builds)
        self.latency = latency
        self.asked: list[float] = []

    async def state(self, *, max_age: float) -> Seen:
        assert max_age < 5.0
        requested_at = self.clock.now()
        self.asked.append(requested_at)
        await asyncio.sleep(0)
        self.clock.advance(self.latency)
        response = self.builds.pop(0) if len(self.builds) > 1 else self.builds[0]
        if isinstance(response, BuildsError):
            raise response
        return Seen(response, None, requested_at)


async def waited(
    clock: FakeClock, *builds: Build | BuildsError, latency: float = 0.0
) -> tuple[Build, list[float]]:
    script = Script(clock, builds, latency)
    result = await wait_for_build(script, poll_interval=5.0, clock=clock, patience=Patience(clock))
    return result, script.asked


class TestPace:
    @pytest.mark.parametrize(
        ("builds", "naps"),
        [
            pytest.param([FINISHED], [], id="finished before"),
            pytest.param([RUNNING, RUNNING, FINISHED], [5.0, 5.0], id="running"),
            pytest.param([INITIALIZING, FINISHED], [5.0], id="initializing"),
            pytest.param([QUEUED, QUEUED, FINISHED], [15.0, 15.0], id="queued"),
            pytest.param([QUEUED, INITIALIZING, RUNNING, FINISHED], [15.0, 5.0, 5.0], id="all phases"),
            pytest.param([build("paused"), FINISHED], [5.0], id="an unknown status"),
            pytest.param([Build(build_uuid=BUILD_UUID), FINISHED], [5.0], id="no status"),
            pytest.param([STOPPED, STOPPED, FINISHED], [5.0, 5.0], id="late outcome"),
        ],
    )
    async def test_pauses(self, clock: FakeClock, builds: list[Build], naps: list[float]) -> None:
        """The pause is three times longer while the build is queued, and a finished build has none."""
        result, asked = await waited(clock, *builds)
        assert result is builds[-1]
        assert clock.naps == naps
        assert len(asked) == len(builds)

    async def test_interval_counts_from_one_request_to_the_next(self, clock: FakeClock) -> None:
        """The response time is part of the interval, and a longer one leaves no pause."""
        _, asked = await waited(clock, RUNNING, RUNNING, FINISHED, latency=2.0)
        assert asked == [0.0, 5.0, 10.0]
        clock.naps.clear()
        _, asked = await waited(clock, RUNNING, RUNNING, FINISHED, latency=7.0)
        assert [later - earlier for earlier, later in pairwise(asked)] == [7.0, 7.0]
        assert clock.naps == []

    async def test_outcome_that_never_comes(self, clock: FakeClock) -> None:
        """A stopped build without an outcome is returned after 30 s, not before."""
        result, asked = await waited(clock, RUNNING, STOPPED)
        assert result is STOPPED
        assert asked[-1] - asked[1] == OUTCOME_WAIT
        assert len(asked) == 2 + OUTCOME_WAIT / 5

    @pytest.mark.parametrize("interval", [0.0, -1.0])
    async def test_no_interval(self, clock: FakeClock, interval: float) -> None:
        """An interval of 0 or less raises ValueError, and nothing is requested."""
        script = Script(clock, [FINISHED])
        with pytest.raises(ValueError, match="poll_interval"):
            await wait_for_build(script, poll_interval=interval, clock=clock, patience=Patience(clock))
        assert script.asked == []

    async def test_finished_with_an_unknown_status(self, clock: FakeClock) -> None:
        """A build with an outcome and an end has finished at once, whatever its status."""
        over = msgspec.structs.replace(FINISHED, status=BuildStatus("completed"), stopped_on=EPOCH)
        assert await waited(clock, over) == (over, [0.0])
        assert clock.naps == []

    @pytest.mark.parametrize("error", [NotFoundError("gone"), BuildsConnectionError("reset")])
    async def test_errors_are_raised(self, clock: FakeClock, error: BuildsError) -> None:
        """The error of a lookup after its retries is raised unchanged."""
        with pytest.raises(BuildsError) as caught:
            await waited(clock, RUNNING, error)
        assert caught.value is error


class History:
    """The builds of one Worker, newest first; planned changes happen before each response."""

    def __init__(self, clock: FakeClock, *builds: Build) -> None:
        self.clock = clock
        self.builds = list(builds)
        self.plan: list[tuple[float, Callable[[], None]]] = []
        self.asked: list[str] = []

    def at(self, moment: float, *happens: Build) -> None:
        """Plan new or changed builds for a point in time."""
        self.plan += [(moment, partial(self.put, new)) for new in happens]

    def put(self, new: Build) -> None:
        for place, known in enumerate(self.builds):
            if known.build_uuid == new.build_uuid:
                self.builds[place] = new
                return
        self.builds.insert(0, new)

    def _arrive(self, what: str) -> None:
        self.asked.append(what)
        assert len(self.asked) < 1000, "it never ends"
        while self.plan and self.plan[0][0] <= self.clock.now():
            self.plan.pop(0)[1]()

    async def get(self, build_uuid: str) -> Build:
        self._arrive("get")
        await asyncio.sleep(0)
        for known in self.builds:
            if known.build_uuid == build_uuid:
                return known
        raise NotFoundError("no such build")

    async def get_dated(self, build_uuid: str) -> tuple[Build, None]:
        return await self.get(build_uuid), None

    async def list(self, external_script_id: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        assert external_script_id == TAG
        self._arrive("list")
        await asyncio.sleep(0)
        return Page(result=tuple(self.builds[(page - 1) * per_page : page * per_page]))

    async def wait(
        self,
        commit: str = COMMIT,
        branch: str | None = None,
        *,
        finished: bool = True,
        poll_interval: float = 5.0,
    ) -> str:
        found = await wait_for_commit(
            self,
            lambda build_uuid: OwnState(self, build_uuid, self.clock),
            TAG,
            commit,
            branch=branch,
            finished=finished,
            poll_interval=poll_interval,
            clock=self.clock,
            patience=Patience(self.clock),
        )
        return found.build_uuid


def others(count: int, at: float = 0.0) -> list[Build]:
    """Finished builds of `count` other commits, newest first."""
    return [build(uuid=f"other-{n}", commit=f"{n:040x}", at=at - n) for n in range(count)]


class TestNewestOfCommit:
    @cases(
        ("builds", "commit", "branch", "found"),
        [
            pytest.param([], COMMIT, None, None, id="no builds"),
            pytest.param([build(uuid="a")], COMMIT, None, "a", id="full hash"),
            pytest.param([build(uuid="a")], COMMIT[:4], None, "a", id="beginning"),
            pytest.param([build(uuid="a", commit=COMMIT.upper())], COMMIT, None, "a", id="upper case"),
            pytest.param([build(uuid="a", commit=COMMIT[:7])], COMMIT, None, None, id="shorter than asked"),
            pytest.param([build(uuid="a", commit="")], COMMIT, None, None, id="no commit"),
            pytest.param([build(uuid="a", commit=None)], COMMIT, None, None, id="no metadata"),
            pytest.param([build(uuid="a", at=1), build(uuid="b", at=9)], COMMIT, None, "b", id="newest wins"),
            pytest.param([build(uuid="a"), build(uuid="b")], COMMIT, None, "a", id="first of equals"),
            pytest.param([build(uuid="a"), build(uuid="b", at=2.5e11)], COMMIT, None, "a", id="absurd date"),
            pytest.param(
                [build(uuid="a", at=None), build(uuid="b")], COMMIT, None, "a", id="no date: the list counts"
            ),
            pytest.param([build(uuid="a")], COMMIT, "dev", None, id="other branch"),
            pytest.param([build(uuid="a", branch=None)], COMMIT, "main", None, id="unknown branch"),
            pytest.param(
                [build(uuid="a", at=9), build(uuid="b", branch="dev")],
                COMMIT,
                "dev",
                "b",
                id="of that branch",
            ),
            pytest.param(
                [build(uuid="a", commit=OTHER, branch="dev"), build(uuid="b")],
                COMMIT[:4],
                "main",
                "b",
                id="beginning is unique on that branch",
            ),
        ],
    )
    def test_which(self, builds: list[Build], commit: str, branch: str | None, found: str | None) -> None:
        """The newest build of exactly that commit, and of that branch if given, is found."""
        newest = newest_of_commit(builds, commit, branch)
        assert (newest and newest.build_uuid) == found

    def test_several_commits(self) -> None:
        """A prefix that several commits share raises a ValueError that names them."""
        with pytest.raises(ValueError, match=f"'5f0c' is the beginning of several.*{COMMIT}.*{OTHER}"):
            newest_of_commit([build(), build(commit=OTHER)], "5f0c", None)


class TestCommit:
    @cases("commit", ["", "5f0", "HEAD", "main", COMMIT + "0", f" {COMMIT}", f"{COMMIT}\n", "5f0c%"])
    async def test_invalid_hash(self, clock: FakeClock, commit: str) -> None:
        """An invalid or too short hash raises ValueError, and nothing is requested."""
        history = History(clock, build(commit=""))
        with pytest.raises(ValueError, match="4 to 40 hex digits"):
            await history.wait(commit)
        assert history.asked == []

    async def test_no_interval(self, clock: FakeClock) -> None:
        """An interval of 0 or less raises ValueError, and nothing is requested."""
        history = History(clock, build())
        with pytest.raises(ValueError, match="poll_interval"):
            await history.wait(poll_interval=0)
        assert history.asked == []

    async def test_finished_before(self, clock: FakeClock) -> None:
        """A commit that was already built costs three requests and no pause."""
        history = History(clock, build())
        assert await history.wait(COMMIT[:9].upper()) == BUILD_UUID
        assert history.asked == ["list", "get", "list"]
        assert clock.naps == []

    async def test_appears_later(self, clock: FakeClock) -> None:
        """The wait lasts until a build exists and has finished, at the pace of each phase."""
        history = History(clock, *others(3))
        history.at(8, build("queued", at=8))
        history.at(30, build("running", at=8))
        history.at(41, build(at=8))
        assert await history.wait() == BUILD_UUID
        assert clock.naps == [5.0, 5.0, 15.0, 15.0, 5.0]
        assert history.asked == ["list", "list", "list", "get", "get", "get", "get", "list"]

    async def test_not_to_the_end(self, clock: FakeClock) -> None:
        """With `finished=False`, the newest build is returned as soon as it is listed."""
        history = History(clock, *others(3))
        history.at(8, build("queued", uuid="first", at=7), build("queued", uuid="second", at=8))
        assert await history.wait(finished=False) == "second"
        assert history.asked == ["list", "list", "list"]
        assert clock.naps == [5.0, 5.0]

    async def test_built_again_before(self, clock: FakeClock) -> None:
        """The newest of several builds of a commit is waited for, even if an older one has finished."""
        history = History(clock, build("running", uuid="second", at=9), build(uuid="first"))
        history.at(20, build(uuid="second", outcome="fail", at=9))
        assert await history.wait() == "second"

    async def test_built_again_during_the_wait(self, clock: FakeClock) -> None:
        """A newer build of the same commit that starts during the wait decides the result."""
        history = History(clock, build("running", uuid="first"))
        history.at(9, build("queued", uuid="second", at=9))
        history.at(10, build(uuid="first"))
        history.at(60, build(uuid="second", outcome="fail", at=9))
        assert await history.wait() == "second"
        assert clock.now() >= 60

    @pytest.mark.parametrize(
        ("copies", "asked"),
        [
            pytest.param([["old"], ["new", "old"]], ["list", "get", "list", "get", "list"], id="grows"),
            pytest.param([["new", "old"], ["old"]], ["list", "get", "list"], id="lags"),
            pytest.param([["undated"], ["old"]], ["list", "get", "list", "get", "list"], id="no date"),
        ],
    )
    async def test_copies_that_differ(
        self, clock: FakeClock, copies: list[list[str]], asked: list[str]
    ) -> None:
        """Alternating copies of the list cost at most one more request for each build that they name."""
        known = {
            "old": build(uuid="old"),
            "new": build(uuid="new", at=9),
            "undated": build(uuid="undated", at=None),
        }
        history = History(clock, *known.values())
        lists = cycle(copies)

        async def list_of_next_copy(*_: object, **__: object) -> Page[Build]:
            history._arrive("list")
            return Page(result=tuple(known[uuid] for uuid in next(lists)))

        history.list = list_of_next_copy  # type: ignore[method-assign]
        assert await history.wait() in copies[0] + copies[1]
        assert history.asked == asked
        assert clock.naps == []

    async def test_stale_list(self, clock: FakeClock) -> None:
        """A stale list that shows only an older build does not make it the newest."""
        history = History(clock, build(uuid="new", at=9), build("running", uuid="old"))
        get = history.get

        async def get_and_lag(build_uuid: str) -> Build:
            found = await get(build_uuid)
            history.builds = [it for it in history.builds if it.build_uuid == "old"]
            return found

        history.get = get_and_lag  # type: ignore[method-assign]
        assert await history.wait() == "new"
        assert clock.naps == []

    @pytest.mark.parametrize("behind", [49, 50, 120, 199])
    async def test_far_back(self, clock: FakeClock, behind: int) -> None:
        """A commit that was built up to 200 builds ago is found."""
        history = History(clock, *others(behind, at=9), build())
        assert await history.wait() == BUILD_UUID
        assert clock.naps == []

    async def test_overtaken_by_many(self, clock: FakeClock) -> None:
        """A finished build is returned, however many builds of other commits have started since."""
        history = History(clock, build("running"))
        history.at(7, *others(60, at=100)[::-1], build())
        assert await history.wait() == BUILD_UUID
        assert clock.now() < 60

    async def test_deleted_after_the_end(self, clock: FakeClock) -> None:
        """A finished build is returned even if it is no longer listed."""
        history = History(clock, build())

        async def wait() -> str:
            return await history.wait()

        get = history.get

        async def last_get(build_uuid: str) -> Build:
            found = await get(build_uuid)
            history.builds.clear()
            return found

        history.get = last_get  # type: ignore[method-assign]  # it is deleted right after
        assert await wait() == BUILD_UUID

    async def test_prefix_keeps_its_commit(self, clock: FakeClock) -> None:
        """Another commit with the same prefix that appears while the build runs changes nothing."""
        history = History(clock, build("running"))
        history.at(7, build("queued", uuid="other", commit=OTHER, at=7), build())
        assert await history.wait("5f0c") == BUILD_UUID

    async def test_shared_prefix(self, clock: FakeClock) -> None:
        """A prefix of two commits raises ValueError at the first look."""
        history = History(clock, build(commit=OTHER), build())
        with pytest.raises(ValueError, match="several commits"):
            await history.wait("5f0c")
        assert history.asked == ["list"]

    async def test_branch(self, clock: FakeClock) -> None:
        """With a branch, builds of the same commit on other branches are ignored."""
        history = History(clock, build(uuid="dev", branch="dev", at=9))
        history.at(12, build(uuid="main", at=3))
        assert await history.wait(branch="main") == "main"


def routes(sim: BuildsSimulator) -> list[str]:
    """The last part of each requested path."""
    return [seen.path.rpartition("/")[2] for seen in sim.requests]


class TestSimulated:
    @pytest.mark.slow
    @pytest.mark.parametrize("late", [0.0, 12.0, "never"])
    async def test_an_hour_in_the_queue(self, late: Any) -> None:
        """A build that is queued for an hour is returned when it has finished, after about 240 requests."""
        sim = BuildsSimulator(clock=VirtualClock(), behavior=Behavior(late_outcome=late))
        async with sim.client() as client:
            added = sim.add_build(build_script(queued=3600, outcome=BuildOutcome.FAIL))
            result = await client.wait(added.build_uuid)
            assert result.build_uuid == added.build_uuid
            assert result.is_stopped
            assert result.build_outcome == (None if late == "never" else "fail")
            assert set(routes(sim)) == {added.build_uuid}
            assert 240 <= len(sim.requests) <= 240 + 12
            assert QUEUED_FACTOR * 5 * 240 == 3600

    async def test_needs_no_log_permission(self) -> None:
        """Neither verb requests a log, so a token without access to logs is enough."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client(api_token=sim.add_token(TokenKind.READ_ONLY)) as client:
            sim.fault(Fault(kind="blocked", path="/logs", times=None))
            added = sim.add_build(build_script())
            tag, commit = added.external_script_id, str(added.details.commit_hash)
            assert (await client.wait(added.build_uuid)).succeeded
            assert (await client.wait_for_commit(tag, commit)).succeeded
            assert "logs" not in routes(sim)

    @cases("fault", ["reset", "cut_body", "not_json", "server_error", "rate_limited"])
    async def test_faults(self, fault: Any) -> None:
        """A fault at any request delays the end and changes nothing else."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client() as client:
            added = sim.add_build(build_script())
            sim.fault(Fault(kind=fault, after=1), Fault(kind=fault, after=2, times=2))
            assert (await client.wait(added.build_uuid)).succeeded

    async def test_commit_built_by_a_push(self) -> None:
        """The wait for a commit can start before the push, and lasts until the build has its outcome."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
            tag = sim.add_worker()
            sim.add_finished_build(external_script_id=tag)
            sim.add_finished_build(external_script_id=tag, commit_hash="")
            waiter = asyncio.create_task(client.wait_for_commit(tag, COMMIT[:8], branch="main"))
            await clock.sleep(600)
            added = sim.add_build(build_script(), external_script_id=tag, commit_hash=COMMIT)
            result = await waiter
            assert (result.build_uuid, result.build_outcome) == (added.build_uuid, "success")

    async def test_unknown_build(self) -> None:
        """An unknown build raises NotFoundError."""
        async with BuildsSimulator().client() as client:
            with pytest.raises(NotFoundError):
                await client.wait("unknown")

    @pytest.mark.parametrize("wrong", ["", "..", "a/b"])
    async def test_invalid_id(self, wrong: str) -> None:
        """An invalid id raises ValueError before any request."""
        sim = BuildsSimulator()
        async with sim.client() as client:
            for call in (client.wait(wrong), client.wait_for_commit(wrong, COMMIT)):
                with pytest.raises(ValueError, match="can't be an id"):
                    await call
            assert not sim.requests

    @pytest.mark.parametrize(
        ("kind", "error"),
        [(None, AuthenticationError), (TokenKind.NO_PERMISSION, PermissionDeniedError)],
        ids=["wrong token", "no permission"],
    )
    async def test_wrong_credentials(self, kind: TokenKind | None, error: type[Exception]) -> None:
        """Wrong credentials raise one bare error at once."""
        sim = BuildsSimulator()
        async with sim.client(api_token="wrong" if kind is None else sim.add_token(kind)) as client:
            with pytest.raises(error):
                await client.wait(BUILD_UUID)
            with pytest.raises(error):
                await client.wait_for_commit(TAG, COMMIT)
            assert len(sim.requests) == 2

    async def test_timeout_and_cancel_leave_nothing(self) -> None:
        """A wait that times out or is canceled, in a pause or a request, leaves nothing behind."""
        async with nothing_left():
            sim = BuildsSimulator(clock=VirtualClock())
            async with sim, sim.client(transport=None) as client:
                added: SimulatedBuild = sim.add_build()
                with sim.clock.hold(), pytest.raises(TimeoutError):  # type: ignore[attr-defined]
                    async with asyncio.timeout(0.01):
                        await client.wait(added.build_uuid)
                sim.fault(Fault(kind="stall"))
                waiter = asyncio.create_task(client.wait(added.build_uuid))
                while not (sim.requests and sim.requests[-1].fault):
                    await asyncio.sleep(0)
                waiter.cancel()
                await asyncio.wait([waiter])
                assert waiter.cancelled()
                added.finish()
                assert (await client.wait(added.build_uuid)).succeeded
            while sim.connections:
                await asyncio.sleep(0)

    async def test_closed_client_ends_the_wait(self) -> None:
        """Closing the client ends a wait with an error at its next request."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client() as client:
            waiter = asyncio.create_task(client.wait(sim.add_build().build_uuid))
            while not sim.requests:
                await asyncio.sleep(0)
            await settle()
            await client.aclose()
            with pytest.raises((RuntimeError, BuildsConnectionError)):
                await waiter

    @pytest.mark.slow
    async def test_waits_stay_within_the_budget(self) -> None:
        """Fifty concurrent waits never reach the limit of the account."""
        sim = BuildsSimulator(clock=VirtualClock(), rate_limit=RateLimit(limit=200, window=300))
        async with sim.client() as client:
            script = build_script(rate=0.05)
            builds = [sim.add_build(script) for _ in range(50)]
            results = await asyncio.gather(*(client.wait(it.build_uuid, poll_interval=1.0) for it in builds))
            assert all(result.succeeded for result in results)
            assert {seen.status for seen in sim.requests} == {200}

    async def test_loop_around_a_long_block_lets_others_run(self) -> None:
        """During a long block, a loop around the error does not block the event loop."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client() as client:
            sim.fault(Fault(kind="rate_limited", retry_after=300))
            with pytest.raises(RateLimitError):
                await client.builds.get(BUILD_UUID)
            turned: list[None] = []
            asyncio.get_running_loop().call_soon(turned.append, None)
            for _ in range(100):
                with pytest.raises(RateLimitError, match="not sent"):
                    await client.builds.get(BUILD_UUID)
            assert turned

    async def test_a_closed_gate_is_waited_for(self) -> None:
        """A wait that starts while the gate is closed continues when the gate opens, instead of failing."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
            build = sim.add_finished_build(["built"])
            client.budget.close(300)
            began = clock.now()
            assert (await client.wait(build.build_uuid)).build_uuid == build.build_uuid
            assert {seen.when >= began + 300 for seen in sim.requests} == {True}
