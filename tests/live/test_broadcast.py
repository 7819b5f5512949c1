"""One log for many readers: each gets all lines at the cost of one reader, and none disturbs another."""

import asyncio
import sys
from collections.abc import Iterable
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds_async import (
    BuildOutcome,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    LogBroadcast,
    LogLine,
    LogSubscription,
    NotFoundError,
)
from builds_async.live.broadcast import MAX_READ
from builds_async.simulator import BuildsSimulator, Fault, SimulatedBuild, VirtualClock, build_script
from tests.support import nothing_left, settle, tasks


async def texts(reader: LogSubscription) -> list[str]:
    """All lines from the reader's position on."""
    return [line.message async for line in reader]


async def read_on(reader: LogSubscription, lines: list[LogLine]) -> BuildsError | None:
    """Append lines until the log ends or fails; return the error."""
    try:
        async for line in reader:
            lines.append(line)  # lines before an error count
    except BuildsError as error:
        return error
    return None


def written(build: SimulatedBuild) -> list[str]:
    """All lines that a build has written."""
    return [line.message for line in build.lines]


def add_build(sim: BuildsSimulator, lines: int, every: float = 1.0) -> SimulatedBuild:
    """A build that starts now and writes a line every `every` seconds."""
    moments = accumulate([every] * lines)
    script = [(at, f"line {number}") for number, at in enumerate(moments)]
    return sim.add_build([*script, (every * (lines + 1), BuildOutcome.SUCCESS)])


class TestReaders:
    @pytest.mark.slow
    async def test_hundred_for_the_price_of_one(self) -> None:
        """A hundred readers cost the requests of one, and each gets the whole log, late readers included."""
        costs: dict[int, int] = {}
        for count in (1, 100):
            clock = VirtualClock()
            sim = BuildsSimulator(clock=clock)
            async with sim.client(transport=sim.transport, base_url=None) as client:
                build = add_build(sim, 60)
                broadcast = client.broadcast(build.build_uuid)
                reading = []
                for _ in range(count):
                    reading.append(asyncio.ensure_future(texts(broadcast.subscribe())))
                    await clock.sleep(50 / count)
                assert {tuple(it) for it in await asyncio.gather(*reading)} == {tuple(written(build))}
                assert broadcast.build.build_outcome == "success"
                assert broadcast.complete
                assert await texts(broadcast.subscribe()) == written(build)
                costs[count] = len(sim.requests)
        assert costs[100] <= 1.1 * costs[1]

    async def test_one_for_all_calls(self) -> None:
        """While a broadcast is in use, each call for its build returns the same one."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client() as client:
            build = sim.add_finished_build(["one"])
            broadcast = client.broadcast(build.build_uuid)
            assert client.broadcast(build.build_uuid.upper()) is broadcast
            reader = client.broadcast(sim.add_finished_build(["two"]).build_uuid).subscribe()
            assert await texts(reader) == ["two"]
            del broadcast
            assert len(client._broadcasts) == 1

    async def test_slow_reader(self) -> None:
        """A slow reader does not stop the others, and causes no requests."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
            build = add_build(sim, 30)
            broadcast = client.broadcast(build.build_uuid)
            slow = broadcast.subscribe()
            assert (await anext(slow)).message == "line 0"
            assert await texts(broadcast.subscribe()) == written(build)
            before = len(sim.requests)
            assert await texts(slow) == written(build)[1:]
            assert len(sim.requests) == before

    async def test_requests_only_while_a_reader_waits(self) -> None:
        """While all readers are busy with their lines, no request is sent."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
            broadcast = client.broadcast(add_build(sim, 60).build_uuid)
            await anext(broadcast.subscribe())
            before = len(sim.requests)
            await clock.sleep(30)
            assert len(sim.requests) == before

    async def test_lines_are_kept_once(self) -> None:
        """All readers get the same line objects: there is one copy of the log."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client() as client:
            broadcast = client.broadcast(sim.add_finished_build(["one", "two"]).build_uuid)
            first, second = [[line async for line in broadcast.subscribe()] for _ in range(2)]
            assert [id(line) for line in first] == [id(line) for line in second]
            assert sys.getrefcount(first[0]) > 2

    async def test_place(self) -> None:
        """A reader resumes after N lines, also in a later broadcast; `read` returns many lines at once."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client() as client:
            lines = [f"line {number}" for number in range(MAX_READ + 500)]
            build = sim.add_finished_build(lines)
            broadcast = client.broadcast(build.build_uuid)
            assert await texts(broadcast.subscribe()) == lines
            reader = broadcast.subscribe(after=3)
            assert [line.message for line in await reader.read()] == lines[3 : MAX_READ + 3]
            assert reader.number == MAX_READ + 3
            assert (await anext(reader)).message == lines[MAX_READ + 3]
            del broadcast
            again = client.broadcast(build.build_uuid).subscribe(after=reader.number)
            assert await texts(again) == lines[reader.number :]
            assert await again.read() == ()
            assert await again.read() == ()

    async def test_misuse(self) -> None:
        """An invalid id or number of lines raises ValueError, and no build is known at first."""
        async with BuildsSimulator().client() as client:
            with pytest.raises(ValueError, match="can't be an id"):
                client.broadcast("a/b")
            broadcast = client.broadcast("unknown")
            with pytest.raises(ValueError, match="0 or more"):
                broadcast.subscribe(after=-1)
            with pytest.raises(RuntimeError, match="not known"):
                assert broadcast.build
            assert repr(broadcast) == "<LogBroadcast open with 0 lines>"


class TestLeaving:
    async def test_one_leaves(self) -> None:
        """A canceled reader harms no other, even if its wait has sent the request."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
            build = add_build(sim, 20)
            broadcast = client.broadcast(build.build_uuid)
            reading = [asyncio.ensure_future(texts(broadcast.subscribe())) for _ in range(5)]
            for it in reading[:4]:
                await clock.sleep(3.3)
                it.cancel()
            assert await reading[4] == written(build)

    async def test_last_one_leaves(self) -> None:
        """When the last reader has left, no task remains, and a later reader resumes the log."""
        async with nothing_left():
            clock = VirtualClock()
            sim = BuildsSimulator(clock=clock)
            async with sim.client(transport=sim.transport, base_url=None) as client:
                build = add_build(sim, 40)
                broadcast = client.broadcast(build.build_uuid)
                before = tasks()
                reading = asyncio.ensure_future(texts(broadcast.subscribe()))
                await clock.sleep(20)
                reading.cancel()
                await asyncio.wait({reading})
                assert tasks() == before
                asked = len(sim.requests)
                await clock.sleep(5)
                assert len(sim.requests) == asked
                assert await texts(broadcast.subscribe()) == written(build)
                logs = [seen.query.get("cursor") for seen in sim.requests if seen.path.endswith("/logs")]
                assert logs.count(None) == 1

    async def test_client_closes(self) -> None:
        """Closing the client ends waiting readers with a RuntimeError."""
        async with nothing_left():
            sim = BuildsSimulator(clock=VirtualClock())
            async with sim.client(transport=sim.transport, base_url=None) as client:
                broadcast = client.broadcast(sim.add_build().build_uuid)
                reading = [asyncio.ensure_future(texts(broadcast.subscribe())) for _ in range(3)]
                await settle()
                await client.aclose()
                results = await asyncio.gather(*reading, return_exceptions=True)
                assert [str(it) for it in results] == ["this broadcast is closed"] * 3
                assert {type(it) for it in results} == {RuntimeError}


