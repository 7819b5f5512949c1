"""A call as a value: what it hides, and what goes over the wire."""

from typing import Any

import msgspec
import pytest

from builds_async import BuildsConnectionError, Observation, RateBudget, RequestDone, RetryPolicy
from builds_async.models.envelope import Envelope
from builds_async.session.call import Call
from builds_async.session.redact import Secret
from builds_async.session.session import ApiSession
from builds_async.session.transport import Request, Response
from tests.support import FakeClock, envelope
from tests.support.case import cases

NUMBER = msgspec.json.Decoder(Envelope[int])
CREDENTIALS = {"Authorization": Secret("Bearer abc")}


class Wire:
    """A transport that returns these outcomes in order and records the requests."""

    def __init__(self, *outcomes: Response | Exception) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""


def ok(result: object, **headers: str) -> Response:
    """A success."""
    return Response(200, headers, msgspec.json.encode(envelope(result)))


def a_session(wire: Wire, **options: Any) -> ApiSession:
    """A session over this wire."""
    defaults: dict[str, Any] = {"clock": FakeClock(), "credentials": CREDENTIALS, "retry": RetryPolicy()}
    return ApiSession(wire, "/accounts/a", budget=RateBudget(), max_in_flight=1, **{**defaults, **options})


@cases(
    ("options", "hides"),
    [({}, False), ({"secrets": (Secret("s"),)}, True), ({"confidential": True}, True)],
    ids=["plain", "carries a secret", "gets one"],
)
def test_hides_response(options: dict[str, Any], hides: bool) -> None:
    """Errors omit the response text if the call or the response carries a secret."""
    assert Call("GET", "/x", NUMBER, **options).hides_response is hides


def test_repr() -> None:
    """The repr of a call shows neither its path nor its body."""
    assert repr(Call("PUT", "/deploy_hooks/secret", NUMBER, body=b"secret")) == "<Call PUT>"


@pytest.mark.parametrize("anonymous", [False, True], ids=["with credentials", "anonymous"])
async def test_request(anonymous: bool) -> None:
    """A request copies every part of its call; its headers carry credentials unless it is anonymous."""
    wire = Wire(ok(1))
    call = Call("POST", "/x", NUMBER, "a=b", b"{}", secrets=(Secret("s"),), anonymous=anonymous)
    assert await a_session(wire).send(call) == 1
    headers = {} if anonymous else CREDENTIALS
    assert wire.requests == [
        Request("POST", "/accounts/a/x", "a=b", b"{}", headers, (Secret("s"),), anonymous)
    ]


@cases("verb", ["get", "post", "put", "patch", "delete"])
async def test_verbs(verb: str) -> None:
    """Each verb sends its own method and returns the result."""
    wire = Wire(ok(7))
    body = (b"{}",) if verb == "patch" else ()
    assert await getattr(a_session(wire), verb)("/x", NUMBER, *body) == 7
    assert [it.method for it in wire.requests] == [verb.upper()]


async def test_date_of_each_response() -> None:
    """The server's date belongs to one reply and does not change with another response."""
    wire = Wire(ok(1, Date="Thu, 13 Aug 2026 02:33:54 GMT"), ok(2))
    session = a_session(wire)
    first, second = [await session.exchange(Call("GET", "/x", NUMBER)) for _ in range(2)]
    assert first.date is not None
    assert (first.result, first.date.isoformat()) == (1, "2026-08-13T02:33:54+00:00")
    assert (second.result, second.date) == (2, None)


async def test_on_sent() -> None:
    """`on_sent` is called for every request that goes out, including those that fail."""
    sent: list[float] = []
    clock = FakeClock()
    wire = Wire(BuildsConnectionError("reset"), ok(1))
    session = a_session(wire, clock=clock, rng=lambda: 0.0)
    await session.exchange(Call("GET", "/x", NUMBER), on_sent=lambda: sent.append(clock.now()))
    assert [at - sent[0] for at in sent] == [0.0, 0.5]


async def test_complete_when_raised() -> None:
    """A transport error names its call wherever it is seen, and the transport's own object is unchanged."""
    error = BuildsConnectionError("reset")
    seen: list[Observation] = []
    session = a_session(Wire(error, error), retry=RetryPolicy(attempts=2), observer=seen.append)
    with pytest.raises(BuildsConnectionError) as caught:
        await session.get("/x", NUMBER)
    assert str(caught.value) == "GET /accounts/a/x: reset (after 2 attempts)"
    assert (error.method, error.path, error.attempts) == ("", "", 0)
    texts = [str(it.error) for it in seen if isinstance(it, RequestDone)]
    assert texts == ["GET /accounts/a/x: reset", "GET /accounts/a/x: reset (after 2 attempts)"]
