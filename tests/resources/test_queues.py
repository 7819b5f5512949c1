"""`client.queues`: pulling, acknowledging and extending over HTTP."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse
from yarl import URL

from builds_async import (
    BuildsClient,
    BuildsConnectionError,
    InternalServerError,
    PermissionDeniedError,
    QueueBatch,
    QueueMessage,
    RateLimitError,
)
from builds_async.models.queues import QueueAcks, QueueExtension
from tests.support import ACCOUNT, TOKEN, FakeClock, MockApi, envelope, refusal
from tests.support.case import cases

QUEUE = "023e105f4ecef8ad9ca31a8372d0c353"
PULL, ACK, EXTEND = (f"/queues/{QUEUE}/messages/{action}" for action in ("pull", "ack", "extend"))
MESSAGE: dict[str, Any] = {
    "id": "b01b5594f784d0165c2985833f5660dd",
    "lease_id": "eyJhbGciOiJkaXIifQ..Q8p21d7d",
    "body": "hello world",
    "timestamp_ms": 1710950954154,
    "attempts": 2,
    "metadata": {"CF-Content-Type": "text", "CF-sourceMessageSource": "dash"},
}


class BodyApi(MockApi):
    """Also records the requests' bodies and content types."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[Any] = []
        self.types: list[str | None] = []

    async def match(self, method: str, url: URL, *args: Any, **kwargs: Any) -> ClientResponse | None:
        self.bodies.append(kwargs.get("data") and json.loads(kwargs["data"]))
        self.types.append((kwargs.get("headers") or {}).get("Content-Type"))
        return await super().match(method, url, *args, **kwargs)


@pytest.fixture
async def api() -> AsyncIterator[BodyApi]:
    with BodyApi() as mock:
        yield mock


class TestPull:
    async def test_batch(self, client: BuildsClient, api: BodyApi) -> None:
        """A pull sends the schema's keys as JSON and returns the messages unchanged."""
        result = {"message_backlog_count": 5, "messages": [MESSAGE], "metadata": {"metrics": {}}}
        api.on("POST", PULL, envelope(result))
        batch = await client.queues.pull(QUEUE, batch_size=50, visibility_timeout_ms=6000)
        assert batch == QueueBatch(message_backlog_count=5, messages=(QueueMessage(**MESSAGE),))
        assert api.sent == [("POST", PULL)]
        assert api.bodies == [{"batch_size": 50, "visibility_timeout_ms": 6000}]
        assert api.types == ["application/json"]

    async def test_defaults(self, client: BuildsClient, api: BodyApi) -> None:
        """Without arguments, a pull sends the API's own defaults."""
        api.on("POST", PULL, envelope({"messages": []}))
        await client.queues.pull(QUEUE)
        assert api.bodies == [{"batch_size": 5, "visibility_timeout_ms": 30_000}]

    @pytest.mark.parametrize(
        "result", [None, {}, {"messages": []}, {"messages": None}], ids=["null", "bare", "empty", "no list"]
    )
    async def test_empty(self, result: Any, client: BuildsClient, api: BodyApi) -> None:
        """An empty queue is an empty batch, in every form of the API's "nothing"."""
        api.on("POST", PULL, envelope(result))
        assert (await client.queues.pull(QUEUE)).messages == ()

    @pytest.mark.parametrize("body", ["text", {"an": "object"}, ["list"], 1, None], ids=str)
    async def test_any_body(self, body: Any, client: BuildsClient, api: BodyApi) -> None:
        """A message may have any body, and only its two ids are required."""
        api.on("POST", PULL, envelope({"messages": [{"id": "m", "lease_id": "l", "body": body}]}))
        batch = await client.queues.pull(QUEUE)
        assert batch.messages == (QueueMessage(id="m", lease_id="l", body=body),)


class TestAck:
    async def test_both(self, client: BuildsClient, api: BodyApi) -> None:
        """One request acknowledges messages and retries others after a delay in whole seconds."""
        api.on("POST", ACK, envelope({"ackCount": 2, "retryCount": 2, "warnings": {}}))
        result = await client.queues.ack(QUEUE, acks=["a", "b"], retries=[("c", 0), ("d", 1.2)])
        assert result == QueueAcks(ack_count=2, retry_count=2, warnings={})
        assert api.bodies == [
            {
                "acks": [{"lease_id": "a"}, {"lease_id": "b"}],
                "retries": [
                    {"lease_id": "c", "delay_seconds": 0},
                    {"lease_id": "d", "delay_seconds": 2},
                ],
            }
        ]

    @pytest.mark.parametrize(
        ("warnings", "read"),
        [({"a": "gone"}, {"a": "gone"}), (["gone"], ("gone",)), ([], ()), (None, None)],
        ids=["map", "list", "empty list", "null"],
    )
    async def test_warnings(self, warnings: Any, read: Any, client: BuildsClient, api: BodyApi) -> None:
        """Warnings are read in their current shape and in the older one."""
        api.on("POST", ACK, envelope({"ackCount": 0, "warnings": warnings}))
        api.on("POST", EXTEND, envelope({"extendCount": 0, "warnings": warnings}))
        assert (await client.queues.ack(QUEUE, acks=["a"])).warnings == read
        extension = await client.queues.extend(QUEUE, ["a"], visibility_timeout_ms=1)
        assert extension.warnings == read