class TestErrors:
    async def test_each_reader_once(self) -> None:
        """A failure reaches every reader once, slow ones included, and all of them may continue reading."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client(patience=10) as client:
            build = add_build(sim, 60)
            broadcast = client.broadcast(build.build_uuid)
            slow, first, second = (broadcast.subscribe() for _ in range(3))
            lines = [await anext(slow)]
            sim.fault(Fault("reset", times=None))
            results = await asyncio.gather(texts(first), texts(second), return_exceptions=True)
            assert [type(it) for it in results] == [BuildsConnectionError] * 2
            assert results[0] is not results[1]
            asked = len(sim.requests)
            error = await read_on(slow, lines)
            assert isinstance(error, BuildsConnectionError)
            assert len(sim.requests) == asked
            sim.clear_faults()
            rest = await asyncio.gather(texts(first), texts(second), texts(slow))
            seen = [line.message for line in lines]
            assert seen + rest[2] == written(build)
            assert rest[0] == rest[1] == written(build)[first.number - len(rest[0]) :]

    async def test_past_failure(self) -> None:
        """Neither a slow reader nor a new one gets an error that later lines have followed."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client(patience=0) as client:
            build = add_build(sim, 60)
            broadcast = client.broadcast(build.build_uuid)
            slow, quick = broadcast.subscribe(), broadcast.subscribe()
            await anext(slow)
            await clock.sleep(10)
            sim.fault(Fault("reset", times=4))
            with pytest.raises(BuildsConnectionError):
                await texts(quick)
            await anext(quick)
            assert await texts(slow) == written(build)[1:]
            assert await texts(broadcast.subscribe()) == written(build)

    async def test_unknown_build(self) -> None:
        """An unknown build raises NotFoundError for each reader."""
        sim = BuildsSimulator(clock=VirtualClock())
        async with sim.client() as client:
            broadcast = client.broadcast("unknown")
            readers = [texts(broadcast.subscribe()) for _ in range(3)]
            results = await asyncio.gather(*readers, return_exceptions=True)
            assert [type(it) for it in results] == [NotFoundError] * 3
            with pytest.raises(NotFoundError):
                await texts(broadcast.subscribe())


