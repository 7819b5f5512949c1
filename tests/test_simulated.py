"""The client against the simulator over a real socket: whole exchanges."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from builds_async import (
    AuthenticationError,
    BuildOutcome,
    BuildsClient,
    BuildsConnectionError,
    BuildsTimeoutError,
    InternalServerError,
    LogLine,
    NotFoundError,
    PermissionDeniedError,
    RateBudget,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.live.log_reader import SETTLE
from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    Fault,
    FaultKind,
    RateLimit,
    SimulatedBuild,
    TokenKind,
    VirtualClock,
    build_script,
)
from builds_async.simulator.behavior import CursorStyle

SCRIPT = build_script(40, rate=4, queued=3)
BEHAVIOURS = [
    *(
        Behavior(last_page_cursor=cursor, queued_logs=queued)
        for cursor in ("tail", "same", "null", "absent")
        for queued in ("empty", "not_found")
    ),
    *(Behavior(cursors=style) for style in get_args(CursorStyle) if style != "array"),
    *(Behavior(cursors=style, behind_the_end="last_page") for style in ("object", "quoted", "raw", "long")),
    Behavior(cursors="new", late_lines=1.9, truncated_hollow=4),
    Behavior(behind_the_end="last_page"),
    Behavior(behind_the_end="last_page", late_lines=1.9, late_outcome=12.0),
    Behavior(late_lines=1.9),
    Behavior(late_lines=1.9, last_page_cursor="same"),
    Behavior(late_outcome=12.0),
    Behavior(late_outcome=12.0, late_lines=1.9, last_page_cursor="absent"),
    Behavior(truncated_hollow=4),
    Behavior(truncated_hollow=4, last_page_cursor="null"),
    Behavior(null_logs_result=True),
    Behavior(timestamp_unit="seconds"),
    Behavior(environment_variables="strings"),
    Behavior(environment_variables="null"),
    Behavior(status_words={"running": "building", "initializing": "warming"}),
    Behavior(rate_limit_headers=False),
]


def name(behavior: Behavior) -> str:
    default = Behavior()
    changed = [
        field for field in behavior.__struct_fields__ if getattr(behavior, field) != getattr(default, field)
    ]
    return " ".join(f"{field}={getattr(behavior, field)}" for field in changed) or "default"


@asynccontextmanager
async def over_socket(sim: BuildsSimulator, **options: object) -> AsyncIterator[BuildsClient]:
    """A started simulator and a client that connects to it over HTTP."""
    async with sim, sim.client(transport=None, **options) as client:
        yield client


async def followed(client: BuildsClient, build: SimulatedBuild) -> list[LogLine]:
    return [line async for line in client.follow(build.build_uuid)]


class TestFollow:
    @pytest.mark.slow
    @pytest.mark.parametrize("behavior", BEHAVIOURS, ids=name)
    async def test_every_line_once_whatever_the_service_does(self, behavior: Behavior) -> None:
        """A running build's log arrives complete and in order with each plausible behavior of the API."""
        sim = BuildsSimulator(clock=VirtualClock(), behavior=behavior, page_size=7)
        async with over_socket(sim) as client:
            build = sim.add_build(SCRIPT)
            log = client.follow(build.build_uuid)
            assert [line async for line in log] == list(build.lines)
            assert log.build.build_outcome == BuildOutcome.SUCCESS
            assert log.complete

    @pytest.mark.parametrize("cursor", ["moving", "unchanged"])
    async def test_endless_hollow_pages_end(self, cursor: str) -> None:
        """An endless log ends, and is marked as incomplete."""
        behavior = Behavior(truncated_hollow="endless", hollow_cursor=cursor)  # type: ignore[arg-type]
        sim = BuildsSimulator(clock=VirtualClock(), behavior=behavior)
        async with over_socket(sim) as client:
            build = sim.add_build(SCRIPT)
            log = client.follow(build.build_uuid)
            assert [line async for line in log] == list(build.lines)
            assert not log.complete
            assert len(sim.requests) < 100

    async def test_long_log_of_a_finished_build_is_read_like_single_calls(self) -> None:
        """A log of 200 pages takes 202 requests and no pacing, because pacing is for polls."""
        sim = BuildsSimulator(clock=VirtualClock(), page_size=10)
        async with over_socket(sim, budget=RateBudget(limit=400)) as client:
            build = sim.add_finished_build(2000, age=3600)
            assert len(await followed(client, build)) == 2000
            assert sim.clock.now() == 0
            assert len(sim.requests) == 202

    @pytest.mark.parametrize("hours", [-2, 0, 2])
    async def test_clock_of_this_machine_does_not_matter(self, hours: int) -> None:
        """The server's clock alone decides whether a build has only just stopped."""
        sim = BuildsSimulator(clock=VirtualClock(), epoch=datetime.now(UTC) + timedelta(hours=hours))
        async with over_socket(sim) as client:
            for age, pause in ((1.0, SETTLE), (60.0, 0.0)):
                build, began = sim.add_finished_build(3, age=age), sim.clock.now()
                assert await followed(client, build) == list(build.lines)
                assert sim.clock.now() - began == pause

    async def test_deleted_log(self, caplog: pytest.LogCaptureFixture) -> None:
        """A log that is deleted during reading ends incomplete and with a warning when the build ends."""
        sim = BuildsSimulator(clock=VirtualClock(), behavior=Behavior(logs_kept=0.0), page_size=7)
        async with over_socket(sim) as client:
            build = sim.add_build(SCRIPT)
            log = client.follow(build.build_uuid)
            got = [line async for line in log]
            assert got == list(build.lines)[: len(got)]
            assert log.build.build_outcome == BuildOutcome.SUCCESS
            assert not log.complete
        assert f"The log of build {build.build_uuid} is gone" in caplog.text

    async def test_outcome_that_never_comes(self) -> None:
        """Following a build that never gets an outcome ends after some 30 s."""
        sim = BuildsSimulator(clock=VirtualClock(), behavior=Behavior(late_outcome="never"))
        async with over_socket(sim) as client:
            build = sim.add_build(SCRIPT)
            log = client.follow(build.build_uuid)
            assert [line async for line in log] == list(build.lines)
            assert log.build.is_stopped
            assert log.build.build_outcome is None

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "fault",
        [
            *("reset", "cut_body", "empty_body", "not_json", "repeated_page", "rate_limited", "slow"),
            *(Fault(kind="server_error", status=status, times=3) for status in (500, 502, 503, 504)),
            Fault(kind="rate_limited", retry_after=20),
            Fault(kind="stall", headers_sent=False),
            Fault(kind="stall", headers_sent=True),
        ],
        ids=lambda fault: (
            fault if isinstance(fault, str) else f"{fault.kind}-{fault.status or fault.retry_after}"
        ),
    )
    @pytest.mark.parametrize("after", [0, 1, 2, 7, 20])
    async def test_every_line_once_through_faults(self, fault: Fault | FaultKind, after: int) -> None:
        """A fault of any kind at any request loses no line and repeats none."""
        sim = BuildsSimulator(clock=VirtualClock(), page_size=7)
        plan = Fault(kind=fault, after=after) if isinstance(fault, str) else fault
        async with over_socket(sim, timeout=0.05 if plan.kind == "stall" else 30.0) as client:
            build = sim.add_build(SCRIPT)
            sim.fault(plan)
            assert await followed(client, build) == list(build.lines)

    async def test_real_build_is_followed_while_it_runs(self) -> None:
        """Lines of a real process arrive before the process ends."""
        sim = BuildsSimulator()
        code = "import time; print('one', flush=True); time.sleep(60)"
        async with over_socket(sim) as client:
            build = await sim.run_build([sys.executable, "-c", code])
            log = client.follow(build.build_uuid, poll_interval=0.002, max_poll_interval=0.002)
            async for line in log:
                if line.message == "one":
                    break
            assert not (await client.builds.get(build.build_uuid)).is_stopped
            canceled = await client.builds.cancel(build.build_uuid)
            assert canceled.build_outcome == BuildOutcome.CANCELLED
            assert (await client.builds.get(build.build_uuid)).build_outcome == BuildOutcome.CANCELLED

    async def test_timeout_around_each_line(self) -> None:
        """Real timeouts at any point of an exchange lose no line and repeat none."""
        sim = BuildsSimulator(page_size=2)
        async with over_socket(sim) as client:
            build = sim.add_finished_build(30)
            log = client.follow(build.build_uuid)
            got: list[LogLine] = []
            for attempt in range(10_000):
                try:
                    async with asyncio.timeout(0.0002 * (attempt % 20)):
                        async for line in log:
                            got.append(line)
                        break
                except TimeoutError:
                    continue
            assert got == list(build.lines)

    async def test_follower_leaves_nothing_behind(self) -> None:
        """After a break, an error and a cancellation, closing the client leaves no task and no connection."""
        before = asyncio.all_tasks()
        async with BuildsSimulator() as sim:
            async with BuildsClient(
                account_id=sim.account_id, api_token=sim.api_token, base_url=sim.url
            ) as client:
                build = sim.add_build(SCRIPT)
                build.emit("line")
                async for _ in client.follow(build.build_uuid):
                    break
                with pytest.raises(NotFoundError):
                    await client.follow("unknown").read()
                sim.fault(Fault(kind="stall"))
                task = asyncio.create_task(client.follow(build.build_uuid).read())
                while not sim.requests[-1].fault:
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            while sim.connections:
                await asyncio.sleep(0)
        assert asyncio.all_tasks() == before


