"""Bots of a fleet on one virtual clock, which can be killed, paused and cut off."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import inf

from builds_async import LeaseLostError, PositionStore, RetryPolicy, TailBatches, TailPosition
from builds_async.fleet import EngineError, Fleet
from builds_async.fleet.group import Beat, Dead, Standing, UnknownWorkers
from builds_async.fleet.memory_group import MemoryGroup, MemoryGroups
from builds_async.live.stores import Saved
from builds_async.live.tail import BuildTail
from builds_async.session.clock import Clock
from builds_async.session.transport import Request, Response
from builds_async.simulator import BuildsSimulator
from tests.live.batches.support import Database, Transaction, rows_of
from tests.live.tail.support import Wire

Row = tuple[str, int, str]


class PausableClock:
    """A clock on which a process can be paused while time passes for others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.is_paused = False
        self.is_dead = False

    def now(self) -> float:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self.pass_through()

    async def pass_through(self) -> None:
        """Return unless the process is paused or was killed."""
        if self.is_dead:
            await self._clock.sleep(inf)
        while self.is_paused:
            await self._clock.sleep(0.25)


class Line(MemoryGroups):
    """One process's connection to a shared engine, which can be cut."""

    def __init__(self, shared: MemoryGroups, clock: PausableClock, rng: random.Random) -> None:
        super().__init__(clock, now=shared.now)
        self.shared = shared
        self.process = clock
        self.rng = rng
        self.is_cut = False
        self.losses = 0.0
        self._states = shared._states
        self._listeners = shared._listeners
        self.lists = shared.lists

    def group(self, name: str) -> "LineGroup":
        return LineGroup(self, name)

    async def lose(self) -> None:
        """Maybe lose a request or a response."""
        await self.process.pass_through()
        if self.is_cut or self.rng.random() < self.losses:
            await self.process.sleep(0.5)
            raise EngineError("the engine: no response within 0.5 s")
        await self.process.sleep(0.001)


class LineGroup(MemoryGroup):
    """A group that is reached through a `Line`."""

    def __init__(self, line: Line, name: str) -> None:
        super().__init__(line, name)
        self.line = line

    async def beat(self, beat: Beat) -> Standing | Dead | UnknownWorkers:
        await self.line.lose()
        answer = await super().beat(beat)
        await self.line.lose()
        return answer

    async def load(self, worker: str, fence: int) -> Saved | None:
        await self.line.lose()
        answer = await super().load(worker, fence)
        await self.line.lose()
        return answer

    async def save(
        self, worker: str, fence: int, seq: int, position: str, append: Sequence[str | bytes] = ()
    ) -> bool:
        await self.line.lose()
        answer = await super().save(worker, fence, seq, position, append)
        await self.line.lose()
        return answer

    async def release(self, member: str, workers: Mapping[str, int]) -> None:
        await self.line.lose()
        await super().release(member, workers)
        await self.line.lose()

    async def leave(self, member: str) -> None:
        await self.line.lose()
        await super().leave(member)


class BotWire(Wire):
    """One process's connection to the API."""

    def __init__(self, sim: BuildsSimulator, clock: PausableClock) -> None:
        super().__init__(sim, 0.02)
        self.process = clock

    async def send(self, request: Request) -> Response:
        await self.process.pass_through()
        response = await super().send(request)
        await self.process.pass_through()
        return response

    def tail(self, ids: Iterable[str], start: TailPosition | None = None, **_: object) -> BuildTail:
        return BuildTail(
            self.source(retry=RetryPolicy(attempts=2)),
            ids,
            clock=self.process,
            start=start,
            interval=5.0,
            poll_interval=1.0,
            max_poll_interval=3.0,
        )


class Bot:
    """A process that follows its part of some Workers until it is killed or leaves."""

    def __init__(
        self,
        sim: BuildsSimulator,
        shared: MemoryGroups,
        tags: Sequence[str],
        *,
        database: Database | None = None,
        rng: random.Random | None = None,
        lease: float = 3.0,
        name: str | None = None,
        max_lines: int = 20,
    ) -> None:
        rng = random.Random(1) if rng is None else rng  # noqa: S311  # the same walk every time
        self.clock = PausableClock(sim.clock)
        self.line = Line(shared, self.clock, rng)
        self.fleet = Fleet(self.line, group="g", lease=lease, name=name)
        self.wire = BotWire(sim, self.clock)
        self.tags = tags
        self.database = database
        self.max_lines = max_lines
        self.rows: list[Row] = []
        """The rows of a sink without transactions."""
        self.times: list[tuple[float, Row]] = []
        self.lost = 0
        self.on_batch: Callable[[], object] = lambda: None
        self.task = asyncio.create_task(self.run())

    @property
    def store(self) -> PositionStore | None:
        return self.database

    async def run(self) -> None:
        async with self.fleet:
            batches = TailBatches(
                self.tags,
                self.wire.tail,
                store=self.store,
                fleet=self.fleet,
                clock=self.clock,
                max_lines=self.max_lines,
            )
            async with batches:
                async for batch in batches:
                    await self.clock.sleep(0.01)  # the sink takes time
                    self.on_batch()
                    rows = rows_of(batch)
                    if self.database is None:
                        self.rows += rows
                    else:
                        transaction = Transaction()
                        transaction.rows += rows
                        try:
                            await batch.commit(transaction)
                        except LeaseLostError:
                            self.lost += 1
                            continue
                        self.database.apply(transaction)
                    self.times += [(self.clock.now(), row) for row in rows]

    async def kill(self) -> None:
        """Kill the bot at once: it saves nothing and hands nothing over."""
        self.clock.is_dead = True
        tasks = {self.task, *self.fleet._tasks}
        while not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()  # repeatedly, because its cleanup hangs, too
            await asyncio.sleep(0)

    async def leave(self) -> None:
        """Leave as a bot does on SIGTERM."""
        await self.fleet.leave()
        with suppress(asyncio.CancelledError):
            await self.task
