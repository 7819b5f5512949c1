"""Starting builds: one request makes one build, and a call gives the build of its own request, or raises."""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    Build,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateBudget,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.models.seeds import SeedFile, SeedRepo
from builds_async.resources.builds import DatedBuilds
from builds_async.resources.previews import Previews
from builds_async.resources.starting import BETWEEN_LOOKUPS, LOOKUPS
from builds_async.resources.triggers import Triggers
from builds_async.resources.workers import Workers
from builds_async.session.session import ApiSession
from builds_async.session.transport import Request, Response
from builds_async.simulator import (
    BuildDetails,
    BuildsSimulator,
    Fault,
    FaultKind,
    SimulatedBuild,
    VirtualClock,
)
from builds_async.simulator.views import Views
from tests.support import ACCOUNT, BUILD_UUID, TOKEN, FakeClock, drive, nothing_left

FAR = datetime(2020, 2, 3, 4, 5, 6, 700_000, UTC)
"""The server's date, years from the machine's."""

COMMIT = "5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d"

Lose = Callable[[Response], Response]


def _connection(_: Response) -> Response:
    raise BuildsConnectionError("the response was cut short")


def _timeout(_: Response) -> Response:
    raise BuildsTimeoutError("no complete response within 30 s")


def _instead(status: int, body: bytes) -> Lose:
    return lambda answer: Response(status, answer.headers, body)


LOST: dict[str, tuple[Lose, type[BuildsError]]] = {
    "connection": (_connection, BuildsConnectionError),
    "time-out": (_timeout, BuildsTimeoutError),
    "500": (_instead(500, b'{"success":false,"errors":[],"result":null}'), InternalServerError),
    "502 HTML": (_instead(502, b"<html>"), InternalServerError),
    "504 text": (_instead(504, b"upstream request timeout"), InternalServerError),
    "520 empty": (_instead(520, b""), InternalServerError),
    "200 HTML": (_instead(200, b"<html>"), ResponseDecodeError),
    "200 empty": (_instead(200, b""), ResponseDecodeError),
    "200 cut": (lambda it: Response(200, it.headers, it.body[:40]), ResponseDecodeError),
    "200 null": (_instead(200, b'{"success":true,"result":null}'), ResponseDecodeError),
    "200 bare": (_instead(200, b'{"success":true}'), ResponseDecodeError),
    "200 of other shape": (_instead(200, b'{"success":true,"result":[]}'), ResponseDecodeError),
}


class Wire:
    """The simulated API without a socket, on which answers to POST get lost.

    `losses` are of the POSTs in turn, None for none: what comes in place of the answer, and whether the
    request has arrived. `after_post` is called behind each POST. `made` has the build of each, if any.
    """

    def __init__(self, sim: BuildsSimulator) -> None:
        self.sim = sim
        self._simulated = sim.transport
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
        before = len(self.sim.builds)
        arrives = loss is None or loss[1]
        answer = await self._ask(request if arrives else Request("GET", "/nothing"))
        if method == "POST":
            made = [*self.sim.builds][before:]
            self.made.append(made[0] if made else None)
            self.after_post()
        if gate is not None:
            await gate.wait()
        await asyncio.sleep(0)
        return answer if loss is None else loss[0](answer)

    async def _ask(self, request: Request) -> Response:
        answer = await self._simulated.send(request)
        return Response(answer.status, CIMultiDict({**answer.headers, **self.headers}), answer.body)

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""

    @property
    def posts(self) -> int:
        return len([it for it in self.sent if it[0] == "POST"])


class Shop:
    """A Worker with a trigger for `main`, one for all other branches and a preview, and who starts builds."""

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
        self.builds = DatedBuilds(self.session)
        self.triggers = Triggers(self.session, self.builds, Workers(self.session))
        self.previews = Previews(self.session)
        worker = self.sim._account.scripts[self.tag]
        self.main = next(it.trigger_uuid for it in worker.triggers if "main" in it.branch_includes)

    async def know(self) -> None:
        """Let the client see the triggers."""
        await self.triggers.list(self.tag)
        self.wire.sent.clear()

    def lose(self, name: str = "connection", *, arrived: bool = True) -> None:
        self.wire.losses.append((LOST[name][0], arrived))

    def meanwhile(self, **details: object) -> list[SimulatedBuild]:
        """Let there be another build behind the next POST."""
        added: list[SimulatedBuild] = []

        def add() -> None:
            self.wire.after_post = lambda: None
            added.append(self.add(**details))

        self.wire.after_post = add
        return added

    def add(self, **details: object) -> SimulatedBuild:
        """A build that is not ours, made now. By default of our trigger, by hand."""
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


