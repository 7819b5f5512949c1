"""Starting builds against a simulator whose responses get lost."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
from multidict import CIMultiDict

from builds_async import (
    Build,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    InternalServerError,
    RateBudget,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.resources.builds import Builds, DatedBuilds
from builds_async.resources.previews import Previews
from builds_async.resources.trigger_starts import TriggerStarts
from builds_async.resources.triggers import Triggers
from builds_async.resources.workers import Workers
from builds_async.session.session import ApiSession
from builds_async.session.transport import Request, Response
from builds_async.simulator import (
    BuildDetails,
    BuildsSimulator,
    SimulatedBuild,
    VirtualClock,
)
from tests.support import FakeClock

FAR = datetime(2020, 2, 3, 4, 5, 6, 700_000, UTC)
"""The server's date, years away from the machine's."""

COMMIT = "5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d"

Lose = Callable[[Response], Response]
"""Returns a replacement for the response, or raises."""


def _connection(_: Response) -> Response:
    raise BuildsConnectionError("the response was cut short")


def _timeout(_: Response) -> Response:
    raise BuildsTimeoutError("no whole response within 30 s")


def instead(status: int, body: bytes) -> Lose:
    return lambda response: Response(status, response.headers, body)


LOST: dict[str, tuple[Lose, type[BuildsError]]] = {
    "connection": (_connection, BuildsConnectionError),
    "timeout": (_timeout, BuildsTimeoutError),
    "500": (instead(500, b'{"success":false,"errors":[],"result":null}'), InternalServerError),
    "502 HTML": (instead(502, b"<html>"), InternalServerError),
    "504 text": (instead(504, b"upstream request timeout"), InternalServerError),
    "520 empty": (instead(520, b""), InternalServerError),
    "200 HTML": (instead(200, b"<html>"), ResponseDecodeError),
    "200 empty": (instead(200, b""), ResponseDecodeError),
    "200 cut": (lambda it: Response(200, it.headers, it.body[:40]), ResponseDecodeError),
    "200 null": (instead(200, b'{"success":true,"result":null}'), ResponseDecodeError),
    "200 bare": (instead(200, b'{"success":true}'), ResponseDecodeError),
    "200 of other shape": (instead(200, b'{"success":true,"result":[]}'), ResponseDecodeError),
}


class Wire:
    """A transport to the simulator that needs no event loop and loses responses to POST.

    `losses` are for the POSTs in turn, None for no loss: the replacement for the response, and whether the
    request arrived. `after_post` is called after each POST. `made` has the build of each POST, if any.
    `failing` may replace the response to any request; `gates` hold back the responses to POSTs in turn.
    """

    def __init__(self, sim: BuildsSimulator) -> None:
        self.sim = sim
        self._served = sim.transport
        self.losses: deque[tuple[Lose, bool] | None] = deque()
        self.after_post: Callable[[], object] = lambda: None
        self.sent: list[tuple[str, str]] = []
        self.made: list[str | None] = []
        self.failing: Callable[[str, str], Response | None] = lambda _method, _path: None
        self.gates: deque[asyncio.Event | None] = deque()
        self.headers: dict[str, str] = {}

    async def send(self, request: Request) -> Response:
        assert not request.secrets
        assert not request.anonymous
        method, path = request.method, request.path
        self.sent.append((method, path.removeprefix(f"/accounts/{self.sim.account_id}")))
        if (failure := self.failing(method, path)) is not None:
            return failure
        loss = self.losses.popleft() if method == "POST" and self.losses else None
        gate = self.gates.popleft() if method == "POST" and self.gates else None
        await asyncio.sleep(0)  # a cancellation can strike here and below: before and after the arrival
        before = len(self.sim.builds)
        arrives = loss is None or loss[1]
        response = await self._serve(request if arrives else Request("GET", "/nothing"))
        if method == "POST":
            made = [*self.sim.builds][before:]
            self.made.append(made[0] if made else None)
            self.after_post()
        if gate is not None:
            await gate.wait()
        await asyncio.sleep(0)
        return response if loss is None else loss[0](response)

    async def _serve(self, request: Request) -> Response:
        response = await self._served.send(request)
        return Response(response.status, CIMultiDict({**response.headers, **self.headers}), response.body)

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""

    @property
    def posts(self) -> int:
        return len([it for it in self.sent if it[0] == "POST"])


class Shop:
    """A Worker with triggers for `main` and for other branches, a preview, and the client's parts."""

    def __init__(self, clock: FakeClock | VirtualClock | None = None, epoch: datetime = FAR) -> None:
        self.clock = FakeClock(1000.0) if clock is None else clock
        self.sim = BuildsSimulator(clock=self.clock, epoch=epoch, seed=1, started_builds=lambda _: ())
        self.tag = self.sim.add_worker("shop")
        self.others = self.sim.add_trigger(self.tag)
        self.preview = self.sim.add_preview(self.tag, "feature")
        self.wire = Wire(self.sim)
        self.session = ApiSession(
            self.wire,
            f"/accounts/{self.sim.account_id}",
            retry=RetryPolicy(),
            budget=RateBudget(),
            max_in_flight=10,
            clock=self.clock,
            credentials={"Authorization": f"Bearer {self.sim.api_token}"},
            rng=lambda: 0.0,
        )
        starts = TriggerStarts(self.session, DatedBuilds(self.session), Workers(self.session))
        self.builds = Builds(self.session, starts)
        self.triggers = Triggers(self.session, starts)
        self.previews = Previews(self.session)
        worker = self.sim._account.scripts[self.tag]
        self.main = next(it.trigger_uuid for it in worker.triggers if "main" in it.branch_includes)

    async def know(self) -> None:
        """Let the client list the triggers, so that it knows their Worker."""
        await self.triggers.list(self.tag)
        self.wire.sent.clear()

    def lose(self, name: str = "connection", *, arrived: bool = True) -> None:
        self.wire.losses.append((LOST[name][0], arrived))

    def meanwhile(self, **details: object) -> list[SimulatedBuild]:
        """Add another build right after the next POST."""
        added: list[SimulatedBuild] = []

        def add() -> None:
            self.wire.after_post = lambda: None
            added.append(self.add(**details))

        self.wire.after_post = add
        return added

    def add(self, **details: object) -> SimulatedBuild:
        """Add someone else's build now; by default of the production trigger, started by hand."""
        options = {"external_script_id": self.tag, "source": "manual", **details}
        return self.sim._add_build(msgspec.convert(options, BuildDetails), ())

    async def start(self, branch: str | None = "main", commit_hash: str | None = None) -> Build:
        return await self.triggers.start_build(self.main, branch=branch, commit_hash=commit_hash)

    async def start_preview(self, branch: str | None = "feature") -> Build:
        return await self.previews.start_build(self.tag, self.preview, branch=branch)


Start = Callable[[Shop], Awaitable[Build]]
STARTS: dict[str, Start] = {
    "trigger": lambda shop: shop.start(),
    "preview": lambda shop: shop.start_preview(),
}