class Walk:
    """Readers of one broadcast that join, read, are canceled and leave at random."""

    def __init__(self, clock: VirtualClock, broadcast: LogBroadcast) -> None:
        self.clock = clock
        self.broadcast = broadcast
        self.readers: list[tuple[LogSubscription, list[str], int]] = []

    async def do(self, action: str, which: int, seconds: float) -> None:
        if action == "join" or not self.readers:
            after = which if action == "join" and self.readers else 0
            self.readers.append((self.broadcast.subscribe(after=after), [], after))
        elif action == "leave":
            self.readers.pop(which % len(self.readers))
        else:
            reading = [self.readers[number % len(self.readers)] for number in {which, which + 1}]
            reading = list({id(it): it for it in reading}.values())
            await asyncio.gather(*(self.take(*it[:2], action, seconds) for it in reading))

    async def take(self, reader: LogSubscription, got: list[str], how: str, seconds: float) -> None:
        """Read for `seconds`, then cancel."""

        async def read() -> None:
            while lines := await reader.read() if how == "read" else [await anext(reader)]:
                got.extend(line.message for line in lines)

        reading = asyncio.ensure_future(read())
        alarm = asyncio.ensure_future(self.clock.sleep(seconds))
        await asyncio.wait({reading, alarm}, return_when=asyncio.FIRST_COMPLETED)
        alarm.cancel()
        reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled() and (error := reading.exception()) is not None:
            assert isinstance(error, BuildsError | StopAsyncIteration | RuntimeError)

    async def finish(self, build: SimulatedBuild) -> None:
        for reader, got, after in self.readers:
            lines: list[LogLine] = []
            while await read_on(reader, lines) is not None:
                pass
            assert got + [line.message for line in lines] == written(build)[after:]


ACTIONS = st.tuples(
    st.sampled_from(["join", "leave", "read", "next", "next"]), st.integers(0, 9), st.floats(0, 20)
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    walk=st.lists(ACTIONS, max_size=15),
    faults=st.lists(st.tuples(st.sampled_from(["reset", "not_json"]), st.integers(0, 30)), max_size=5),
    queued=st.sampled_from([0.0, 2.0, 40.0]),
)
def test_every_reader_has_every_line(
    walk: Iterable[tuple[str, int, float]], faults: Iterable[tuple[str, int]], queued: float
) -> None:
    """Each reader gets every line once and in order, whatever readers do and requests fail."""

    async def run() -> None:
        async with nothing_left():
            clock = VirtualClock()
            sim = BuildsSimulator(clock=clock)
            client = BuildsClient(
                account_id=sim.account_id,
                api_token=sim.api_token,
                transport=sim.transport,
                clock=clock,
                patience=3,
            )
            async with client:
                build = sim.add_build(build_script(30, rate=1.0, queued=queued))
                sim.fault(*(Fault(kind, after=after, times=5) for kind, after in faults))  # type: ignore[arg-type]
                readers = Walk(clock, client.broadcast(build.build_uuid))
                for action in walk:
                    await readers.do(*action)
                await readers.finish(build)

    asyncio.run(run())


async def test_versions_and_preview_url() -> None:
    """A broadcast exposes the versions and the preview URL that its lines name to all readers."""
    sim = BuildsSimulator(clock=VirtualClock())
    build = sim.add_build(version_id="0f5c2e6a-1b3d-4c7e-9a8b-2d4f6a8c0e1f")
    url = "https://0f5c2e6a-shop.octo.workers.dev"
    async with sim.client() as client:
        log = client.broadcast(build.build_uuid)
        assert (log.versions, log.preview_url) == ((), None)
        build.emit(f"Worker Version ID: {build.version_id}", f"Version Preview URL: {url}")
        await log.subscribe().read()
        assert (log.versions, log.preview_url) == ((build.version_id,), url)


async def test_lines_and_steps_so_far() -> None:
    """A broadcast counts its lines so far and exposes the steps that they show to all readers."""
    sim = BuildsSimulator(clock=VirtualClock())
    build = sim.add_build()
    async with sim.client() as client:
        log = client.broadcast(build.build_uuid)
        assert (log.number, log.steps) == (0, ())
        build.emit("Cloning repository...", "Executing user build command: make")
        await log.subscribe(after=1).read()
        assert log.number == 2
        assert [step.name for step in log.steps][-2:] == ["clone", "build"]
