"""Calls through the whole client: the requests sent, the results, and the retries with their delays."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
from aiohttp.client_reqrep import ConnectionKey

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    Build,
    BuildOutcome,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    CanceledBuild,
    ConflictError,
    InternalServerError,
    LogPage,
    NotFoundError,
    PermissionDeniedError,
    RateBudget,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.models.envelope import Envelope
from builds_async.resources.builds import BuildReads, Builds
from builds_async.session.aiohttp_transport import AiohttpTransport
from builds_async.session.call import Call
from builds_async.session.session import ApiSession
from tests.support import (
    ACCOUNT,
    BASE_URL,
    BUILD_UUID,
    TAG,
    FakeClock,
    MockApi,
    build,
    envelope,
    log_page,
    refusal,
    result_info,
)
from tests.support.case import cases

GET = f"/builds/builds/{BUILD_UUID}"
RAY = "8f2c1d0e9b7a6543-FRA"
HTML = "<html><head><title>502 Bad Gateway</title></head></html>"
ANYTHING = msgspec.json.Decoder(Envelope[object])

Step = Mapping[str, Any]


def status(code: int, body: Any = HTML, **headers: str) -> Step:
    """A response that is not a success."""
    content = {"payload": body} if isinstance(body, dict) else {"body": body}
    return {
        "status": code,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()} | {"cf-ray": RAY},
        **content,
    }


def broken(error: Exception) -> Step:
    """No response at all."""
    return {"exception": error}


GOOD: Step = {"payload": envelope(build())}
LIMITED = refusal(971, "Please wait and consider throttling your request speed")
REFUSED = aiohttp.ClientConnectorError(
    ConnectionKey("api.cloudflare.com", 443, True, True, None, None, None),
    OSError(111, "refused"),
)


@pytest.fixture
async def session(clock: FakeClock) -> ApiSession:
    """A session with unrandomized delays; it holds nothing that must be closed."""
    transport = AiohttpTransport(BASE_URL, session=None, timeout=30)
    return ApiSession(
        transport,
        f"/accounts/{ACCOUNT}",
        retry=RetryPolicy(),
        budget=RateBudget(),
        max_in_flight=10,
        clock=clock,
        rng=lambda: 0.0,
    )


class Sequence(NamedTuple):
    """The server's responses, request by request, and the outcome of the call."""

    steps: list[Step]
    outcome: type[BuildsError] | None
    naps: list[float]
    said: str = ""

    @property
    def id(self) -> str:
        return " ".join(
            str(step.get("status", "200")) if "exception" not in step else type(step["exception"]).__name__
            for step in self.steps
        )