@pytest.fixture
def shop() -> Shop:
    return Shop()


class TestLostAnswer:
    @pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
    @pytest.mark.parametrize("how", LOST)
    async def test_build_is_found(self, how: str, start: Start, shop: Shop) -> None:
        """However an answer gets lost, the build that was started is given, and was asked for once."""
        await shop.know()
        shop.lose(how)
        build = await start(shop)
        assert build.build_uuid == shop.wire.made[0]
        assert [method for method, _ in shop.wire.sent] == ["POST", "GET"]
        assert len(shop.sim.builds) == 1

    @pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
    @pytest.mark.parametrize("how", LOST)
    async def test_no_build(self, how: str, start: Start, shop: Shop) -> None:
        """Without a build the loss itself is raised after some looks, and says what is not known."""
        await shop.know()
        shop.lose(how, arrived=False)
        with pytest.raises(LOST[how][1], match="started is unknown, no build of branch") as caught:
            await start(shop)
        assert shop.wire.posts == 1
        assert caught.value.attempts == 1
        assert caught.value.method == "POST"
        assert "look at the Worker's latest build" in str(caught.value)
        assert isinstance(shop.clock, FakeClock)
        assert shop.clock.naps == [BETWEEN_LOOKUPS] * (LOOKUPS - 1)

    @pytest.mark.parametrize("seconds", [30.0, 300.0])
    async def test_answer_that_is_lost_late(self, seconds: float, shop: Shop) -> None:
        """The build is as old as the time-out was long, and is found all the same; an older one is not."""
        await shop.know()
        shop.add(commit_hash="")
        shop.clock.advance(1)  # type: ignore[union-attr]  # a FakeClock
        shop.wire.after_post = lambda: shop.clock.advance(seconds)  # type: ignore[union-attr]
        shop.lose("time-out")
        assert (await shop.start()).build_uuid == shop.wire.made[0]
        shop.lose("time-out", arrived=False)
        with pytest.raises(BuildsTimeoutError, match="no build of branch main was found"):
            await shop.start()

    async def test_odd_build_of_another_worker(self, shop: Shop) -> None:
        """A Worker whose latest build can't be read does not keep the build of ours from being found."""
        other = shop.sim.add_worker("other")
        shop.lose()
        looks: list[str] = []

        def answered(_: str, path: str) -> Response | None:
            if not path.endswith("/latest"):
                return None
            looks.append(path)
            build = shop.sim._account.latest(shop.tag) if len(looks) == LOOKUPS else None
            builds = {other: {}, shop.tag: build and Views(shop.sim._account).build(build)}
            return Response(
                200, CIMultiDict(), msgspec.json.encode({"success": True, "result": {"builds": builds}})
            )

        shop.wire.failing = answered
        assert (await shop.start()).build_uuid == shop.wire.made[0]

    @pytest.mark.parametrize("looks", range(LOOKUPS))
    async def test_build_that_appears_late(self, looks: int, shop: Shop) -> None:
        """A build that shows itself only some seconds after the answer was lost is found as well."""
        await shop.know()
        shop.lose(arrived=False)
        seen = 0

        def show(method: str, path: str) -> None:
            nonlocal seen
            if method == "GET" and path.endswith("/latest"):
                if seen == looks:
                    late.append(shop.add(commit_hash=""))
                seen += 1

        late: list[SimulatedBuild] = []
        shop.wire.failing = show
        assert (await shop.start()).build_uuid == late[0].build_uuid
        assert shop.wire.posts == 1

    @pytest.mark.parametrize(
        ("kind", "headers_sent"), [("cut_body", False), ("reset", False), ("stall", False), ("stall", True)]
    )
    async def test_on_a_socket(self, kind: FaultKind, headers_sent: bool) -> None:
        """A cut body, a reset and a stall on a real connection are such losses, and leave nothing behind."""
        async with nothing_left():
            sim = BuildsSimulator(clock=VirtualClock(idle_turns=20), epoch=FAR)
            async with (
                sim,
                BuildsClient(
                    account_id=sim.account_id,
                    api_token=sim.api_token,
                    base_url=sim.url,
                    clock=sim.clock,
                    timeout=0.1 if kind == "stall" else 30.0,
                ) as client,
            ):
                tag = sim.add_worker()
                (trigger,) = await client.triggers.list(tag)
                assert trigger.trigger_uuid is not None
                sim.fault(Fault(kind, method="POST", headers_sent=headers_sent))
                build = await client.triggers.start_build(trigger.trigger_uuid, branch="main")
                assert [build.build_uuid] == [*sim.builds]
                assert len([it for it in sim.requests if it.method == "POST"]) == 1

    @pytest.mark.parametrize("hours", [-1000, -5, -1, 0, 1, 5, 1000])
    async def test_clocks_that_are_hours_apart(self, hours: int) -> None:
        """What counts is the server's clock, however wrong the machine's is."""
        shop = Shop(epoch=datetime.now(UTC) + timedelta(hours=hours))
        await shop.know()
        shop.add()
        shop.clock.advance(1)  # type: ignore[union-attr]  # a FakeClock
        shop.lose()
        assert (await shop.start()).build_uuid == shop.wire.made[0]
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            await shop.start()

    @pytest.mark.parametrize(
        "date",
        [
            "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
            "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
            "Mon, 01 Jan 9999 23:59:59 -2359",
            "",
            "soon",
            "\x00",
        ],
        ids=["year", "zone", "end of time", "empty", "word", "NUL"],
    )
    async def test_odd_date(self, date: str, shop: Shop) -> None:
        """A date of the server's that is none does no harm: the loss is raised, or a build is found."""
        await shop.know()
        shop.wire.headers = {"Date": date}
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            await shop.start()


