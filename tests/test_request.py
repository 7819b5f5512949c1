"""`client.request`: any call of the API, through the same session as all others."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from builds_async import (
    BadRequestError,
    Build,
    BuildsClient,
    BuildsConnectionError,
    ConflictError,
    InternalServerError,
    ResponseDecodeError,
)
from builds_async.session.transport import Request, Response
from builds_async.simulator import BuildsSimulator, Fault, VirtualClock
from tests.support import ACCOUNT, BUILD_UUID, TOKEN, FakeClock, build
from tests.support.case import cases

SECRET = "s3cretValue"


class Wire:
    """A transport that returns prepared responses and records the requests."""

    def __init__(self, *responses: tuple[int, bytes]) -> None:
        self.responses = deque(responses)
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        status, body = self.responses.popleft()
        return Response(status, CIMultiDict(), body)

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""


def result(value: object) -> tuple[int, bytes]:
    return 200, msgspec.json.encode({"success": True, "result": value})


def client_of(*responses: tuple[int, bytes]) -> tuple[BuildsClient, Wire]:
    wire = Wire(*responses)
    client = BuildsClient(account_id=ACCOUNT, api_token=TOKEN, transport=wire, clock=FakeClock())
    return client, wire


@dataclass
class Named:
    name: str


@cases(
    ("kind", "sent", "given"),
    [
        pytest.param(object, {"a": [1]}, {"a": [1]}, id="whatever"),
        pytest.param(Build, build(), msgspec.convert(build(), Build), id="a model"),
        pytest.param(Named, {"name": "x", "more": 1}, Named("x"), id="a dataclass"),
        pytest.param(dict[str, int], {"a": 1}, {"a": 1}, id="a map"),
        pytest.param(tuple[Build, ...], [build(), 5], (msgspec.convert(build(), Build),), id="odd models"),
        pytest.param(list[Named], [{"name": "x"}], [Named("x")], id="a list"),
        pytest.param(Named | None, None, None, id="or None"),
        pytest.param(object, None, None, id="null"),
    ],
)
async def test_result(kind: Any, sent: object, given: object) -> None:
    """The `result` of the response is returned as the requested type."""
    client, _ = client_of(result(sent))
    assert await client.request("GET", "/zones", type=kind) == given


async def test_request_is_sent_as_given() -> None:
    """Method, path, query and body are sent as given, with the credentials."""
    client, wire = client_of(result({}))
    await client.request(
        "PATCH",
        f"/accounts/{client.account_id}/workers/scripts/a%20b@1",
        query={"name": "a&b=c/ü", "page": 2, "deep": True, "flat": False, "left_out": None, "x y": 0.5},
        body={"logpush": True},
    )
    [request] = wire.requests
    assert request.path == f"/accounts/{ACCOUNT}/workers/scripts/a%20b%401"
    assert request.query == "name=a%26b%3Dc%2F%C3%BC&page=2&deep=true&flat=false&x%20y=0.5"
    assert (request.method, request.body) == ("PATCH", b'{"logpush":true}')
    assert request.headers == {"Authorization": f"Bearer {TOKEN}"}


@cases(
    "path",
    [
        "https://evil.example/",
        "//evil.example",
        "zones",
        "",
        "/",
        "/zones/",
        "/a//b",
        "/../x",
        "/a/..",
        "/a/./b",
        "/%2e%2e/x",
        "/%2E./x",
        "/a%2fb",
        "/a%5cb",
        "/a\\b",
        "/%252e%252e/x",
        "/100%",
        "/zones?page=2",
        "/zones#x",
        "/accounts/cfut_" + "aB3" * 12,
    ],
)
async def test_paths_that_leave_the_api(path: str) -> None:
    """A path that another server, a proxy or the API could read as a different one is not sent."""
    client, wire = client_of()
    with pytest.raises(ValueError, match=r"path|can't be an id|not shown"):
        await client.request("GET", path)
    assert wire.requests == []


@cases(
    ("kind", "arguments"),
    [
        pytest.param(ValueError, {"method": "TRACE"}, id="method"),
        pytest.param(ValueError, {"method": "get"}, id="lower case"),
        pytest.param(TypeError, {"path": 5}, id="path"),
        pytest.param(TypeError, {"query": {"a": ["b"]}}, id="query"),
        pytest.param(TypeError, {"body": object()}, id="body"),
        pytest.param(ValueError, {"query": {"t": "cfut_" + "aB3" * 12}}, id="a token in the query"),
        pytest.param(ValueError, {"query": {"t": TOKEN}}, id="the client's own token in the query"),
    ],
)
async def test_misuse(kind: type[Exception], arguments: Mapping[str, Any]) -> None:
    """Any other invalid argument is rejected at once."""
    client, wire = client_of()
    with pytest.raises(kind) as caught:
        await client.request(**{"method": "GET", "path": "/zones", **arguments})
    assert wire.requests == []
    assert "aB3aB3" not in str(caught.value)


@cases(
    ("method", "kind", "status", "body"),
    [
        pytest.param("GET", dict[str, int], 200, f'{{"result":{{"token":"{SECRET}"}}}}', id="another type"),
        pytest.param("POST", Named, 200, f'{{"result":["{SECRET}"]}}', id="another shape"),
        pytest.param("GET", tuple[Build, ...], 200, f'{{"result":"{SECRET}"}}', id="no list"),
        pytest.param("GET", Named, 200, '{"result":null}', id="null where a type is due"),
        pytest.param("GET", object, 200, f"<html>{SECRET}", id="not JSON"),
    ],
)
async def test_unreadable_result(method: str, kind: Any, status: int, body: str) -> None:
    """A result of another type is an error that does not show it, because it may be a new token."""
    client, _ = client_of(*[(status, body.encode())] * 4)
    with pytest.raises(ResponseDecodeError) as caught:
        await client.request(method, "/user/tokens", type=kind)
    assert SECRET not in f"{caught.value!r} {vars(caught.value)}"


@cases("method", ["POST", "PUT", "PATCH", "DELETE"])
@cases("body", [b"", b'{"success":true}', b'{"success":true,"result":null}'])
async def test_change_without_a_result(method: str, body: bytes) -> None:
    """A successful change without a result in its response returns None."""
    client, _ = client_of((200, body))
    assert await client.request(method, "/zones/x") is None


async def test_refusal() -> None:
    """A refusal is the usual error, in the API's words and with its call."""
    client, _ = client_of((409, b'{"success":false,"errors":[{"code":7,"message":"It exists"}]}'))
    with pytest.raises(ConflictError, match="It exists") as caught:
        await client.request("POST", "/zones", body={"name": SECRET})
    assert (caught.value.method, caught.value.path) == ("POST", "/zones")
    assert SECRET not in str(caught.value)