SEQUENCES = [
    Sequence([GOOD], None, []),
    # Transient failures.
    Sequence([status(500), GOOD], None, [0.5]),
    Sequence([status(502), GOOD], None, [0.5]),
    Sequence([status(503, "upstream connect error"), status(504, ""), GOOD], None, [0.5, 1.0]),
    Sequence([status(502), status(520), status(530), GOOD], None, [0.5, 1.0, 2.0]),
    Sequence([status(408), GOOD], None, [0.5]),
    Sequence([status(425), GOOD], None, [0.5]),
    Sequence([status(200), GOOD], None, [0.5]),
    Sequence([status(200, ""), status(200, '{"success": tr'), GOOD], None, [0.5, 1.0]),
    Sequence([broken(aiohttp.ServerDisconnectedError()), GOOD], None, [0.5]),
    Sequence([broken(aiohttp.ClientPayloadError("cut")), GOOD], None, [0.5]),
    Sequence([broken(aiohttp.ClientOSError(104, "reset")), GOOD], None, [0.5]),
    Sequence([broken(REFUSED), GOOD], None, [0.5]),
    Sequence([broken(TimeoutError()), GOOD], None, [0.5]),
    Sequence([broken(aiohttp.ServerTimeoutError()), GOOD], None, [0.5]),
    # Lasting failures.
    Sequence([status(500)] * 4, InternalServerError, [0.5, 1.0, 2.0], "500 not the API's JSON"),
    Sequence(
        [status(502), status(503), status(500), status(504)], InternalServerError, [0.5, 1.0, 2.0], "504 "
    ),
    Sequence([status(502), status(404)], NotFoundError, [0.5], "404 "),
    Sequence([status(200)] * 4, ResponseDecodeError, [0.5, 1.0, 2.0], "the response (200) can't be read"),
    Sequence(
        [broken(aiohttp.ServerDisconnectedError())] * 4,
        BuildsConnectionError,
        [0.5, 1.0, 2.0],
        "the connection failed (ServerDisconnectedError: Server disconnected)",
    ),
    Sequence(
        [broken(aiohttp.ClientPayloadError("3 of 9"))] * 4,
        BuildsConnectionError,
        [0.5, 1.0, 2.0],
        "the response was cut short (3 of 9)",
    ),
    Sequence([broken(REFUSED)] * 4, BuildsConnectionError, [0.5, 1.0, 2.0], "could not connect ("),
    Sequence(
        [broken(TimeoutError())] * 4, BuildsTimeoutError, [0.5, 1.0, 2.0], "no complete response within 30 s"
    ),
    Sequence(
        [broken(aiohttp.ServerTimeoutError())] * 4,
        BuildsTimeoutError,
        [0.5, 1.0, 2.0],
        "no complete response within 30 s",
    ),
    # Failures that would repeat.
    Sequence([status(302, "", Location="https://evil.example/")], APIError, [], "302 the body is empty"),
    Sequence(
        [status(400, refusal(12002, "Invalid request body"))], BadRequestError, [], "400 Invalid request"
    ),
    Sequence(
        [status(401, refusal(12006, "Invalid token"))], AuthenticationError, [], "401 Invalid token [12006]"
    ),
    Sequence([status(403, refusal(10000, "Authentication error"))], PermissionDeniedError, [], "403 Auth"),
    Sequence([status(403)], PermissionDeniedError, [], "403 not the API's JSON"),
    Sequence([status(404, refusal(12000, "Not found"))], NotFoundError, [], "404 Not found [12000]"),
    Sequence([status(409, refusal(12049, "Resource already exists"))], ConflictError, [], "409 Resource"),
    Sequence([status(418)], APIError, [], "418 "),
    Sequence([status(422)], BadRequestError, [], "422 "),
    Sequence([status(200, refusal(12000, "Not found"))], NotFoundError, [], "200 Not found [12000]"),
    Sequence(
        [status(200, envelope({"status": "no id"}))], ResponseDecodeError, [], "can't be read: Object missing"
    ),
    # Too many requests.
    Sequence([status(429, LIMITED, Retry_After="7"), GOOD], None, [7.0]),
    Sequence([status(429, LIMITED, retry_after="60"), GOOD], None, [60.0]),
    Sequence([status(429, LIMITED), GOOD], None, [0.5]),
    Sequence([status(429, Retry_After="3"), GOOD], None, [3.0]),
    Sequence([status(429, LIMITED, Retry_After="0"), GOOD], None, [0.5]),
    Sequence([status(429, LIMITED, Retry_After="0")] * 4, RateLimitError, [0.5, 1.0, 2.0], "429 Please wait"),
    Sequence([status(503, Retry_After="7"), GOOD], None, [7.0]),
    Sequence([status(503, Retry_After="0"), status(503, Retry_After="60"), GOOD], None, [0.5, 60.0]),
    Sequence([status(502, Retry_After="7"), GOOD], None, [0.5]),
    Sequence([status(503, Retry_After="61")], InternalServerError, [], "503 "),
    Sequence([status(429), status(429), GOOD], None, [0.5, 1.0]),
    Sequence([status(502), status(429, Retry_After="5"), status(503), GOOD], None, [0.5, 5.0, 2.0]),
    Sequence([status(200, LIMITED, Retry_After="2"), GOOD], None, [2.0]),
    Sequence([status(429, LIMITED, Retry_After="1")] * 4, RateLimitError, [1.0, 1.0, 2.0], "429 Please wait"),
    Sequence([status(429, LIMITED, Retry_After="61")], RateLimitError, [], "429 Please wait"),
    Sequence(
        [status(502), status(429, LIMITED, Retry_After="300")], RateLimitError, [0.5], "429 Please wait"
    ),
]


