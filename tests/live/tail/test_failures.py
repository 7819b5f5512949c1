"""Failing requests: which errors are raised, which are in `failures`, and how fast they are retried."""

import msgspec
import pytest

from builds_async import (
    AuthenticationError,
    BuildsError,
    Counters,
    InternalServerError,
    PermissionDeniedError,
    RateLimitError,
    TailPosition,
)
from builds_async.models.logs import LogPage
from builds_async.simulator import (
    BuildsSimulator,
    Fault,
    RateLimit,
    VirtualClock,
)
from tests.live.tail.support import collect, next_line, no_complaints, script, texts, wire
from tests.support import settle


class TestFailures:
    async def test_log_that_stays_broken(self) -> None:
        """A failing log is in `failures` and is retried at the usual pace; the others continue."""
        it = wire()
        bad, good = (it.sim.add_build(script(20, end=100)) for _ in range(2))
        it.broken[f"{bad.build_uuid}/logs"] = InternalServerError("502", status=502)
        tail = it.tail([bad.external_script_id, good.external_script_id])
        got = await collect(tail, 60)
        assert got == texts(good)
        assert {key: repr(it) for key, it in tail.failures.items()} == {
            bad.build_uuid: "InternalServerError('502')"
        }
        assert len(it.sim.requests) < 250
        it.broken.clear()
        await collect(tail, 90, got)
        assert tail.failures == {}
        await collect(tail, 130, got)
        assert got == texts(good, bad)
        await tail.aclose()

    async def test_look_that_stays_broken(self) -> None:
        """While no look succeeds, open logs continue, and `failures` holds the error by Worker."""
        it = wire()
        build = it.sim.add_build(script(30))
        tail = it.tail([build.external_script_id])
        got = await collect(tail, 5)
        it.broken["/latest"] = InternalServerError("502", status=502)
        await collect(tail, 60, got)
        assert got == texts(build)
        assert {key: repr(it) for key, it in tail.failures.items()} == {
            build.external_script_id: "InternalServerError('502')"
        }
        it.broken.clear()
        await collect(tail, 90, got)
        assert tail.failures == {}
        assert tail.position.logs == {}
        await tail.aclose()

    async def test_restored_log_of_a_deleted_build(self) -> None:
        """A log in the position whose build no longer exists is dropped."""
        it = wire()
        tag = it.sim.add_worker()
        stored = {"workers": {}, "logs": {"gone": {"external_script_id": tag, "position": {}}}}
        tail = it.tail([tag], msgspec.convert(stored, TailPosition))
        assert await collect(tail, 60) == {}
        assert tail.position.logs == {}
        assert tail.failures == {}
        assert it.asked()["status"] <= 2
        await tail.aclose()

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
    async def test_wrong_credentials(self, kind: type[BuildsError]) -> None:
        """Credentials that become invalid raise one bare error, and a loop that retries is throttled."""
        it = wire()
        builds = [it.sim.add_build(script(60)) for _ in range(20)]
        tail = it.tail([build.external_script_id for build in builds])
        with no_complaints():
            got = await collect(tail, 5)
            it.broken["/"] = kind("no")
            raised = 0
            while it.sim.clock.now() < 15:
                try:
                    line = await next_line(tail)
                except kind:
                    raised += 1
                else:
                    got[line.build.build_uuid].append(line.line.message)
            assert 1 <= raised <= 20 * 15
            it.broken.clear()
            await collect(tail, 100, got)
            it.broken["/"] = kind("no")
            with pytest.raises(kind):
                await collect(tail, 200, got)
            await settle()
            await tail.aclose()
            del tail
        assert {uuid: lines[-1] for uuid, lines in got.items()} == {
            build.build_uuid: "line 59" for build in builds
        }

    @pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
    async def test_log_that_may_not_be_read(self, kind: type[BuildsError]) -> None:
        """A 401 or 403 for a log ends the tail, even if all other requests succeed."""
        it = wire()
        build = it.sim.add_build(script(60))
        tail = it.tail([build.external_script_id])
        got = await collect(tail, 5)
        it.broken["/logs"] = kind("no")
        with pytest.raises(kind) as caught:
            await collect(tail, 30, got)
        assert caught.value.message == "no"
        assert tail.failures == {}
        it.broken.clear()
        await collect(tail, 100, got)
        assert got == texts(build)
        await tail.aclose()

    @pytest.mark.parametrize("closed", [True, False], ids=["closed", "dropped"])
    async def test_errors_of_many_logs_at_once(self, closed: bool) -> None:
        """When all logs fail at once, one error is raised, and asyncio logs none of the others."""
        it = wire(latency=0.5)
        builds = [it.sim.add_build(script(60)) for _ in range(9)]
        tail = it.tail([build.external_script_id for build in builds])
        with no_complaints():
            await collect(tail, 1.7)
            it.broken["/logs"] = AuthenticationError("revoked")
            with pytest.raises(AuthenticationError):
                await collect(tail, 60)
            await it.sim.clock.sleep(5)
            if closed:
                await tail.aclose()
            it.broken.clear()  # otherwise its traceback keeps the tasks alive
            del tail

    async def test_long_block_does_not_spin(self) -> None:
        """While the API blocks all requests, none is sent, and no log is tried more often than usual."""
        it = wire()
        builds = [it.sim.add_build(script(50, every=5.0)) for _ in range(11)]
        source, tried = it.source(), []
        ask = source.logs

        async def logs(build_uuid: str, *, cursor: str | None = None) -> LogPage:
            tried.append(build_uuid)
            return await ask(build_uuid, cursor=cursor)

        source.logs = logs  # type: ignore[method-assign]  # to count
        tail = it.tail([build.external_script_id for build in builds], source=source)
        got = await collect(tail, 5)
        it.sim.fault(Fault(kind="rate_limited", retry_after=300))
        await collect(tail, 7, got)
        it.asked()
        tried.clear()
        await collect(tail, 240, got)
        assert it.asked().total() == 0
        assert len(tried) <= 11 * 240
        assert {type(error) for error in tail.failures.values()} == {RateLimitError}
        await collect(tail, 500, got)
        assert got == texts(*builds)
        await tail.aclose()

    @pytest.mark.slow
    async def test_limit_is_never_met(self) -> None:
        """Sixty concurrent builds stay within the account's limit, and all lines arrive."""
        it = wire(rate_limit=RateLimit())
        builds = [it.sim.add_build(script(30, every=5.0)) for _ in range(60)]
        tail = it.tail([build.external_script_id for build in builds])
        assert await collect(tail, 400) == texts(*builds)
        assert {seen.status for seen in it.sim.requests} == {200}
        await tail.aclose()