class TestCalls:
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ("reset", BuildsConnectionError),
            ("cut_body", BuildsConnectionError),
            ("stall", BuildsTimeoutError),
            ("not_json", ResponseDecodeError),
            ("empty_body", ResponseDecodeError),
            ("server_error", InternalServerError),
            ("rate_limited", RateLimitError),
        ],
    )
    async def test_fault_that_stays_is_raised(self, fault: FaultKind, error: type[Exception]) -> None:
        """When every attempt fails, the last failure is raised with the number of attempts."""
        sim = BuildsSimulator(clock=VirtualClock())
        timeout = 0.02 if fault == "stall" else 30.0
        async with over_socket(sim, timeout=timeout, retry=RetryPolicy(attempts=3)) as client:
            build = sim.add_finished_build()
            sim.fault(Fault(kind=fault, times=3))
            with pytest.raises(error) as caught:
                await client.builds.get(build.build_uuid)
            assert getattr(caught.value, "attempts", None) == 3
            assert len(sim.requests) == 3
            assert (await client.builds.get(build.build_uuid)).build_uuid == build.build_uuid

    async def test_body_without_end_is_refused(self) -> None:
        """A body above the size limit is a ResponseDecodeError and is not requested again."""
        sim = BuildsSimulator()
        async with over_socket(sim) as client:
            build_uuid = sim.add_build(SCRIPT).build_uuid
            sim.fault(Fault(kind="huge_body", size=200 * 2**20))
            with pytest.raises(ResponseDecodeError, match="larger than 64 MiB"):
                await client.builds.get(build_uuid)
            assert len(sim.requests) == 1

    async def test_account_owned_token_is_explained(self) -> None:
        """The 401 of an account-owned token says which kind of token is needed."""
        sim = BuildsSimulator()
        async with over_socket(sim, api_token=sim.add_token(TokenKind.ACCOUNT_OWNED)) as client:
            with pytest.raises(AuthenticationError, match="user-owned tokens only") as caught:
                await client.builds.get("any")
            assert caught.value.codes == (12006,)

    async def test_missing_permission_is_named(self) -> None:
        """A 403 names the missing permission by each of its names."""
        sim = BuildsSimulator()
        async with over_socket(sim, api_token=sim.add_token(TokenKind.READ_ONLY)) as client:
            build = sim.add_build(SCRIPT)
            assert (await client.builds.get(build.build_uuid)).status == "queued"
            with pytest.raises(PermissionDeniedError) as caught:
                await client.builds.cancel(build.build_uuid)
        for text in (
            "Workers CI Write",
            "Workers Builds Configuration: Edit",
            "Workers Builds: Edit",
            "workers_ci",
        ):
            assert text in str(caught.value)

    async def test_history_is_read_page_by_page(self) -> None:
        """`iter` yields every build of a Worker once, newest first, even while new ones are added."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with over_socket(sim) as client:
            tag = sim.add_worker()
            builds = [sim.add_finished_build(1, age=3600.0 - n, external_script_id=tag) for n in range(7)]
            seen = []
            async for build in client.builds.iter(tag, per_page=3):
                seen.append(build.build_uuid)
                if len(seen) == 2:
                    sim.add_build(external_script_id=tag)
            assert seen == [build.build_uuid for build in reversed(builds)]

    async def test_stamps_are_aware(self) -> None:
        """Times of builds and lines are timezone-aware and consistent."""
        sim = BuildsSimulator()
        async with over_socket(sim) as client:
            added = sim.add_finished_build(3, duration=60)
            build = await client.builds.get(added.build_uuid)
            assert build.created_on is not None
            assert build.stopped_on is not None
            assert build.stopped_on - build.created_on == timedelta(seconds=60)
            page = await client.builds.logs(added.build_uuid)
            assert all(build.created_on <= line.time <= build.stopped_on for line in page.lines)


class TestBulk:
    async def test_many_workers_in_few_requests(self) -> None:
        """Each id is in exactly one part of the result, in request order, with 20 ids per request."""
        sim = BuildsSimulator()
        async with over_socket(sim) as client:
            tags = [sim.add_worker() for _ in range(95)]
            for tag in tags[::2]:
                sim.add_finished_build(1, external_script_id=tag)
            result = await client.builds.latest([*tags, *tags])
            assert list(result.found) == tags[::2]
            assert result.missing == tuple(tags[1::2])
            assert result.failed == {}
            assert len(sim.requests) == 5

    async def test_builds_by_version(self) -> None:
        """The build of a version is found by the version's id."""
        sim = BuildsSimulator(behavior=Behavior(unknown_ids="null"))
        async with over_socket(sim) as client:
            builds = [sim.add_finished_build(1) for _ in range(30)]
            result = await client.builds.by_version([*(build.version_id for build in builds), "unknown"])
            assert [build.build_uuid for build in result.found.values()] == [
                build.build_uuid for build in builds
            ]
            assert result.missing == ("unknown",)

    async def test_failed_chunk_stops_no_other(self) -> None:
        """A chunk that fails every attempt puts its error on each of its ids, and the others are found."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with over_socket(sim, max_in_flight=1, retry=RetryPolicy(attempts=2)) as client:
            tags = [sim.add_finished_build(1).external_script_id for _ in range(50)]
            sim.fault(Fault(kind="server_error", after=1, times=2))
            result = await client.builds.latest(tags)
            assert list(result.found) == [*tags[:20], *tags[40:]]
            assert list(result.failed) == tags[20:40]
            with pytest.raises(InternalServerError):
                result.raise_for_failures()

    async def test_wrong_credentials_end_it_with_one_bare_error(self) -> None:
        """A refused token ends a lookup of thousands after a few requests, with a single bare error."""
        sim = BuildsSimulator()
        async with over_socket(sim, api_token="wrong", max_in_flight=4) as client:
            with pytest.raises(AuthenticationError):
                await client.builds.latest([f"{number:032x}" for number in range(5000)])
            assert len(sim.requests) <= 8


class TestBudget:
    @pytest.mark.slow
    async def test_it_never_meets_the_limit(self) -> None:
        """Ten thousand lookups on a limited account are paced below the limit, without a single 429."""
        sim = BuildsSimulator(clock=VirtualClock(), rate_limit=RateLimit(limit=100, window=300))
        async with over_socket(sim, budget=RateBudget(limit=100, window=300)) as client:
            result = await client.builds.latest([f"{number:032x}" for number in range(10_000)])
            assert len(result.missing) == 10_000
            assert {seen.status for seen in sim.requests} == {200}
            assert sim.clock.now() > 1200

    async def test_requests_of_other_clients_count(self) -> None:
        """When other tools use up the allowance, the client stays within the remainder in the headers."""
        sim = BuildsSimulator(clock=VirtualClock(), rate_limit=RateLimit(limit=100, window=300))
        async with over_socket(sim, budget=RateBudget(limit=100, window=300)) as client:
            sim.spend(80)
            await client.builds.latest([f"{number:032x}" for number in range(1000)])
            assert {seen.status for seen in sim.requests} == {200}

    async def test_one_429_closes_the_gate_for_all(self) -> None:
        """After a 429 no request is sent until Retry-After has passed; then they go out one by one."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with over_socket(sim) as client:
            sim.fault(Fault(kind="rate_limited", retry_after=30))
            await client.builds.latest([f"{number:032x}" for number in range(200)])
            late = [seen.when for seen in sim.requests if seen.when > 0]
            assert min(late) >= 30
            assert len(set(late)) == len(late)

    async def test_block_longer_than_max_wait_raises_at_once(self) -> None:
        """A Retry-After beyond `max_wait` raises at once, also for the next call, which is not sent."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with over_socket(sim) as client:
            sim.fault(Fault(kind="rate_limited", retry_after=300))
            with pytest.raises(RateLimitError) as first:
                await client.builds.get("any")
            assert first.value.retry_after == 300
            with pytest.raises(RateLimitError, match="not sent") as second:
                await client.builds.get("any")
            assert second.value.retry_after == pytest.approx(300)
            assert second.value.attempts == 0
            assert len(sim.requests) == 1