@pytest.mark.parametrize("sequence", [pytest.param(sequence, id=sequence.id) for sequence in SEQUENCES])
async def test_sequence(api: MockApi, session: ApiSession, clock: FakeClock, sequence: Sequence) -> None:
    """A read is retried with growing delays while that may help; the last request decides its outcome."""
    for step in sequence.steps:
        api.on("GET", GET, **step)
    call = BuildReads(session).get(BUILD_UUID)
    if sequence.outcome is None:
        assert (await call).build_uuid == BUILD_UUID
    else:
        with pytest.raises(BuildsError) as caught:
            await call
        error = caught.value
        assert type(error) is sequence.outcome
        assert sequence.said in error.message
        assert (error.method, error.path) == ("GET", f"/accounts/{ACCOUNT}{GET}")
        assert error.attempts == len(sequence.steps)
        assert str(error).startswith(f"GET /accounts/{ACCOUNT}{GET}: {error.message}")
        assert getattr(error, "ray_id", RAY) == RAY
        assert getattr(error, "status", 0) == sequence.steps[-1].get("status", 0)
    await session.aclose()
    assert api.sent == [("GET", GET)] * len(sequence.steps)
    assert clock.naps == sequence.naps


@pytest.mark.parametrize(
    ("attempts", "naps"), [(1, []), (2, [0.5]), (7, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0])], ids=["1", "2", "7"]
)
async def test_attempts(api: MockApi, clock: FakeClock, attempts: int, naps: list[float]) -> None:
    """`attempts` bounds the requests of one call, including the first."""
    api.on("GET", GET, **status(503), repeat=True)
    async with BuildsClient(
        account_id=ACCOUNT, api_token="t", retry=RetryPolicy(attempts=attempts), clock=clock
    ) as client:
        with pytest.raises(InternalServerError) as caught:
            await client.builds.get(BUILD_UUID)
    assert caught.value.attempts == attempts == len(api.sent)
    assert all(whole / 2 <= nap <= whole for nap, whole in zip(clock.naps, naps, strict=True))


