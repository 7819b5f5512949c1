"""The client: its lifetime, its settings, and its limit on requests in flight."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from builds_async import (
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    ConfigurationError,
    RateBudget,
    RateLimitError,
    RetryPolicy,
    SystemClock,
)
from builds_async.session.transport import Request, Response
from tests.support import (
    ACCOUNT,
    BUILD_UUID,
    TAG,
    TOKEN,
    Exchange,
    FakeClock,
    MockApi,
    RawServer,
    VirtualClock,
    answer,
    build,
    envelope,
    nothing_left,
    settle,
    tags,
)
from tests.support.case import cases

GET = f"/builds/builds/{BUILD_UUID}"


def a_client(**arguments: Any) -> BuildsClient:
    """A client with an account and a token."""
    arguments = {"account_id": ACCOUNT, "api_token": TOKEN} | arguments
    return BuildsClient(**arguments)


class Gate:
    """A server reply that blocks until it is released; `running` are the requests that wait there."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self._through = asyncio.Semaphore(0)

    async def reply(self, exchange: Exchange) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        gone = asyncio.create_task(exchange.reader.read(1))
        through = asyncio.create_task(self._through.acquire())
        try:
            await asyncio.wait([gone, through], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.running -= 1
            gone.cancel()
            through.cancel()
            await asyncio.gather(gone, through, return_exceptions=True)
        what: object = {"builds": {}} if "latest" in exchange.request.target else build(status="running")
        await answer(envelope(what))(exchange)

    def let(self, count: int) -> None:
        """Release this many requests, now or on arrival."""
        for _ in range(count):
            self._through.release()

    async def reached(self, running: int) -> None:
        """Wait until exactly this many requests wait here, and check that no more arrive."""
        while self.running != running:
            await asyncio.sleep(0)
        await settle(200)
        assert self.running == running


class TestLife:
    async def test_block(self, api: MockApi) -> None:
        """A client works while its block lasts, and is closed when the block ends."""
        api.on("GET", GET, json=envelope(build()))
        async with a_client() as client:
            assert isinstance(client, BuildsClient)
            await client.builds.get(BUILD_UUID)
        with pytest.raises(RuntimeError, match=r"^this BuildsClient is closed; make a new one$"):
            await client.builds.get(BUILD_UUID)
        assert len(api.sent) == 1

    async def test_without_a_block(self, api: MockApi) -> None:
        """A client also works without a block, until `aclose`."""
        api.on("GET", GET, json=envelope(build()))
        async with nothing_left():
            client = a_client()
            await client.builds.get(BUILD_UUID)
            await client.aclose()

    @pytest.mark.parametrize("used", [True, False], ids=["used", "unused"])
    async def test_close_again(self, api: MockApi, used: bool) -> None:
        """Closing a client again does nothing, even concurrently."""
        api.on("GET", GET, json=envelope(build()))
        async with nothing_left():
            client = a_client()
            if used:
                await client.builds.get(BUILD_UUID)
            await client.aclose()
            await client.aclose()
            await asyncio.gather(client.aclose(), client.aclose())

    async def test_a_verb_that_fails_to_close(self) -> None:
        """Closing closes every verb and the session, even if a verb fails, and raises the first error."""

        class Verb:
            closed = 0

            async def aclose(self) -> None:
                Verb.closed += 1
                raise BuildsConnectionError(f"failure {Verb.closed}")

        client = a_client()
        verbs = [client._register(Verb()) for _ in range(3)]
        with pytest.raises(BuildsConnectionError, match="failure 1"):
            await client.aclose()
        assert Verb.closed == len(verbs)
        with pytest.raises(RuntimeError, match="closed"):
            await client.builds.get(BUILD_UUID)

    async def test_closed_by_an_error(self, api: MockApi) -> None:
        """A block that ends with an error closes the client and propagates the error."""
        api.on("GET", GET, json=envelope(build()))
        async with nothing_left():
            client = a_client()
            with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the block is under test
                async with client:
                    await client.builds.get(BUILD_UUID)
                    raise ZeroDivisionError
            with pytest.raises(RuntimeError, match="closed"):
                await client.builds.get(BUILD_UUID)

    async def test_not_reopened(self) -> None:
        """A closed client stays closed."""
        client = a_client()
        async with client:
            pass
        with pytest.raises(RuntimeError, match="closed"):
            await client.__aenter__()

    @pytest.mark.parametrize(
        "call",
        [
            lambda client: client.builds.get(BUILD_UUID),
            lambda client: client.builds.cancel(BUILD_UUID),
            lambda client: client.builds.logs(BUILD_UUID),
            lambda client: client.builds.list(TAG),
            lambda client: client.builds.latest([TAG]),
            lambda client: client.builds.latest(tags(99)),
            lambda client: client.builds.by_version(["v"]),
            lambda client: anext(client.builds.iter(TAG)),
            lambda client: client.follow(BUILD_UUID).read(),
            lambda client: anext(client.follow(BUILD_UUID)),
        ],
        ids=["get", "cancel", "logs", "list", "latest", "bulk", "by_version", "iter", "read", "follow"],
    )
    @pytest.mark.usefixtures("api")
    async def test_closed(self, call: Callable[[BuildsClient], Any]) -> None:
        """Every call on a closed client is a RuntimeError, not a BuildsError."""
        client = a_client()
        await client.aclose()
        with pytest.raises(RuntimeError, match="this BuildsClient is closed") as caught:
            await call(client)
        assert not isinstance(caught.value, BuildsError)

    async def test_closed_at_the_gate(self, api: MockApi, clock: FakeClock) -> None:
        """A closed client says that it is closed, even while its gate is closed."""
        api.on("GET", GET, status=429, headers={"Retry-After": "300"})
        client = a_client(clock=clock)
        with pytest.raises(RateLimitError):
            await client.builds.get(BUILD_UUID)
        await client.aclose()
        with pytest.raises(RuntimeError, match="this BuildsClient is closed"):
            await client.builds.get(BUILD_UUID)

    async def test_closed_in_a_pause(self, api: MockApi) -> None:
        """A call that pauses before a retry notices the closed client and sends nothing more."""
        clock = VirtualClock()
        api.on("GET", GET, status=503, repeat=True)
        client = a_client(clock=clock)
        call = asyncio.create_task(client.builds.get(BUILD_UUID))
        await settle()
        await client.aclose()
        await clock.run_until(100)
        with pytest.raises(RuntimeError, match="this BuildsClient is closed"):
            await call
        assert len(api.sent) == 1

    def test_outside_of_a_loop(self) -> None:
        """A client can be created before an event loop exists."""

        async def use(client: BuildsClient) -> None:
            with MockApi() as api:
                api.on("GET", GET, json=envelope(build()))
                async with client:
                    await client.builds.get(BUILD_UUID)

        asyncio.run(use(a_client()))


class TestSettings:
    def test_repr(self) -> None:
        """The repr of a client shows its account and base URL, and no secret."""
        assert repr(a_client()) == (
            f"BuildsClient(account_id='{ACCOUNT}', base_url='https://api.cloudflare.com/client/v4')"
        )

    @cases(
        ("value", "shown"),
        [
            (RateBudget(), "RateBudget(limit=1200, window=300.0, reserve=0.1)"),
            (RateBudget(limit=5, window=1, reserve=0), "RateBudget(limit=5, window=1.0, reserve=0)"),
            (RetryPolicy(), "RetryPolicy(attempts=4, base=0.5, max_delay=8.0, max_wait=60.0)"),
            (SystemClock(), "SystemClock()"),
        ],
        ids=["budget", "small budget", "retry", "clock"],
    )
    def test_reprs(self, value: object, shown: str) -> None:
        """The repr of each argument of a client is the code that creates it."""
        assert repr(value) == shown

    @cases(
        ("arguments", "kind", "said"),
        [
            ({"timeout": 0}, ValueError, "timeout must be above 0 s and finite, not 0"),
            ({"timeout": -1}, ValueError, "timeout must be above 0 s and finite, not -1"),
            ({"timeout": float("nan")}, ValueError, "timeout must be above 0 s and finite, not nan"),
            ({"timeout": float("inf")}, ValueError, "timeout must be above 0 s and finite, not inf"),
            ({"timeout": 10**400}, ValueError, "timeout must be above 0 s and finite, not 1000"),
            ({"timeout": None}, TypeError, "timeout must be a number of seconds, not None"),
            ({"timeout": True}, TypeError, "timeout must be a number of seconds, not True"),
            ({"timeout": "30"}, TypeError, "timeout must be a number of seconds, not str"),
            ({"max_in_flight": 0}, ValueError, "max_in_flight must be at least 1, not 0"),
            ({"max_in_flight": 2.5}, TypeError, "max_in_flight must be a whole number, not 2.5"),
            ({"max_in_flight": True}, TypeError, "max_in_flight must be a whole number, not True"),
            ({"max_in_flight": None}, TypeError, "max_in_flight must be a whole number, not None"),
        ],
        ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
    )
    def test_misuse(self, arguments: dict[str, Any], kind: type[Exception], said: str) -> None:
        """An invalid number is rejected by name when the client is created."""
        with pytest.raises(kind, match=f"^{re.escape(said)}"):
            a_client(**arguments)

    def test_keywords(self) -> None:
        """A client takes keyword arguments only."""
        with pytest.raises(TypeError, match="positional"):
            BuildsClient(ACCOUNT)  # type: ignore[call-arg]  # the point

    def test_plain_http(self) -> None:
        """A token is not sent over plain http, except to this machine."""
        with pytest.raises(
            ConfigurationError, match=r"base_url .* must be https, not plain http to example\.com: .* token"
        ):
            a_client(base_url="http://example.com")
        assert "http://127.0.0.1:1" in repr(a_client(base_url="http://127.0.0.1:1"))

    async def test_account(self) -> None:
        """The path has the account in the API's spelling, however it was pasted."""
        pasted = f" {ACCOUNT[:8]}-{ACCOUNT[8:].upper()}\n"
        async with (
            RawServer(answer(envelope(build()))) as server,
            a_client(account_id=pasted, base_url=server.url) as client,
        ):
            await client.builds.get("b")
        assert server.requests[0].target == f"/accounts/{ACCOUNT}/builds/builds/b"

    async def test_key_and_address(self) -> None:
        """A global key is sent with its email address, and without a token."""
        async with (
            RawServer(answer(envelope(build()))) as server,
            a_client(
                api_token=None, api_key="k3y", api_email="ada@example.com", base_url=server.url
            ) as client,
        ):
            await client.builds.get("b")
        headers = server.requests[0].headers
        assert (headers["x-auth-key"], headers["x-auth-email"]) == ("k3y", "ada@example.com")
        assert "authorization" not in headers

    async def test_system_clock(self) -> None:
        """The system clock advances, and sleeps about as long as requested."""
        clock = SystemClock()
        start = clock.now()
        await clock.sleep(0.005)
        assert 0.004 < clock.now() - start < 1
        await clock.sleep(0)
        await clock.sleep(-1)


class TestInFlight:
    @pytest.mark.parametrize("limit", [1, 2, 4])
    async def test_over_all_calls(self, limit: int) -> None:
        """`max_in_flight` limits all calls of a client together, of any kind."""
        gate = Gate()
        async with (
            RawServer(gate.reply) as server,
            a_client(base_url=server.url, max_in_flight=limit) as client,
        ):
            calls = [
                *(asyncio.create_task(client.builds.get(f"b{number}")) for number in range(3)),
                *(asyncio.create_task(client.follow(f"f{number}").read()) for number in range(3)),
                asyncio.create_task(client.builds.latest(tags(60))),
            ]
            await gate.reached(limit)
            gate.let(1000)
            await asyncio.gather(*calls[:3], calls[-1])
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        assert gate.most == limit

    @pytest.mark.slow
    async def test_many(self) -> None:
        """A large `max_in_flight` is fully used, because a client's own session sets no smaller limit."""
        gate = Gate()
        async with (
            RawServer(gate.reply) as server,
            a_client(base_url=server.url, max_in_flight=105) as client,
        ):
            calls = [asyncio.create_task(client.builds.get("b")) for _ in range(107)]
            async with asyncio.timeout(2):
                await gate.reached(105)
            gate.let(107)
            await asyncio.gather(*calls)

    async def test_first_come(self) -> None:
        """The call that has waited longest for a slot gets the next one."""
        gate = Gate()
        async with (
            RawServer(gate.reply) as server,
            a_client(base_url=server.url, max_in_flight=1) as client,
        ):
            calls = [asyncio.create_task(client.builds.get(f"b{number}")) for number in range(4)]
            for number in range(4):
                await gate.reached(1)
                assert server.targets[-1] == f"/builds/builds/b{number}"
                gate.let(1)
            await asyncio.gather(*calls)

    @pytest.mark.parametrize("cancelled", [0, 1, 2], ids=["in flight", "next", "later"])
    async def test_cancel(self, cancelled: int) -> None:
        """A canceled call frees its slot or its turn, and the other calls continue."""
        gate = Gate()
        budget = RateBudget()
        async with (
            RawServer(gate.reply) as server,
            a_client(base_url=server.url, max_in_flight=1, budget=budget) as client,
        ):
            calls = [asyncio.create_task(client.builds.get(f"b{number}")) for number in range(4)]
            await gate.reached(1)
            calls[cancelled].cancel()
            gate.let(4)
            results = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [
            number == cancelled for number in range(4)
        ]
        assert gate.most == 1
        sent = [number for number in range(4) if number != cancelled or number == 0]
        assert server.targets == [f"/builds/builds/b{number}" for number in sent]
        assert budget.snapshot().used == len(sent)

    async def test_cancel_all(self) -> None:
        """When all calls are canceled, all slots are free again."""
        gate = Gate()
        budget = RateBudget()
        async with (
            RawServer(gate.reply) as server,
            a_client(base_url=server.url, max_in_flight=2, budget=budget) as client,
        ):
            for _ in range(3):
                calls = [asyncio.create_task(client.builds.get("b")) for _ in range(7)]
                polls = [asyncio.create_task(client.follow("f").read()) for _ in range(7)]
                await gate.reached(2)
                for call in (*calls, *polls):
                    call.cancel()
                await asyncio.gather(*calls, *polls, return_exceptions=True)
                await gate.reached(0)
            gate.let(2)
            await asyncio.gather(client.builds.get("b"), client.builds.get("b"))
        assert gate.most == 2
        assert budget.snapshot().used == len(server.requests) == 8

    async def test_polls_leave_a_slot(self) -> None:
        """Hanging polls leave a slot to single calls."""
        gate = Gate()
        async with (
            RawServer(gate.reply) as server,
            a_client(base_url=server.url, max_in_flight=3) as client,
        ):
            polls = [asyncio.create_task(client.follow(f"f{number}").read()) for number in range(9)]
            await gate.reached(2)
            call = asyncio.create_task(client.builds.get("b"))
            await gate.reached(3)
            assert server.targets[-1] == "/builds/builds/b"
            for task in (*polls, call):
                task.cancel()
            await asyncio.gather(*polls, call, return_exceptions=True)

    async def test_error_frees_the_slot(self, api: MockApi, clock: FakeClock) -> None:
        """A failed call frees its slot."""
        async with a_client(max_in_flight=1, clock=clock, retry=RetryPolicy(attempts=2)) as client:
            for _ in range(3):
                with pytest.raises(BuildsError, match="Connection refused"):
                    await client.builds.get(BUILD_UUID)
            api.on("GET", GET, json=envelope(build()))
            await client.builds.get(BUILD_UUID)
        assert len(api.sent) == 7


class TestBudget:
    async def test_own(self, api: MockApi, clock: FakeClock) -> None:
        """Each client has its own budget, unless it is given one."""
        api.on("GET", GET, status=429, headers={"Retry-After": "300"})
        api.on("GET", GET, json=envelope(build()))
        async with a_client(clock=clock) as one, a_client(clock=clock) as other:
            with pytest.raises(RateLimitError):
                await one.builds.get(BUILD_UUID)
            await other.builds.get(BUILD_UUID)

    async def test_shared(self, api: MockApi, clock: FakeClock) -> None:
        """Clients with a shared budget share its window, and a 429 for one holds back the other."""
        budget = RateBudget(limit=2, window=10, reserve=0)
        for _ in range(3):
            api.on("GET", GET, json=envelope(build()))
        api.on("GET", GET, status=429, headers={"Retry-After": "300"})
        async with a_client(clock=clock, budget=budget) as one, a_client(clock=clock, budget=budget) as other:
            await one.builds.get(BUILD_UUID)
            await other.builds.get(BUILD_UUID)
            assert clock.naps == []
            await other.builds.get(BUILD_UUID)
            assert clock.naps == [10.0]
            clock.advance(10)
            with pytest.raises(RateLimitError):
                await one.builds.get(BUILD_UUID)
            with pytest.raises(RateLimitError, match="not sent"):
                await other.builds.get(BUILD_UUID)
        assert len(api.sent) == 4

    async def test_gate(self, api: MockApi) -> None:
        """A 429 also holds back calls that wait for a slot, which then go out one by one."""
        clock = VirtualClock()
        api.on("GET", GET, status=429, headers={"Retry-After": "10"})
        api.on("GET", GET, json=envelope(build()), repeat=True)
        budget = RateBudget(limit=100, window=100, reserve=0)
        async with a_client(clock=clock, budget=budget, max_in_flight=1) as client:
            calls = [asyncio.create_task(client.builds.get(BUILD_UUID)) for _ in range(5)]
            sent = []
            for moment in (0.0, 9.99, 10.0, 10.99, 11.0, 12.0, 13.0, 13.99, 14.0):
                await clock.run_until(moment)
                sent.append(len(api.sent))
            assert sent == [1, 1, 2, 2, 3, 4, 5, 5, 6]
            assert all(call.done() for call in calls)
            assert budget.snapshot().used == 6  # calls held back before they were sent do not count

    async def test_gate_for_too_long(self, api: MockApi) -> None:
        """A 429 beyond `max_wait` also raises in calls that wait for a slot, and they are not sent."""
        api.on("GET", GET, status=429, headers={"Retry-After": "300"})
        async with a_client(clock=VirtualClock(), max_in_flight=1) as client:
            calls = [client.builds.get(BUILD_UUID) for _ in range(5)]
            errors = await asyncio.gather(*calls, return_exceptions=True)
        assert [(type(error), getattr(error, "attempts", None)) for error in errors] == [
            (RateLimitError, 1),
            *[(RateLimitError, 0)] * 4,
        ]
        assert len(api.sent) == 1

    async def test_cancel_at_the_gate(self, api: MockApi) -> None:
        """A call canceled while it waits at the gate takes nothing, and the next call goes out instead."""
        clock = VirtualClock()
        budget = RateBudget(limit=1, window=10, reserve=0)
        api.on("GET", GET, json=envelope(build()), repeat=True)
        async with a_client(clock=clock, budget=budget) as client:
            await client.builds.get(BUILD_UUID)
            calls = [asyncio.create_task(client.builds.get(BUILD_UUID)) for _ in range(3)]
            await settle()
            calls[0].cancel()
            await clock.run_until(10)
            assert [call.done() for call in calls] == [True, True, False]
            await clock.run_until(20)
            assert calls[2].done()
        assert len(api.sent) == 3


class Echo:
    """A transport that records its requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.closed = False

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, {}, json.dumps(envelope(build())).encode())

    def check_open(self) -> None:
        if self.closed:
            raise RuntimeError("closed")

    async def aclose(self) -> None:
        self.closed = True


async def test_own_transport() -> None:
    """A given transport carries the requests with the credentials, and is closed with the client."""
    echo = Echo()
    async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, transport=echo) as client:
        assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID
    assert [(it.method, it.path, dict(it.headers)) for it in echo.requests] == [
        ("GET", f"/accounts/{ACCOUNT}/builds/builds/{BUILD_UUID}", {"Authorization": f"Bearer {TOKEN}"})
    ]
    assert echo.closed


async def test_session_and_transport() -> None:
    """A session and a transport together are a ValueError."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ValueError, match="not both"):
            BuildsClient(account_id=ACCOUNT, api_token=TOKEN, session=session, transport=Echo())
