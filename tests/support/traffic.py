"""A simulated account under load: the lines its builds write, and when a client receives them.

No socket: requests go through the simulator's transport, after a pause for the network, on a virtual clock.
The same load gives the same numbers in every run.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from statistics import fmean
from typing import TypeAlias

from builds_async import (
    BuildOutcome,
    BuildsClient,
    BuildStatus,
    LogLine,
    RateBudget,
    TailEnd,
    TailLine,
)
from builds_async.session.transport import Request, Response
from builds_async.simulator import BuildsSimulator, Moment, RateLimit, SimulatedBuild, VirtualClock

LATENCY = 0.06
WINDOW = 300.0
LIMIT = 1200
INITIALIZING = 3.0
EPOCH = datetime(2026, 11, 21, tzinfo=UTC)

Reader: TypeAlias = Callable[["Traffic"], Awaitable[object]]


class Traffic:
    """An account, the load on it, and the lines that a reader has received."""

    def __init__(self) -> None:
        self.clock = VirtualClock(idle_turns=8, keep_naps=1)
        self.sim = BuildsSimulator(
            clock=self.clock,
            epoch=EPOCH,
            rate_limit=RateLimit(limit=LIMIT, window=WINDOW),
            seed=1,
        )
        self._wire = self.sim.transport
        self.client = BuildsClient(
            account_id=self.sim.account_id,
            api_token=self.sim.api_token,
            transport=self,
            clock=self.clock,
            budget=RateBudget(limit=LIMIT, window=WINDOW),
        )
        self.builds: list[SimulatedBuild] = []
        self.tags: list[str] = []
        self.got: dict[str, list[LogLine]] = {}
        self.ends: Counter[str] = Counter()
        self.lags: list[float] = []
        self.first_lags: list[float] = []
        self.first_from = 0.0  # earlier builds do not count for `first_lags`
        self.statuses: Counter[int] = Counter()
        self.asked: Counter[str] = Counter()
        self._rng = random.Random(1)  # noqa: S311  # the same load every time
        self._work: list[asyncio.Task[None]] = []

    # The transport of the client.

    async def send(self, request: Request) -> Response:
        await self.clock.sleep(LATENCY / 2)
        response = await self._wire.send(request)
        self.statuses[response.status] += 1
        self.asked[kind_of(request)] += 1
        await self.clock.sleep(LATENCY / 2)
        return response

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""

    # The load.

    def add_workers(self, count: int) -> None:
        """Connect Workers."""
        self.tags += [self.sim.add_worker() for _ in range(count)]

    def add_build(self, tag: str, *, queued: float, duration: float, every: float) -> SimulatedBuild:
        """Add a build that is queued now, and writes a line every `every` seconds while it runs."""
        start = queued + min(INITIALIZING, duration / 2)
        moments: list[Moment] = [
            (queued, BuildStatus.INITIALIZING),
            (queued, "Initializing build environment..."),
            (start, BuildStatus.RUNNING),
        ]
        at = start
        while at < queued + duration:
            moments.append((at, f"line {len(moments)}"))
            at += every * (0.5 + self._rng.random())
        moments.append((queued + duration, BuildOutcome.SUCCESS))
        build = self.sim.add_build(moments, external_script_id=tag)
        self.builds.append(build)
        return build

    def push(self, *, at_once: int, duration: float = 93.0, every: float = 1.0) -> None:
        """Add a build to each Worker now; `at_once` of them run concurrently."""
        for number, tag in enumerate(self.tags):
            self.add_build(tag, queued=number // at_once * duration, duration=duration, every=every)

    def keep_building(
        self, *, running: int, duration: float = 180.0, every: float = 5.0, until: float = 900.0
    ) -> None:
        """Keep `running` builds running, each of a different Worker; a new one starts when one ends."""
        idle = list(self.tags)
        self._rng.shuffle(idle)
        for number in range(running):
            first = duration * (number + 1) / running  # they do not start in step
            self.spawn(self._slot(first, idle, duration, every, until))

    async def _slot(self, first: float, idle: list[str], duration: float, every: float, until: float) -> None:
        length = first
        while self.clock.now() < until:
            tag = idle.pop(0)
            self.add_build(tag, queued=0.0, duration=length, every=every)
            await self.clock.sleep(length)
            idle.insert(self._rng.randrange(len(idle) // 2, len(idle) + 1), tag)
            length = duration * (0.8 + 0.4 * self._rng.random())

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run a part of the load in the background."""
        self._work.append(asyncio.create_task(work))

    def add_queue(self) -> str:
        """A queue that receives the events of all builds of all Workers from now on."""
        return self.sim.add_queue()

    # The reader's received lines.

    def take(self, build_uuid: str, line: LogLine) -> None:
        """Record a delivered line."""
        lines = self.got.setdefault(build_uuid, [])
        lag = self.clock.now() - (line.timestamp / 1000 - EPOCH.timestamp())
        self.lags.append(lag)
        if not lines and self.clock.now() - lag >= self.first_from:
            self.first_lags.append(lag)
        lines.append(line)

    @property
    def complete(self) -> bool:
        """Whether every line arrived once and in order."""
        return all(self.got.get(it.build_uuid, []) == list(it.lines) for it in self.builds)

    @property
    def mean_lag(self) -> float:
        """The mean seconds from the writing of a line to its delivery."""
        return fmean(self.lags)

    @property
    def mean_first_lag(self) -> float:
        """The mean seconds from the writing of a build's first line to its delivery."""
        return fmean(self.first_lags)

    async def run(self, reader: Reader, seconds: float) -> None:
        """Let `seconds` pass while `reader` runs."""
        reading = asyncio.ensure_future(reader(self))
        alarm = asyncio.ensure_future(self.clock.sleep(seconds))
        try:
            await asyncio.wait({reading, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()  # a reader that fails must not look like a slow one
            await alarm
        finally:
            tasks = (reading, alarm, *self._work)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.client.aclose()


def kind_of(request: Request) -> str:
    """The kind of a request."""
    path = request.path
    if path.endswith(("/logs", "/latest", "/pull", "/ack")):
        return path.rpartition("/")[2]
    return "list" if path.endswith("/builds") else "get"


async def tail(traffic: Traffic, *, events: str | None = None) -> None:
    """One tail of all Workers."""
    async with traffic.client.tail(traffic.tags, events=events) as items:
        async for item in items:
            if isinstance(item, TailLine):
                traffic.take(item.build.build_uuid, item.line)
            elif isinstance(item, TailEnd):
                traffic.ends[item.build.build_uuid] += 1


async def follow(traffic: Traffic) -> None:
    """One follower per build."""

    async def one(build_uuid: str) -> None:
        async for line in traffic.client.follow(build_uuid):
            traffic.take(build_uuid, line)

    await asyncio.gather(*(one(build.build_uuid) for build in traffic.builds))