class TestRateLimited:
    async def test_beyond_max_wait(self, api: MockApi, client: BuildsClient, clock: FakeClock) -> None:
        """A Retry-After beyond `max_wait` is raised at once, also for later calls, which are not sent."""
        api.on("GET", GET, **status(429, LIMITED, Retry_After="300"))
        with pytest.raises(RateLimitError) as caught:
            await client.builds.get(BUILD_UUID)
        assert (caught.value.retry_after, caught.value.attempts, caught.value.status) == (300.0, 1, 429)
        assert caught.value.codes == (971,)

        clock.advance(100)
        with pytest.raises(RateLimitError) as caught:
            await client.builds.get(BUILD_UUID)
        assert (caught.value.retry_after, caught.value.attempts) == (200.0, 0)
        assert caught.value.message == (
            "not sent: the API blocks all requests for another 200 s, and max_wait is 60 s"
        )
        assert (caught.value.method, caught.value.path) == ("GET", f"/accounts/{ACCOUNT}{GET}")
        assert (len(api.sent), clock.naps) == (1, [])

        clock.advance(150)
        api.on("GET", GET, **GOOD)
        assert (await client.builds.get(BUILD_UUID)).build_uuid == BUILD_UUID
        assert clock.naps == [50.0]

    async def test_last_attempt(self, api: MockApi, client: BuildsClient, clock: FakeClock) -> None:
        """A 429 closes the gate for later calls even if its own call is not retried."""
        for _ in range(4):
            api.on("GET", GET, **status(429, LIMITED, Retry_After="10"))
        with pytest.raises(RateLimitError) as caught:
            await client.builds.get(BUILD_UUID)
        assert (caught.value.retry_after, caught.value.attempts) == (10.0, 4)
        assert clock.naps == [10.0] * 3
        api.on("GET", GET, **GOOD)
        await client.builds.get(BUILD_UUID)
        assert clock.naps == [10.0] * 4

    async def test_headers(self, api: MockApi, client: BuildsClient, clock: FakeClock) -> None:
        """When the API reports nothing left, the next call waits until the reset."""
        api.on("GET", GET, **GOOD, headers={"Ratelimit": '"default";r=0;t=12'})
        api.on("GET", GET, **GOOD)
        await client.builds.get(BUILD_UUID)
        await client.builds.get(BUILD_UUID)
        assert clock.naps == [12.0]

    async def test_headers_of_an_error(self, api: MockApi, client: BuildsClient, clock: FakeClock) -> None:
        """The rate-limit headers of a refusal count too."""
        api.on("GET", GET, **status(404, Ratelimit='"default";r=0;t=12'))
        api.on("GET", GET, **GOOD)
        with pytest.raises(NotFoundError):
            await client.builds.get(BUILD_UUID)
        await client.builds.get(BUILD_UUID)
        assert clock.naps == [12.0]


class TestUnsafe:
    """Calls that change something and must not run twice."""

    @pytest.mark.parametrize(
        ("step", "kind"),
        [
            (status(500), InternalServerError),
            (status(503), InternalServerError),
            (status(408), APIError),
            (status(200), ResponseDecodeError),
            (broken(TimeoutError()), BuildsTimeoutError),
            (broken(aiohttp.ServerDisconnectedError()), BuildsConnectionError),
            (broken(aiohttp.ClientPayloadError("cut")), BuildsConnectionError),
            (broken(aiohttp.ClientOSError(104, "reset")), BuildsConnectionError),
        ],
        ids=["500", "503", "408", "garbled", "time-out", "disconnect", "cut", "reset"],
    )
    @pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
    async def test_once(
        self, api: MockApi, session: ApiSession, *, method: str, step: Step, kind: type[BuildsError]
    ) -> None:
        """A request that may have arrived is not sent again."""
        api.on(method, "/x", **step)
        with pytest.raises(kind) as caught:
            await session.exchange(Call(method, "/x", ANYTHING))
        await session.aclose()
        assert (caught.value.attempts, caught.value.method) == (1, method)
        assert getattr(caught.value, "sent", True) is True
        assert len(api.sent) == 1

    @pytest.mark.parametrize(
        ("step", "nap"),
        [(status(429, LIMITED, Retry_After="4"), 4.0), (broken(REFUSED), 0.5)],
        ids=["429", "refused"],
    )
    @pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
    async def test_again(
        self, api: MockApi, session: ApiSession, clock: FakeClock, *, method: str, step: Step, nap: float
    ) -> None:
        """A request that can't have been carried out is sent again."""
        api.on(method, "/x", **step)
        api.on(method, "/x", json=envelope("done"))
        assert (await session.exchange(Call(method, "/x", ANYTHING))).result == "done"
        await session.aclose()
        assert (len(api.sent), clock.naps) == (2, [nap])

    async def test_never_connected(self, api: MockApi, session: ApiSession) -> None:
        """An error says when the request can't have arrived."""
        api.on("POST", "/x", **broken(REFUSED), repeat=True)
        with pytest.raises(BuildsConnectionError) as caught:
            await session.post("/x", ANYTHING)
        await session.aclose()
        assert (caught.value.sent, caught.value.attempts) == (False, 4)
        assert caught.value.__cause__ is REFUSED

    async def test_cancel_again(self, api: MockApi, client: BuildsClient, clock: FakeClock) -> None:
        """A cancellation is retried like a read, because canceling twice has the effect of once."""
        api.on("PUT", f"{GET}/cancel", **status(502))
        api.on(
            "PUT", f"{GET}/cancel", json=envelope({"build_uuid": BUILD_UUID, "build_outcome": "cancelled"})
        )
        assert (await client.builds.cancel(BUILD_UUID)).build_outcome == BuildOutcome.CANCELLED
        assert len(api.sent) == 2
        assert len(clock.naps) == 1


