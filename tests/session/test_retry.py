"""The retry policy: whether a call is repeated, and when."""

import re
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
)
from tests.support.case import cases


def unavailable(retry_after: float | None) -> InternalServerError:
    """A 503 that asks for this wait."""
    error = InternalServerError("x", status=503)
    error.retry_after = retry_after
    return error


def hopeless(*, sent: bool) -> BuildsConnectionError:
    """A failure that persists until a person fixes it."""
    return BuildsConnectionError("x", sent=sent, transient=False)


SAFE = ["GET", "PUT"]
UNSAFE = ["POST", "PATCH", "DELETE"]


@cases(
    ("error", "safe", "unsafe"),
    [
        pytest.param(BuildsConnectionError("x"), True, False, id="connection lost"),
        pytest.param(BuildsConnectionError("x", sent=False), True, True, id="never connected"),
        pytest.param(BuildsTimeoutError("x"), True, False, id="time-out"),
        pytest.param(InternalServerError("x", status=500), True, False, id="500"),
        pytest.param(InternalServerError("x", status=502), True, False, id="502"),
        pytest.param(InternalServerError("x", status=503), True, False, id="503"),
        pytest.param(unavailable(60), True, False, id="503, max_wait"),
        pytest.param(unavailable(60.1), False, False, id="503, beyond max_wait"),
        pytest.param(hopeless(sent=True), False, False, id="certificate"),
        pytest.param(hopeless(sent=False), False, False, id="407 of a proxy"),
        pytest.param(InternalServerError("x", status=504), True, False, id="504"),
        pytest.param(InternalServerError("x", status=520), True, False, id="520"),
        pytest.param(APIError("x", status=408), True, False, id="408"),
        pytest.param(APIError("x", status=425), True, False, id="425"),
        pytest.param(RateLimitError("x"), True, True, id="429"),
        pytest.param(RateLimitError("x", retry_after=0), True, True, id="429, at once"),
        pytest.param(RateLimitError("x", retry_after=60), True, True, id="429, max_wait"),
        pytest.param(RateLimitError("x", retry_after=60.1), False, False, id="429, beyond max_wait"),
        pytest.param(RateLimitError("x", status=200, retry_after=300), False, False, id="200 with 971"),
        pytest.param(ResponseDecodeError("x", status=200, transient=True), True, False, id="garbled"),
        pytest.param(ResponseDecodeError("x", status=200), False, False, id="unknown shape"),
        pytest.param(BadRequestError("x", status=400), False, False, id="400"),
        pytest.param(AuthenticationError("x", status=401), False, False, id="401"),
        pytest.param(PermissionDeniedError("x", status=403), False, False, id="403"),
        pytest.param(NotFoundError("x", status=404), False, False, id="404"),
        pytest.param(ConflictError("x", status=409), False, False, id="409"),
        pytest.param(APIError("x", status=302), False, False, id="302"),
        pytest.param(APIError("x", status=418), False, False, id="418"),
        pytest.param(APIError("x", status=200), False, False, id="200 that says no"),
        pytest.param(ConfigurationError("x"), False, False, id="configuration"),
        pytest.param(BuildsError("x"), False, False, id="anything else"),
    ],
)
def test_retried_errors(error: BuildsError, safe: bool, unsafe: bool) -> None:
    """GET and PUT are retried when that may help; other methods, only when nothing can have been done."""
    policy = RetryPolicy()
    assert {method: policy.repeats(error, method) for method in SAFE} == dict.fromkeys(SAFE, safe)
    assert {method: policy.repeats(error, method) for method in UNSAFE} == dict.fromkeys(UNSAFE, unsafe)


@cases(
    ("chance", "pauses"),
    [
        (0.0, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]),
        (0.5, [0.375, 0.75, 1.5, 3.0, 6.0, 6.0, 6.0]),
        (1.0, [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]),
    ],
    ids=["longest", "middle", "shortest"],
)
def test_delays(chance: float, pauses: list[float]) -> None:
    """Delays double from `base` to `max_delay`, each shortened by a random part of up to half."""
    assert list(islice(RetryPolicy().delays(lambda: chance), 7)) == pauses


def test_chance_each_time() -> None:
    """Each delay is shortened by its own random number."""
    chances = iter([0.0, 1.0, 0.0])
    assert list(islice(RetryPolicy(base=1).delays(lambda: next(chances)), 3)) == [1.0, 1.0, 4.0]


@given(
    st.floats(0, 100),
    st.floats(0, 100),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=20, max_size=20),
)
def test_bounds(base: float, max_delay: float, chances: list[float]) -> None:
    """No delay is negative or longer than `max_delay`."""
    rng = iter(chances)
    policy = RetryPolicy(base=base, max_delay=max_delay)
    for pause in islice(policy.delays(lambda: next(rng)), 20):
        assert 0 <= pause <= max_delay


def test_value() -> None:
    """A policy is a frozen value with the documented defaults."""
    policy = RetryPolicy()
    assert policy == RetryPolicy(attempts=4, base=0.5, max_delay=8.0, max_wait=60.0)
    assert {policy: "hashable"}[RetryPolicy()] == "hashable"
    with pytest.raises(AttributeError):
        policy.attempts = 5  # type: ignore[misc]  # the point


def test_keywords() -> None:
    """A policy takes keyword arguments only."""
    with pytest.raises(TypeError, match="positional"):
        RetryPolicy(4)  # type: ignore[call-arg]  # the point


@cases(
    ("arguments", "kind", "said"),
    [
        ({"attempts": 0}, ValueError, "attempts must be at least 1, not 0"),
        ({"attempts": 2.0}, TypeError, "attempts must be a whole number, not 2.0"),
        ({"attempts": True}, TypeError, "attempts must be a whole number, not True"),
        ({"base": -0.1}, ValueError, "base must be at least 0 s and finite, not -0.1"),
        ({"base": "1"}, TypeError, "base must be a number of seconds, not str"),
        ({"max_delay": float("inf")}, ValueError, "max_delay must be at least 0 s and finite, not inf"),
        ({"max_wait": -1}, ValueError, "max_wait must be at least 0 s or infinite, not -1"),
        ({"max_wait": float("nan")}, ValueError, "max_wait must be at least 0 s or infinite, not nan"),
        ({"max_wait": None}, TypeError, "max_wait must be a number of seconds, not None"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_misuse(arguments: dict[str, Any], kind: type[Exception], said: str) -> None:
    """An invalid number is rejected by name."""
    with pytest.raises(kind, match=f"^{re.escape(said)}$"):
        RetryPolicy(**arguments)


def test_infinite_max_wait() -> None:
    """With an infinite `max_wait`, a retry waits as long as the API asks."""
    policy = RetryPolicy(max_wait=float("inf"))
    assert policy.repeats(RateLimitError("x", retry_after=1e6), "POST")


@cases(
    ("error", "delay"),
    [
        (BuildsConnectionError("x"), 2.0),
        (RateLimitError("x"), 2.0),
        (RateLimitError("x", retry_after=0.0), 2.0),
        (RateLimitError("x", retry_after=1.9), 2.0),
        (RateLimitError("x", retry_after=7.0), 7.0),
        (unavailable(None), 2.0),
        (unavailable(0.0), 2.0),
        (unavailable(7.0), 7.0),
    ],
    ids=["no answer", "429", "429 at once", "429 soon", "429 later", "503", "503 at once", "503 later"],
)
def test_requested_wait_never_shortens_the_delay(error: BuildsError, delay: float) -> None:
    """The wait that the API asks for can lengthen a delay and never shortens the backoff."""
    assert RetryPolicy().delay(error, 2.0) == delay