FOREIGN: tuple[dict[str, object], ...] = (
    {"source": "push"},
    {"source": "push_event"},
    {"source": "pull_request"},
    {"source": "deploy_hook", "deploy_hook_name": "nightly"},
    {"branch": "other"},
    {"branch": "Main", "trigger_uuid": "main"},
    {"branch": "main", "trigger_uuid": "others"},
    {"source": "api", "branch": "feature/main", "trigger_uuid": "others"},
)


class TestOthers:
    def test_own_first_build(self, shop: Shop) -> None:
        """A second start whose request never arrived does not give the build of the first."""
        drive(shop.know())
        first = drive(shop.start())
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            drive(shop.start())
        shop.lose()
        third = drive(shop.start())
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            drive(shop.start())
        assert [first.build_uuid, None, third.build_uuid, None] == shop.wire.made

    def test_own_first_build_of_a_preview(self, shop: Shop) -> None:
        """So it is for previews."""
        first = drive(shop.start_preview())
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            drive(shop.start_preview())
        assert [first.build_uuid, None] == shop.wire.made

    @pytest.mark.parametrize("foreign", FOREIGN, ids=[" ".join(map(str, it.values())) for it in FOREIGN])
    @pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
    async def test_build_of_others_meanwhile(
        self, arrived: bool, foreign: dict[str, object], shop: Shop
    ) -> None:
        """A build that others start meanwhile is not taken for ours, and does not hide ours."""
        await shop.know()
        uuids = {"main": shop.main, "others": shop.others}
        if "trigger_uuid" in foreign:
            foreign = {**foreign, "trigger_uuid": uuids[str(foreign["trigger_uuid"])]}
        added = shop.meanwhile(**foreign)
        shop.lose(arrived=arrived)
        if arrived:
            assert (await shop.start()).build_uuid == shop.wire.made[0]
        else:
            with pytest.raises(BuildsConnectionError):
                await shop.start()
        assert len(added) == 1
        assert shop.wire.posts == 1

    async def test_commit(self, shop: Shop) -> None:
        """A build of another commit is not ours, nor one without, when a commit was asked for."""
        await shop.know()
        shop.meanwhile(commit_hash="0" * 40)
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError, match=f"no build of branch main and commit {COMMIT} was"):
            await shop.start(commit_hash=COMMIT)
        shop.lose()
        assert (await shop.start(commit_hash=COMMIT)).build_uuid == shop.wire.made[1]
        shop.meanwhile(commit_hash="")
        shop.lose()
        assert (await shop.start(None, commit_hash=COMMIT)).build_uuid == shop.wire.made[2]

    @pytest.mark.parametrize("ago", [1.0, 3.0, 60.0, 7200.0])
    async def test_build_from_before(self, ago: float, shop: Shop) -> None:
        """A build that somebody started before the request is not its build."""
        await shop.know()
        shop.add(commit_hash="")
        assert isinstance(shop.clock, FakeClock)
        shop.clock.advance(ago)
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            await shop.start()

    async def test_build_from_a_wait_before(self, shop: Shop) -> None:
        """What was created while the request was held back by a 429 is older than the one that got lost."""
        await shop.know()
        shop.sim.fault(Fault("rate_limited", method="POST", retry_after=30))
        shop.meanwhile(commit_hash="")
        shop.wire.losses.append(None)
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            await shop.start()
        assert shop.wire.posts == 2


