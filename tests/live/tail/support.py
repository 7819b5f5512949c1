"""The simulator behind a tail, without a socket."""

import asyncio
import gc
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from builds_async import (
    BuildsClient,
    BuildsError,
    RateBudget,
    RetryPolicy,
    TailEnd,
    TailItem,
    TailLine,
    TailPosition,
)
from builds_async.live.tail import BuildTail
from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.resources.builds import DatedBuilds
from builds_async.session.session import ApiSession
from builds_async.session.transport import Request, Response
from builds_async.simulator import (
    BuildDetails,
    BuildsSimulator,
    Moment,
    SimulatedBuild,
    VirtualClock,
)
from tests.support.clock import canceled_after


class Wire:
    """The simulator's API without a socket. A response takes `latency` seconds of the clock."""

    def __init__(self, sim: BuildsSimulator, latency: float = 0.0) -> None:
        self.sim = sim
        self.latency = latency
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.responded: Counter[str] = Counter()
        self.broken: dict[str, BuildsError] = {}
        self.planned: list[tuple[float, BuildDetails, list[Moment]]] = []  # future builds
        self.first_look: float | None = None
        self.stale: dict[str, SimulatedBuild] = {}  # stale latest builds, by Worker
        latest = sim._account.latest
        sim._account.latest = lambda tag: self.stale.get(tag) or latest(tag)  # type: ignore[method-assign]
        self._served = sim.transport

    async def send(self, request: Request) -> Response:
        path = request.path
        kind = "look" if "/latest" in path else "list" if "/workers/" in path else path.rpartition("/")[2]
        kind = kind if kind in {"look", "list", "logs"} else "status"
        self.under_way[kind] += 1
        self.most[kind] = max(self.most[kind], self.under_way[kind])
        try:
            await self.sim.clock.sleep(self.latency)
        finally:
            self.under_way[kind] -= 1
        self.plant()
        response = await self._served.send(request)
        for part, error in self.broken.items():
            if part in path:
                raise error
        if kind == "look" and response.status == 200 and self.sim.requests[-1].fault is None:
            self.first_look = self.sim.clock.now() if self.first_look is None else self.first_look
        self.responded[kind] += 1
        return response

    def plant(self) -> None:
        """Add the builds that have begun by now."""
        while self.planned and self.planned[0][0] <= self.sim.clock.now():
            created, details, script = self.planned.pop(0)
            self.sim._add_build(details, script, created)

    def check_open(self) -> None: ...

    async def aclose(self) -> None: ...

    def source(self, **options: Any) -> DatedBuilds:
        """The source of a client's tail."""
        options = {"retry": RetryPolicy(attempts=2), "budget": RateBudget(), **options}
        session = ApiSession(
            self,
            f"/accounts/{self.sim.account_id}",
            credentials={"Authorization": f"Bearer {self.sim.api_token}"},
            max_in_flight=100,
            clock=self.sim.clock,
            **options,
        )
        return DatedBuilds(session.polling())

    def tail(
        self, ids: Iterable[str], start: TailPosition | None = None, *, source: DatedBuilds | None = None
    ) -> BuildTail:
        return BuildTail(
            source or self.source(),
            ids,
            clock=self.sim.clock,
            start=start,
            interval=10.0,
            poll_interval=1.0,
            max_poll_interval=5.0,
        )

    def asked(self) -> Counter[str]:
        """Return the number of responses of each kind since the last call."""
        responded, self.responded = self.responded, Counter()
        return responded


def wire(latency: float = 0.0, **options: Any) -> Wire:
    options = {"rate_limit": None, **options}
    return Wire(BuildsSimulator(clock=VirtualClock(idle_turns=15), **options), latency)


def simulated() -> tuple[BuildsSimulator, BuildsClient]:
    """A simulator and a client for it without a socket."""
    sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
    return sim, sim.client(clock=sim.clock)


async def next_line(tail: BuildTail) -> TailLine:
    """The next line. Ends are skipped."""
    async for item in tail:
        if isinstance(item, TailLine):
            return item
    raise StopAsyncIteration


async def within(tail: BuildTail, seconds: float) -> TailLine | None:
    """The next line. If none arrives within `seconds`, cancel the step and return None."""
    until = tail._clock.now() + seconds
    while True:
        item = await item_within(tail, until - tail._clock.now())
        if not isinstance(item, TailEnd):
            return item


async def item_within(tail: BuildTail, seconds: float) -> TailItem | None:
    """The next line or end. If none arrives within `seconds`, cancel the step and return None."""
    return await canceled_after(tail._clock, anext(tail), seconds)


Got = dict[str, list[str]]


async def collect(tail: BuildTail, until: float, got: Got | None = None) -> Got:
    """The texts that arrive before a point in time, by build UUID."""
    got = defaultdict(list) if got is None else got
    while (left := until - tail._clock.now()) > 0:
        if (line := await within(tail, left)) is not None:
            got[line.build.build_uuid].append(line.line.message)
    return got


def texts(*builds: SimulatedBuild) -> Got:
    return {build.build_uuid: [line.message for line in build.lines] for build in builds}


def kept(position: TailPosition) -> TailPosition:
    """The position after a round trip through JSON."""
    decoded = msgspec.json.decode(msgspec.json.encode(position), type=TailPosition)
    assert decoded == position
    return decoded


def script(lines: int, *, start: float = 0.0, every: float = 1.0, end: float | None = None) -> list[Moment]:
    """A build that starts running after `start` seconds and writes a line every `every` seconds."""
    after = start + lines * every if end is None else end
    return [
        (start, BuildStatus.RUNNING),
        *((start + n * every, f"line {n}") for n in range(lines)),
        (after, BuildOutcome.SUCCESS),
    ]


@contextmanager
def no_complaints() -> Iterator[None]:
    """Assert that asyncio reports no exception that was never retrieved."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        yield
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert [it["message"] for it in complaints] == []