class TestReports:
    """An outage is one warning in the log, however many requests fail."""

    async def test_one_log_alone(self, caplog: pytest.LogCaptureFixture) -> None:
        """A log that stays broken is one outage, which ends at the next success, and one warning."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
        counters = Counters()
        async with sim.client(clock=sim.clock, observer=counters) as client:
            bad, good = (sim.add_build(script(200)) for _ in range(2))
            sim.fault(Fault("server_error", path=f"{bad.build_uuid}/logs", times=None))
            tail = client.tail([bad.external_script_id, good.external_script_id])
            assert await collect(tail, 100) == {good.build_uuid: texts(good)[good.build_uuid][:100]}
            await tail.aclose()
        warnings = [it.getMessage() for it in caplog.records if it.levelname == "WARNING"]
        assert [it.partition(": ")[0] for it in warnings] == [
            "tail",
            f"the log of build {bad.build_uuid} can't be read",
        ]
        assert counters.outages == 1

    @pytest.mark.slow
    async def test_outage(self, caplog: pytest.LogCaptureFixture) -> None:
        """An outage is one warning for all logs and one for all Workers."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
        counters = Counters()
        async with sim.client(clock=sim.clock, observer=counters) as client:
            builds = [sim.add_build(script(60)) for _ in range(30)]
            tail = client.tail([it.external_script_id for it in builds])
            got = await collect(tail, 10)
            sim.fault(Fault("server_error", times=None))
            await collect(tail, 50, got)
            sim.clear_faults()
            await collect(tail, 120, got)
            assert got == texts(*builds)
            await tail.aclose()
        warnings = [it.getMessage() for it in caplog.records if it.levelname == "WARNING"]
        assert len(warnings) == len({it.partition(": ")[0] for it in warnings}) <= 2
        assert counters.outages == 1
