"""`client.tail` of a simulated account, over a socket where connections matter."""

import asyncio
from collections import defaultdict

import pytest

from builds_async import (
    AuthenticationError,
    PermissionDeniedError,
    TailPosition,
)
from builds_async.models.builds import BuildStatus
from builds_async.simulator import (
    BuildsSimulator,
    Fault,
    FaultKind,
    SimulatedBuild,
    TokenKind,
    VirtualClock,
    build_script,
)
from tests.live.tail.support import Got, collect, kept, no_complaints, script, texts, within
from tests.support import nothing_left, settle, tags
from tests.support.case import cases


class TestSimulated:
    @pytest.mark.slow
    async def test_a_day_of_a_bot(self) -> None:
        """A bot that restarts several times, with a new client each time, gets every line once."""
        sim = BuildsSimulator(clock=VirtualClock(), page_size=20)
        async with sim:
            ids = [sim.add_worker() for _ in range(30)]
            got: Got = defaultdict(list)
            builds: list[SimulatedBuild] = []
            start = TailPosition()
            for day in range(4):
                async with sim.client(transport=None) as client:
                    tail = client.tail(ids, start=start)
                    await collect(tail, sim.clock.now() + 11, got)
                    builds += [
                        sim.add_build(build_script(25, rate=2), external_script_id=tag) for tag in ids[day::9]
                    ]
                    await collect(tail, sim.clock.now() + 12, got)
                start = kept(tail.position)
                builds += [sim.add_build(build_script(5), external_script_id=tag) for tag in ids[day::13]]
                await sim.clock.sleep(5 + 20 * day)
            async with sim.client(transport=None) as client:
                await collect(client.tail(ids, start=start), sim.clock.now() + 120, got)
            assert got == texts(*builds)
            assert {seen.status for seen in sim.requests} == {200}

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "fault", ["reset", "cut_body", "not_json", "server_error", "rate_limited", "repeated_page"]
    )
    async def test_faults(self, fault: FaultKind) -> None:
        """A fault of any kind loses no line and repeats none."""
        sim = BuildsSimulator(clock=VirtualClock(), page_size=7)
        async with sim.client() as client:
            builds = [sim.add_build(build_script(20, queued=wait)) for wait in range(3)]
            sim.fault(*(Fault(kind=fault, after=after) for after in (0, 2, 3, 9, 11)))
            tail = client.tail([build.external_script_id for build in builds])
            assert await collect(tail, 90) == texts(*builds)

    @pytest.mark.parametrize(
        ("kind", "error"),
        [(None, AuthenticationError), (TokenKind.NO_PERMISSION, PermissionDeniedError)],
        ids=["wrong token", "no permission"],
    )
    async def test_wrong_credentials(self, kind: TokenKind | None, error: type[Exception]) -> None:
        """Wrong credentials raise one bare error at once."""
        sim = BuildsSimulator(clock=VirtualClock())
        with no_complaints():
            async with sim.client(api_token="wrong" if kind is None else sim.add_token(kind)) as client:
                with pytest.raises(error):
                    await anext(client.tail(tags(400)))
                assert len(sim.requests) <= 10

    @cases("wrong", ["", "..", "a/b", "a,b", "my-worker"])
    async def test_invalid_id(self, wrong: str) -> None:
        """An invalid id raises ValueError when the tail is created."""
        async with BuildsSimulator().client() as client:
            with pytest.raises(ValueError, match=r"can't be an id|is not the tag"):
                client.tail([*tags(1), wrong])

    @pytest.mark.parametrize("stall", ["/latest", "/logs"])
    async def test_nothing_is_left(self, stall: str) -> None:
        """A `break`, an error, a cancellation and closing the client leave no task and no connection."""
        async with nothing_left():
            sim = BuildsSimulator(clock=VirtualClock())
            async with sim, sim.client(transport=None) as client:
                builds = [sim.add_build(script(500)) for _ in range(15)]
                ids = [build.external_script_id for build in builds]
                async for _ in client.tail(ids):
                    break
                tail = client.tail(ids)
                assert await within(tail, 0.0) is None
                sim.fault(Fault(kind="rate_limited", retry_after=1))
                assert await within(tail, 30.0) is not None
                await sim.clock.sleep(60)
                sim.fault(Fault(kind="stall", path=stall, times=None))
                reader = asyncio.ensure_future(client.tail(ids).__anext__())
                while not sim.requests[-1].fault:
                    await asyncio.sleep(0)
                reader.cancel()
                await asyncio.wait({reader})
            while sim.connections:
                await asyncio.sleep(0)

    async def test_closing_the_client_ends_the_reader(self) -> None:
        """A reader that is waiting when its client closes gets a RuntimeError."""
        sim = BuildsSimulator(clock=VirtualClock())
        with no_complaints():
            async with sim:
                builds = [sim.add_build([(0.0, BuildStatus.RUNNING)]) for _ in range(5)]
                client = sim.client(transport=None)
                tail = client.tail([build.external_script_id for build in builds])
                sim.fault(Fault(kind="stall", path="/logs", times=None))
                reader = asyncio.ensure_future(tail.__anext__())
                while sum(seen.fault == "stall" for seen in sim.requests) < 5:
                    await asyncio.sleep(0)
                await client.aclose()
                await asyncio.wait({reader}, timeout=1)
                assert reader.done()
                assert not reader.cancelled()
                assert type(reader.exception()) is RuntimeError
                with pytest.raises(RuntimeError, match="closed"):
                    await anext(tail)

    async def test_closing_that_is_cancelled(self) -> None:
        """A client whose `aclose` is canceled has still closed its session."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with nothing_left(), sim:
            client = sim.client(transport=None)
            tail = client.tail([sim.add_build(script(50)).external_script_id])
            sim.fault(Fault(kind="stall", path="/logs", times=None))
            reader = asyncio.ensure_future(tail.__anext__())
            while not any(seen.fault for seen in sim.requests):
                await asyncio.sleep(0)
            closing = asyncio.ensure_future(client.aclose())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait({closing, reader})
            assert type(reader.exception()) is RuntimeError
            try:
                with pytest.raises(RuntimeError, match="closed"):
                    await client.builds.get("any")
            finally:
                await client.aclose()

    async def test_closed_client(self) -> None:
        """A tail of a closed client raises a RuntimeError that names the cause."""
        sim = BuildsSimulator(clock=VirtualClock())
        with no_complaints():
            async with sim.client() as client:
                tail = client.tail([sim.add_build(script(5)).external_script_id])
                await anext(tail)
                later = client.tail(tags(2))
            for it in (tail, later):
                with pytest.raises(RuntimeError, match="closed"):
                    await collect(it, sim.clock.now() + 30)
            await settle()