async def test_deploy_hook() -> None:
    """The UUID of a deploy hook, which is a secret, is in no error."""
    client, _ = client_of((400, f'{{"errors":[{{"message":"no {BUILD_UUID}"}}]}}'.encode()))
    with pytest.raises(BadRequestError) as caught:
        await client.request("POST", f"/workers/builds/deploy_hooks/{BUILD_UUID}")
    assert BUILD_UUID not in f"{caught.value!r} {vars(caught.value)}"


@cases(("method", "sent"), [("GET", 2), ("PUT", 2), ("POST", 1), ("DELETE", 1)])
async def test_retries(method: str, sent: int) -> None:
    """A read is retried after a server failure, and a change is not."""
    client, wire = client_of((500, b""), result(1))
    if sent == 1:
        with pytest.raises(InternalServerError):
            await client.request(method, "/zones")
    else:
        assert await client.request(method, "/zones") == 1
    assert len(wire.requests) == sent


async def test_on_the_simulator() -> None:
    """On a simulated account a request equals the resource's method, including budget and faults."""
    sim = BuildsSimulator(clock=VirtualClock(), faults=[Fault("reset")])
    made = sim.add_finished_build(1)
    async with sim.client() as client:
        path = f"/accounts/{client.account_id}/builds/builds/{made.build_uuid}"
        assert await client.request("GET", path, type=Build) == await client.builds.get(made.build_uuid)
        spent = client.budget.snapshot()
        await client.request("GET", path)
        assert client.budget.snapshot() != spent
        sim.fault("reset")
        with pytest.raises(BuildsConnectionError):
            await client.request("POST", path)
