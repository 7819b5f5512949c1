"""A simulated hour of an account: many running builds followed while many Workers are looked up.

No socket: requests go through the simulator's transport, after a pause for the network, on a virtual clock.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean
from typing import TypeAlias

import msgspec

from builds_async import (
    BuildOutcome,
    LogLine,
    LogPage,
    NotFoundError,
    RateBudget,
    RateLimitError,
    RetryPolicy,
    TailLine,
)
from builds_async.live.demand import Demand
from builds_async.live.follow import LogFollower
from builds_async.live.tail import BuildTail
from builds_async.models.envelope import Envelope
from builds_async.resources.builds import DatedBuilds
from builds_async.session.encode import query
from builds_async.session.session import ApiSession
from builds_async.session.transport import Request, Response
from builds_async.simulator import BuildsSimulator, RateLimit, SimulatedBuild, VirtualClock
from tests.support.reading import read

LATENCY = 0.06
LINE_EVERY = 5.0
WINDOW = 300.0

_LOGS = msgspec.json.Decoder(Envelope[LogPage])

Client: TypeAlias = Callable[["Hour"], Coroutine[object, object, None]]


@dataclass
class Hour:
    """The account, and the lines that its client has received."""

    builds: int = 50
    workers: int = 1000
    seconds: float = 3600.0
    limit: int = 1200
    got: dict[str, list[LogLine]] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    blocked: set[int] = field(default_factory=set)  # seconds with a 429

    def __post_init__(self) -> None:
        self.clock = VirtualClock(idle_turns=6, keep_naps=1)
        self.sim = BuildsSimulator(
            clock=self.clock,
            epoch=datetime.fromtimestamp(0, UTC),  # a line's timestamp is the clock's, in milliseconds
            rate_limit=RateLimit(limit=self.limit, window=WINDOW),
            seed=1,
        )
        rng = random.Random(1)  # noqa: S311  # the same hour every time
        self.credentials = {"Authorization": f"Bearer {self.sim.api_token}"}
        self._wire = self.sim.transport
        self.running = [self._add_build(rng) for _ in range(self.builds)]
        tags = [build.external_script_id for build in self.running]
        self.tags = [*tags, *(self.sim.add_worker() for _ in range(self.workers - self.builds))]
        self.budget = RateBudget(limit=self.limit, window=WINDOW)
        session = ApiSession(
            self,
            f"/accounts/{self.sim.account_id}",
            retry=RetryPolicy(),
            budget=self.budget,
            max_in_flight=10,
            clock=self.clock,
            credentials=self.credentials,
            rng=rng.random,
        )
        self.calls, self.polls = DatedBuilds(session), DatedBuilds(session.polling())

    def _add_build(self, rng: random.Random) -> SimulatedBuild:
        """Add a build that writes a line about every five seconds until the hour is over."""
        moments: list[tuple[float, str]] = []
        now = rng.random() * LINE_EVERY
        while now < self.seconds:
            moments.append((now, f"line {len(moments)}"))
            now += LINE_EVERY * (0.5 + rng.random())
        return self.sim.add_build([*moments, (self.seconds, BuildOutcome.SUCCESS)])

    # The transport of the client.

    async def send(self, request: Request) -> Response:
        await self.clock.sleep(LATENCY / 2)
        response = await self._wire.send(request)
        self.statuses[response.status] += 1
        if response.status == 429:
            self.blocked.add(int(self.clock.now()))
        await self.clock.sleep(LATENCY / 2)
        return response

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""

    # The client's received lines.

    def take(self, build_uuid: str, line: LogLine) -> None:
        """Record a delivered line."""
        self.got.setdefault(build_uuid, []).append(line)
        self.lags.append(self.clock.now() - line.timestamp / 1000)

    @property
    def complete(self) -> bool:
        """Whether every line arrived once and in order."""
        return all(self.got.get(build.build_uuid, []) == list(build.lines) for build in self.running)

    @property
    def mean_lag(self) -> float:
        """The mean seconds from the writing of a line to its delivery."""
        return fmean(self.lags)

    @property
    def best_lag(self) -> float:
        """The mean lag if all polls not spent on lookups were spread evenly over the logs."""
        per_window = self.limit * 0.9 - self.workers / 20 * WINDOW / 60
        return self.builds / (per_window / WINDOW) / 2

    async def run(self, client: Client) -> None:
        """Let the hour pass."""
        lookups = asyncio.create_task(self._look_up_every_minute())
        await client(self)
        lookups.cancel()
        await asyncio.wait([lookups])

    async def _look_up_every_minute(self) -> None:
        while True:
            result = await self.calls.latest(self.tags)
            assert len(result.found) + len(result.missing) + len(result.failed) == self.workers
            await self.clock.sleep(60 - self.clock.now() % 60)


async def follow(hour: Hour) -> None:
    """One follower per build."""
    demand = Demand(hour.clock, hour.budget)

    async def one(build_uuid: str) -> None:
        async for line in LogFollower(hour.polls, build_uuid, clock=hour.clock, demand=demand):
            hour.take(build_uuid, line)

    await asyncio.gather(*(one(build.build_uuid) for build in hour.running))


async def tail(hour: Hour) -> None:
    """One tail over all Workers that build."""
    lines = BuildTail(
        hour.polls,
        hour.tags[: hour.builds],
        clock=hour.clock,
        interval=10.0,
        poll_interval=1.0,
        max_poll_interval=5.0,
        budget=hour.budget,
    )
    missing = {build.build_uuid: len(build._script) - 1 for build in hour.running}
    async for line in lines:
        if not isinstance(line, TailLine):
            continue
        hour.take(line.build.build_uuid, line.line)
        missing[line.build.build_uuid] -= 1
        if not any(missing.values()):
            break
    await lines.aclose()


async def naive(hour: Hour) -> None:
    """The naive loop: read each log every second by its cursor, and again after an error."""

    async def one(build: SimulatedBuild) -> None:
        path, cursor = f"/accounts/{hour.sim.account_id}/builds/builds/{build.build_uuid}/logs", None
        while hour.clock.now() < hour.seconds + WINDOW:
            try:
                request = Request("GET", path, query(cursor=cursor), headers=hour.credentials)
                response = await hour.send(request)
                page = read(response, _LOGS).result
            except (RateLimitError, NotFoundError):
                page = None
            if isinstance(page, LogPage):
                cursor = page.cursor
                for line in page.lines:
                    hour.take(build.build_uuid, line)
            await hour.clock.sleep(1)

    await asyncio.gather(*(one(build) for build in hour.running))