PAGE = envelope([build()], result_info=result_info(page=1, per_page=50, total_count=1))


@pytest.mark.parametrize(
    ("call", "sent", "answered", "kind"),
    [
        pytest.param(lambda builds: builds.get(BUILD_UUID), ("GET", GET), envelope(build()), Build, id="get"),
        pytest.param(
            lambda builds: builds.cancel(BUILD_UUID),
            ("PUT", f"{GET}/cancel"),
            envelope({}),
            CanceledBuild,
            id="cancel",
        ),
        pytest.param(
            lambda builds: builds.logs(BUILD_UUID),
            ("GET", f"{GET}/logs"),
            envelope(log_page("a", cursor="c")),
            LogPage,
            id="logs",
        ),
        pytest.param(
            lambda builds: builds.logs(BUILD_UUID, cursor="WzAsMzRd"),
            ("GET", f"{GET}/logs?cursor=WzAsMzRd"),
            envelope(log_page()),
            LogPage,
            id="logs behind a cursor",
        ),
        pytest.param(
            lambda builds: builds.list(TAG),
            ("GET", f"/builds/workers/{TAG}/builds?page=1&per_page=50"),
            PAGE,
            None,
            id="list",
        ),
        pytest.param(
            lambda builds: builds.list(TAG, page=3, per_page=200),
            ("GET", f"/builds/workers/{TAG}/builds?page=3&per_page=200"),
            PAGE,
            None,
            id="list, page 3",
        ),
        pytest.param(
            lambda builds: builds.latest([TAG]),
            ("GET", f"/builds/builds/latest?external_script_ids={TAG}"),
            envelope({"builds": {TAG: build()}}),
            None,
            id="latest",
        ),
        pytest.param(
            lambda builds: builds.by_version(["v1"]),
            ("GET", "/builds/builds?version_ids=v1"),
            envelope({"builds": {"v1": build()}}),
            None,
            id="by_version",
        ),
    ],
)
async def test_endpoint(
    api: MockApi,
    client: BuildsClient,
    *,
    call: Callable[[Builds], Any],
    sent: tuple[str, str],
    answered: Mapping[str, Any],
    kind: type | None,
) -> None:
    """Each method sends one request to its endpoint and returns its declared type."""
    api.on(*sent, json=answered)
    result = await call(client.builds)
    assert kind is None or type(result) is kind
    assert api.sent == [sent]


class TestNull:
    async def test_needed(self, api: MockApi, client: BuildsClient) -> None:
        """A null for a required result is an unreadable response, and the request is not retried."""
        api.on("GET", GET, json=envelope(None), headers={"cf-ray": RAY})
        with pytest.raises(ResponseDecodeError, match="the `result` of the response is null") as caught:
            await client.builds.get(BUILD_UUID)
        error = caught.value
        assert (error.method, error.path) == ("GET", f"/accounts/{ACCOUNT}{GET}")
        assert (error.status, error.attempts, error.transient) == (200, 1, False)

    async def test_ray(self, api: MockApi, client: BuildsClient) -> None:
        """The error for a null result carries the ray id."""
        api.on("GET", GET, json=envelope(None), headers={"cf-ray": RAY})
        with pytest.raises(ResponseDecodeError) as caught:
            await client.builds.get(BUILD_UUID)
        assert caught.value.ray_id == RAY

    async def test_logs(self, api: MockApi, client: BuildsClient) -> None:
        """A null log is an empty log."""
        api.on("GET", f"{GET}/logs", json=envelope(None))
        assert await client.builds.logs(BUILD_UUID) == LogPage()

    @pytest.mark.parametrize(
        "result", [None, {}, {"builds": None}, {"builds": {}}, {"builds": {TAG: None}}], ids=str
    )
    async def test_latest(self, api: MockApi, client: BuildsClient, result: object) -> None:
        """A lookup without an entry reports an id without builds, in every form of the API's "nothing"."""
        api.on("GET", f"/builds/builds/latest?external_script_ids={TAG}", json=envelope(result))
        found = await client.builds.latest([TAG])
        assert (found.found, found.missing, found.failed) == ({}, (TAG,), {})

    async def test_list(self, api: MockApi, client: BuildsClient) -> None:
        """A null list is an empty page."""
        api.on("GET", f"/builds/workers/{TAG}/builds?page=1&per_page=50", json=envelope(None))
        page = await client.builds.list(TAG)
        assert (len(page), page.result_info) == (0, None)