class TestLooking:
    async def test_known_trigger(self, shop: Shop) -> None:
        """For a trigger that was listed the Worker is known: one request finds the build."""
        shop.sim.add_worker("another")
        await shop.know()
        shop.lose()
        await shop.start()
        assert shop.wire.sent[1:] == [("GET", "/builds/builds/latest")]

    async def test_unknown_trigger(self, shop: Shop) -> None:
        """For an unknown trigger all Workers are looked at, and its own is known from then on."""
        for number in range(45):
            shop.add(external_script_id=shop.sim.add_worker(f"w{number}"))
        shop.lose()
        shop.lose()
        first = await shop.start()
        assert [path for _, path in shop.wire.sent[1:]] == [
            "/workers/scripts",
            *["/builds/builds/latest"] * 3,
        ]
        shop.wire.sent.clear()
        second = await shop.start()
        assert [first.build_uuid, second.build_uuid] == shop.wire.made
        assert [path for _, path in shop.wire.sent[1:]] == ["/builds/builds/latest"]

    async def test_unknown_trigger_with_builds_of_others(self, shop: Shop) -> None:
        """No build of another Worker, trigger or time is taken for ours in that search."""
        for number in range(3):
            shop.add(external_script_id=shop.sim.add_worker(f"w{number}"))
        shop.meanwhile(branch="main", trigger_uuid=shop.others)
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            await shop.start()

    @pytest.mark.parametrize("tag", ["", "shop", "x" * 32, "é", "a/b"])
    async def test_unknown_trigger_among_odd_tags(self, tag: str, shop: Shop) -> None:
        """A Worker whose tag is none is no reason to say other than that the answer was lost."""
        scripts = {"success": True, "result": [{"id": "odd", "tag": tag}, {"id": "shop", "tag": shop.tag}]}
        headers: CIMultiDict[str] = CIMultiDict()

        def listing(_: str, path: str) -> Response | None:
            return (
                Response(200, headers, msgspec.json.encode(scripts)) if "/workers/scripts" in path else None
            )

        shop.wire.failing = listing
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            await shop.start()

    @pytest.mark.parametrize("tag", ["shop", "é", "a/b"])
    async def test_known_trigger_of_an_odd_tag(self, tag: str, shop: Shop) -> None:
        """So it is when the trigger itself was listed with a tag that is none."""
        listed = {"success": True, "result": [{"trigger_uuid": shop.main, "external_script_id": tag}]}
        headers: CIMultiDict[str] = CIMultiDict()
        shop.wire.failing = lambda _, path: (
            Response(200, headers, msgspec.json.encode(listed)) if path.endswith("/triggers") else None
        )
        await shop.know()
        shop.lose(arrived=False)
        with pytest.raises(BuildsConnectionError):
            await shop.start()

    @pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
    @pytest.mark.parametrize(
        ("status", "said"), [(500, "500"), (403, "403"), (404, "404"), (200, "can't be read")], ids=str
    )
    async def test_that_fails(self, status: int, said: str, start: Start, shop: Shop) -> None:
        """When the look fails too, the loss is raised, and says so, and nothing is sent again."""
        await shop.know()
        headers: CIMultiDict[str] = CIMultiDict()
        shop.wire.failing = lambda method, _: (
            Response(status, headers, b"<html>") if method == "GET" else None
        )
        shop.lose("time-out")
        with pytest.raises(
            BuildsTimeoutError, match="started is unknown, looking for the build failed"
        ) as it:
            await start(shop)
        assert said in str(it.value)
        assert shop.wire.posts == 1

    async def test_that_fails_in_part(self, shop: Shop) -> None:
        """A build that was seen counts, whatever else of the account could not be asked for."""
        for number in range(25):
            shop.sim.add_worker(f"w{number}")
        chunks = 0

        def fail(_: str, path: str) -> Response | None:
            nonlocal chunks
            if not path.endswith("/latest"):
                return None
            chunks += 1
            headers: CIMultiDict[str] = CIMultiDict()
            return Response(404, headers, b"") if chunks == 2 else None

        shop.wire.failing = fail
        shop.lose()
        assert (await shop.start()).build_uuid == shop.wire.made[0]