async def test_extend(client: BuildsClient, api: BodyApi) -> None:
    """An extension sends the leases and the new visibility timeout."""
    api.on("POST", EXTEND, envelope({"extendCount": 2}))
    result = await client.queues.extend(QUEUE, ["a", "b"], visibility_timeout_ms=9000)
    assert result == QueueExtension(extend_count=2)
    assert api.bodies == [{"extend": [{"lease_id": "a"}, {"lease_id": "b"}], "visibility_timeout_ms": 9000}]


async def test_no_leases(client: BuildsClient, api: BodyApi) -> None:
    """Without lease ids, nothing is sent."""
    assert await client.queues.ack(QUEUE) == QueueAcks(ack_count=0, retry_count=0)
    assert await client.queues.extend(QUEUE, [], visibility_timeout_ms=1) == QueueExtension(extend_count=0)
    assert api.sent == []


@pytest.mark.parametrize("path", [ACK, EXTEND], ids=["ack", "extend"])
async def test_null_result(path: str, client: BuildsClient, api: BodyApi) -> None:
    """A null result is a success without details."""
    api.on("POST", path, envelope(None))
    if path == ACK:
        assert await client.queues.ack(QUEUE, acks=["a"]) == QueueAcks()
    else:
        assert await client.queues.extend(QUEUE, ["a"], visibility_timeout_ms=1) == QueueExtension()


@cases(
    ("call", "error", "said"),
    [
        (lambda queues: queues.pull(""), ValueError, "can't be an id"),
        (lambda queues: queues.pull("a/b"), ValueError, "can't be an id"),
        (lambda queues: queues.pull(QUEUE, batch_size=0), ValueError, "batch_size must be 1 to 100, not 0"),
        (
            lambda queues: queues.pull(QUEUE, batch_size=101),
            ValueError,
            "batch_size must be 1 to 100, not 101",
        ),
        (
            lambda queues: queues.pull(QUEUE, visibility_timeout_ms=0),
            ValueError,
            "must be above 0 and at most",
        ),
        (
            lambda queues: queues.extend(QUEUE, ["a"], visibility_timeout_ms=43_200_001),
            ValueError,
            "at most 43200000, not 43200001",
        ),
        (lambda queues: queues.ack(QUEUE, retries=[("a", -1)]), ValueError, "0 to 86400 seconds, not -1"),
        (lambda queues: queues.ack(QUEUE, retries=[("a", 86401)]), ValueError, "seconds, not 86401"),
        (lambda queues: queues.ack(QUEUE, acks="abc"), TypeError, "not one str"),
        (lambda queues: queues.extend(QUEUE, "abc", visibility_timeout_ms=1), TypeError, "not one str"),
    ],
    ids=[
        *("no id", "no segment", "none", "too many", "no time", "too long", "the past", "too late"),
        *("one str to ack", "one str to extend"),
    ],
)
async def test_misuse(
    call: Callable[[Any], Any], error: type[Exception], said: str, client: BuildsClient, api: BodyApi
) -> None:
    """Invalid arguments are rejected before anything is sent."""
    with pytest.raises(error, match=said):
        await call(client.queues)
    assert api.sent == []


class TestRefusals:
    @pytest.mark.parametrize(
        "call",
        [
            lambda queues: queues.pull(QUEUE),
            lambda queues: queues.ack(QUEUE, acks=["a"]),
            lambda queues: queues.extend(QUEUE, ["a"], visibility_timeout_ms=1),
        ],
        ids=["pull", "ack", "extend"],
    )
    async def test_permission(self, call: Callable[[Any], Any], client: BuildsClient, api: BodyApi) -> None:
        """A 403 names the permission for queues, by both of its names, and not the one for builds."""
        for path in (PULL, ACK, EXTEND):
            api.on("POST", path, refusal(10000, "Authentication error"), status=403)
        with pytest.raises(PermissionDeniedError) as caught:
            await call(client.queues)
        assert 'give it "Queues Write", in the dashboard "Queues Edit"' in str(caught.value)
        assert "Workers" not in str(caught.value)

    async def test_permission_of_builds(self, client: BuildsClient, api: BodyApi) -> None:
        """A Worker named `queues` does not change the permission for builds."""
        api.on("GET", "/builds/workers/queues/deploy_hooks", refusal(10000, "no"), status=403)
        with pytest.raises(PermissionDeniedError, match="Workers CI Read"):
            await client.deploy_hooks.list("queues")

    @pytest.mark.parametrize(
        ("response", "error"),
        [
            ({"status": 503}, InternalServerError),
            ({"exception": TimeoutError()}, BuildsConnectionError),
        ],
        ids=["503", "time-out"],
    )
    async def test_not_repeated(
        self, response: Any, error: type[Exception], client: BuildsClient, api: BodyApi
    ) -> None:
        """A pull that may have arrived is not sent again, because it would lease other messages."""
        api.on("POST", PULL, **response)
        with pytest.raises(error):
            await client.queues.pull(QUEUE)
        assert len(api.sent) == 1

    async def test_repeated(self, api: BodyApi, clock: FakeClock) -> None:
        """After a 429 the same body is sent once more."""
        api.on("POST", ACK, status=429, headers={"Retry-After": "1"})
        api.on("POST", ACK, envelope({"ackCount": 1}))
        async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, clock=clock) as client:
            await client.queues.ack(QUEUE, acks=["a"])
        assert api.bodies == [{"acks": [{"lease_id": "a"}], "retries": []}] * 2

    async def test_too_long(self, client: BuildsClient, api: BodyApi) -> None:
        """A 429 with a Retry-After above the limit is raised."""
        api.on("POST", PULL, status=429, headers={"Retry-After": "300"})
        with pytest.raises(RateLimitError):
            await client.queues.pull(QUEUE)