class TestMisuse:
    @cases("bad", ["", ".", "..", "a/b"])
    @cases(
        "call",
        [
            lambda client, bad: client.builds.get(bad),
            lambda client, bad: client.builds.cancel(bad),
            lambda client, bad: client.builds.logs(bad),
            lambda client, bad: client.builds.list(bad),
            lambda client, bad: client.builds.latest([TAG, bad]),
            lambda client, bad: client.builds.by_version([TAG, bad]),
        ],
        ids=["get", "cancel", "logs", "list", "latest", "by_version"],
    )
    async def test_id(
        self, api: MockApi, client: BuildsClient, call: Callable[[BuildsClient, str], Any], bad: str
    ) -> None:
        """An invalid id is a ValueError before anything is sent."""
        with pytest.raises(ValueError, match=re.escape(f"{bad!r} can't be an id")):
            await call(client, bad)
        assert api.sent == []

    @pytest.mark.parametrize("bad", ["", "..", "a/b"])
    async def test_rejected_at_once(self, client: BuildsClient, bad: str) -> None:
        """`follow` and `iter`, which send nothing when called, reject an invalid id at once."""
        with pytest.raises(ValueError, match="can't be an id"):
            client.follow(bad)
        with pytest.raises(ValueError, match="can't be an id"):
            client.builds.iter(bad)


class TestLog:
    async def test_lines(self, api: MockApi, client: BuildsClient, caplog: pytest.LogCaptureFixture) -> None:
        """Each request logs a line at DEBUG, and each delay one at INFO with its reason and length."""
        caplog.set_level(logging.DEBUG, logger="builds_async")
        api.on("GET", GET, **status(503, "busy"))
        api.on("GET", GET, **GOOD)
        await client.builds.get(BUILD_UUID)
        path = f"/accounts/{ACCOUNT}{GET}"
        first, retry, second = [record for record in caplog.records if record.name == "builds_async"]
        assert (first.levelno, first.message) == (logging.DEBUG, f"GET {path}: 503 in 0.000 s, ray {RAY}")
        assert retry.levelno == logging.INFO
        assert re.fullmatch(
            rf"GET {path}: 503 not the API's JSON, the body starts with 'busy'\..*; trying again in 0\.\d s",
            retry.message,
        )
        assert (second.levelno, second.message) == (logging.DEBUG, f"GET {path}: 200 in 0.000 s, ray unknown")

    async def test_quiet(self, api: MockApi, client: BuildsClient, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing is logged at WARNING or above, because errors are raised instead."""
        caplog.set_level(logging.DEBUG)
        api.on("GET", GET, **status(429, LIMITED, Retry_After="300"))
        with pytest.raises(RateLimitError):
            await client.builds.get(BUILD_UUID)
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    def test_no_handler(self) -> None:
        """The library's logger has no handler and no level of its own."""
        logger = logging.getLogger("builds_async")
        assert (logger.handlers, logger.level) == ([], logging.NOTSET)