class TestSentAgain:
    @pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
    async def test_after_a_429(self, start: Start, shop: Shop) -> None:
        """A request that was answered 429 was not carried out, and is sent again when it may be."""
        shop.sim.fault(Fault("rate_limited", method="POST", retry_after=30))
        build = await start(shop)
        assert [None, build.build_uuid] == shop.wire.made
        assert shop.clock.now() >= 1030

    @pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
    async def test_after_no_connection(self, start: Start, shop: Shop) -> None:
        """A request that never got a connection is sent again."""
        calls: Iterator[bool] = iter([True, True])

        def refuse(_: str, __: str) -> None:
            if next(calls, False):
                raise BuildsConnectionError("could not connect", sent=False)

        shop.wire.failing = refuse
        build = await start(shop)
        assert [build.build_uuid] == shop.wire.made
        assert shop.wire.posts == 3

    async def test_never(self) -> None:
        """Where nothing listens there is nothing to look for: the error is that of the connection."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            async with (
                nothing_left(),
                BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=url, clock=FakeClock()) as client,
            ):
                with pytest.raises(BuildsConnectionError) as caught:
                    await client.triggers.start_build(BUILD_UUID, branch="main")
        assert caught.value.attempts == 4
        assert not caught.value.sent
        assert "unknown" not in str(caught.value)

    @pytest.mark.parametrize(
        ("status", "body", "error"),
        [
            (400, b'{"success":false,"errors":[{"code":12002,"message":"Invalid"}]}', BadRequestError),
            (401, b"", AuthenticationError),
            (403, b"<html>", PermissionDeniedError),
            (404, b"", NotFoundError),
            (302, b"", APIError),
            (200, b'{"success":false,"errors":[{"code":12002,"message":"Invalid"}]}', BadRequestError),
        ],
        ids=["400", "401", "403", "404", "302", "200 that says no"],
    )
    async def test_refused(self, status: int, body: bytes, error: type[BuildsError], shop: Shop) -> None:
        """A refusal is an answer: it is raised, and nothing is looked for."""
        shop.wire.losses.append((_instead(status, body), False))
        with pytest.raises(error) as caught:
            await shop.start()
        assert len(shop.wire.sent) == 1
        assert "unknown" not in str(caught.value)

    async def test_429_that_lasts(self, shop: Shop) -> None:
        """A 429 that is never lifted is raised as such: nothing was started."""
        shop.sim.fault(Fault("rate_limited", method="POST", retry_after=1, times=None))
        with pytest.raises(RateLimitError):
            await shop.start()
        assert {method for method, _ in shop.wire.sent} == {"POST"}


class TestAtOnce:
    @pytest.mark.parametrize("lost", [(0,), (1,), (0, 1), (0, 1, 2), (4,), (1, 3), (0, 1, 2, 3, 4)], ids=str)
    async def test_each_its_own(self, lost: Sequence[int]) -> None:
        """Starts at the same time give each a build of its own, whichever answers get lost."""
        shop = Shop(VirtualClock(idle_turns=10))
        await shop.know()
        for number in range(5):
            if number in lost:
                shop.lose()
            else:
                shop.wire.losses.append(None)
        builds = await asyncio.gather(*(shop.start() for _ in range(5)))
        assert sorted(build.build_uuid for build in builds) == sorted(map(str, shop.wire.made))
        assert shop.wire.posts == 5

    async def test_slow_answer(self) -> None:
        """A build whose answer is on its way to another call is that call's: who looks does not take it."""
        shop = Shop(VirtualClock(idle_turns=10))
        await shop.know()
        gate = asyncio.Event()
        shop.wire.gates += [gate, None]
        shop.wire.losses += [None, (LOST["connection"][0], False)]
        slow = asyncio.create_task(shop.start())
        lost = asyncio.create_task(shop.start())
        await shop.clock.sleep(60)  # nobody has anything left to do but wait
        gate.set()
        outcomes = await asyncio.gather(slow, lost, return_exceptions=True)
        given = [it.build_uuid for it in outcomes if isinstance(it, Build)]
        assert len(given) == len(set(given))
        assert isinstance(outcomes[0], Build)
        assert outcomes[0].build_uuid == shop.wire.made[0]

    @pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
    async def test_cancel_anywhere(self, arrived: bool) -> None:
        """A cancel at any moment is a cancel, sends nothing twice and leaves nothing behind."""
        turns, done = 0, False
        while not done:
            async with nothing_left():
                shop = Shop(VirtualClock(idle_turns=2))
                shop.lose(arrived=arrived)
                task = asyncio.ensure_future(shop.start())
                for _ in range(turns):
                    await asyncio.sleep(0)
                done = task.done()
                task.cancel()
                await asyncio.wait([task])
                assert shop.wire.posts <= 1
                assert task.cancelled() is not done
                assert not done or (task.exception() is None) is arrived
            turns += 1
        assert turns > 5


class TestMisuse:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({}, "a branch or a commit_hash"),
            ({"branch": None, "commit_hash": None}, "a branch or a commit_hash"),
            ({"branch": ""}, "a branch or a commit_hash"),
            ({"commit_hash": ""}, "a branch or a commit_hash"),
            ({"commit_hash": COMMIT[:7]}, "40 digits"),
            ({"commit_hash": COMMIT[:39]}, "40 digits"),
            ({"branch": "main", "commit_hash": COMMIT[:12]}, "40 digits"),
            ({"branch": "main", "commit_hash": ""}, "40 digits"),
        ],
        ids=["nothing", "nulls", "no branch", "no hash", "short", "39", "branch and short", "empty hash"],
    )
    @pytest.mark.parametrize("where", ["trigger", "preview"])
    async def test_refused_before(self, where: str, arguments: dict[str, str], said: str, shop: Shop) -> None:
        """What the API would refuse, or fail with later, is a ValueError that says why; nothing is sent."""
        start = (
            partial(shop.triggers.start_build, shop.main)
            if where == "trigger"
            else partial(shop.previews.start_build, shop.tag, shop.preview)
        )
        with pytest.raises(ValueError, match=said):
            await start(**arguments)
        assert shop.wire.sent == []

    @pytest.mark.parametrize("uuid", ["", "..", "a/b", "."])
    async def test_no_id(self, uuid: str, shop: Shop) -> None:
        """What can't be a trigger's id would leave its place in the path."""
        with pytest.raises(ValueError, match="can't be an id"):
            await shop.triggers.start_build(uuid, branch="main")
        assert shop.wire.sent == []

    @pytest.mark.parametrize("digits", [40, 64])
    async def test_full_hash(self, digits: int, shop: Shop) -> None:
        """Full hashes of both kinds that Git has are taken."""
        build = await shop.start(None, commit_hash="a" * digits)
        assert build.build_uuid == shop.wire.made[0]

    def test_seed_of_three_files(self) -> None:
        """A seed with more than 2 files is refused where it is made."""
        file = SeedFile(filename="a", content="b")
        with pytest.raises(ValueError, match="at most 2 files, not 3"):
            SeedRepo(provider="github", owner="acme", repository="shop", files=(file,) * 3)


STARTED = st.tuples(
    st.sampled_from(["main", "next"]),
    st.sampled_from(["answered", "lost", "never arrived"]),
    st.sampled_from([None, "push_event", "pull_request", "deploy_hook", "other branch"]),
)
STEPS = st.lists(STARTED | st.sampled_from(["main", "next"]) | st.floats(1, 100), max_size=8)


def start_beside(shop: Shop, branch: str, how: str, beside: str | None) -> Build | None:
    """Start a build while another one is made, and give what came of it, None for an error."""
    if how == "answered":
        shop.wire.losses.append(None)
    else:
        shop.lose(arrived=how == "lost")
    if beside == "other branch":
        shop.meanwhile(branch="elsewhere", trigger_uuid=shop.main)
    elif beside is not None:
        shop.meanwhile(branch=branch, trigger_uuid=shop.main, source=beside)
    try:
        return drive(shop.start(branch))
    except BuildsConnectionError:
        return None


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps=STEPS, known=st.booleans())
def test_own_build_or_an_error(steps: list[tuple[str, str, str | None] | str | float], known: bool) -> None:
    """Whatever is lost and whoever else builds, a start gives the build of its own request or raises."""
    shop = Shop()
    assert isinstance(shop.clock, FakeClock)
    if known:
        drive(shop.know())
    starts = 0
    for step in steps:
        if isinstance(step, tuple):
            starts += 1
            build = start_beside(shop, *step)
            assert build is None or build.build_uuid == shop.wire.made[-1]
            _, how, beside = step
            assert how == "never arrived" or build is not None or not (known or beside is None)
        elif isinstance(step, str):  # a colleague's
            shop.add(branch=step, trigger_uuid=shop.main, commit_hash="")
            shop.clock.advance(1.0)
        else:
            shop.clock.advance(step)
    assert shop.wire.posts == starts
