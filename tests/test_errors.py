"""The errors: one tree, with the event, the call and the number of attempts in each."""

import copy
import pickle
from collections.abc import Callable

import pytest

import builds_async
from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    ConfigurationError,
    ConflictError,
    ErrorDetail,
    InternalServerError,
    LeaseLostError,
    NotDeployedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.errors import with_advice, with_call
from tests.support.case import cases

TREE: dict[type[BuildsError], tuple[type[BaseException], ...]] = {
    BuildsError: (Exception,),
    ConfigurationError: (BuildsError,),
    BuildsConnectionError: (BuildsError, ConnectionError),
    BuildsTimeoutError: (BuildsConnectionError, TimeoutError),
    ResponseDecodeError: (BuildsError,),
    NotDeployedError: (BuildsError,),
    LeaseLostError: (BuildsError,),
    APIError: (BuildsError,),
    BadRequestError: (APIError,),
    AuthenticationError: (APIError,),
    PermissionDeniedError: (APIError,),
    NotFoundError: (APIError,),
    ConflictError: (APIError,),
    RateLimitError: (APIError,),
    InternalServerError: (APIError,),
}


@cases(("kind", "bases"), TREE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_tree(kind: type[BuildsError], bases: tuple[type[BaseException], ...]) -> None:
    """Each error has exactly the parents in the design."""
    assert kind.__bases__ == bases


def test_complete() -> None:
    """The root exports the whole tree and no other error."""
    exported = {
        value for name in builds_async.__all__ if isinstance(value := getattr(builds_async, name), type)
    }
    assert {value for value in exported if issubclass(value, BaseException)} == set(TREE)


def test_diagram_is_complete() -> None:
    """The docstring of the module draws every error."""
    assert builds_async.errors.__doc__
    assert [kind.__name__ for kind in TREE if kind.__name__ not in builds_async.errors.__doc__] == []


@cases("kind", TREE, ids=lambda kind: kind.__name__)
def test_call(kind: type[BuildsError]) -> None:
    """Every error names its call in its text and in its attributes."""
    error = kind("it broke", method="GET", path="/accounts/a/builds", attempts=3)
    assert str(error) == "GET /accounts/a/builds: it broke (after 3 attempts)"
    assert (error.message, error.method, error.path, error.attempts) == (
        "it broke",
        "GET",
        "/accounts/a/builds",
        3,
    )


@cases(("attempts", "text"), [(0, "it broke"), (1, "it broke"), (2, "it broke (after 2 attempts)")])
def test_attempts(attempts: int, text: str) -> None:
    """The text has the number of attempts if there was more than one."""
    assert str(BuildsError("it broke", attempts=attempts)) == text


def test_defaults() -> None:
    """An error can be constructed from a message alone, as the tests of user code do."""
    error = BuildsError("x")
    assert (error.method, error.path, error.attempts) == ("", "", 0)
    assert BuildsConnectionError("x").sent is True
    said = APIError("x")
    assert (said.status, said.errors, said.codes, said.ray_id) == (0, (), (), None)
    limited = RateLimitError("x")
    assert (limited.status, limited.retry_after) == (429, None)
    unread = ResponseDecodeError("x")
    assert (unread.status, unread.body, unread.ray_id, unread.transient) == (0, "", None, False)


def test_codes() -> None:
    """`codes` are the codes of `errors`, in order, without the missing ones."""
    details = [ErrorDetail(code=12006), ErrorDetail(message="odd"), ErrorDetail(code=0), ErrorDetail(code=1)]
    error = APIError("no", status=401, errors=details)
    assert error.errors == tuple(details)
    assert error.codes == (12006, 0, 1)


@cases(
    ("error", "caught_as"),
    [
        (BuildsConnectionError("x"), ConnectionError),
        (BuildsConnectionError("x"), OSError),
        (BuildsTimeoutError("x"), TimeoutError),
        (BuildsTimeoutError("x"), ConnectionError),
        (RateLimitError("x"), APIError),
    ],
    ids=["connection", "os", "timeout", "timeout as connection", "api"],
)
def test_caught_as(error: BuildsError, caught_as: type[BaseException]) -> None:
    """A handler of the builtin errors catches ours, with the same text."""
    with pytest.raises(caught_as, match=r"^x$"):
        raise error


@cases("kind", [ResponseDecodeError, BuildsConnectionError, ConfigurationError])
def test_not_an_api_error(kind: type[BuildsError]) -> None:
    """An error that does not come from Cloudflare is not an APIError."""
    assert not issubclass(kind, APIError)


@cases(
    ("error", "transient"),
    [
        (BuildsError("x"), False),
        (ConfigurationError("x"), False),
        (BuildsConnectionError("x"), True),
        (BuildsConnectionError("x", transient=False), False),
        (BuildsTimeoutError("x"), True),
        (ResponseDecodeError("x"), False),
        (ResponseDecodeError("x", transient=True), True),
        (APIError("x", status=302), False),
        (APIError("x", status=408), True),
        (APIError("x", status=425), True),
        (AuthenticationError("x", status=401), False),
        (NotFoundError("x", status=404), False),
        (RateLimitError("x"), True),
        (RateLimitError("x", status=200), True),
        (RateLimitError("x", retry_after=300.0), True),
        (InternalServerError("x", status=503), True),
        (InternalServerError("x"), True),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'status', '')}" if value not in (0, 1) else "",
)
def test_transient(error: BuildsError, transient: bool) -> None:
    """Each error says whether the same call may succeed later without any change."""
    assert error.transient is transient


DETAILS = (ErrorDetail(message="no", code=12000),)
WITH_ALL: list[BuildsError] = [
    BuildsError("x", method="GET", path="/a", attempts=2),
    ConfigurationError("x"),
    BuildsConnectionError("x", sent=False, transient=False, method="POST", path="/a", attempts=1),
    BuildsTimeoutError("x", sent=False, attempts=3),
    ResponseDecodeError("x", status=200, body="<html>", ray_id="r-FRA", transient=True, attempts=1),
    NotFoundError("x", status=404, errors=DETAILS, ray_id="r-FRA", method="GET", path="/a", attempts=1),
    RateLimitError("x", retry_after=3, errors=DETAILS),
    InternalServerError("x", status=503, retry_after=1.5),
]


@cases("error", WITH_ALL, ids=lambda error: type(error).__name__)
@cases(
    "copied",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],  # noqa: S301  # our own
    ids=["copy", "deepcopy", "pickle"],
)
def test_copied(error: BuildsError, copied: Callable[[BuildsError], BuildsError]) -> None:
    """A copied or pickled error has the same type, text and attributes."""
    other = copied(error)
    assert other is not error
    assert (type(other), str(other), other.args) == (type(error), str(error), error.args)
    assert vars(other) == vars(error)
    assert other.transient is error.transient


@cases("error", WITH_ALL, ids=lambda error: type(error).__name__)
def test_with_call(error: BuildsError) -> None:
    """`with_call` returns a copy that differs in its call alone, with the same cause and traceback."""
    before = dict(vars(error))
    error.__cause__ = OSError("reset")
    other = with_call(error, method="PUT", path="/b", attempts=5)
    assert vars(error) == before
    assert vars(other) == before | {"method": "PUT", "path": "/b", "attempts": 5}
    assert (other.__cause__, other.__traceback__) == (error.__cause__, error.__traceback__)


@cases("error", WITH_ALL, ids=lambda error: type(error).__name__)
def test_with_advice(error: BuildsError) -> None:
    """`with_advice` returns a copy with a longer message and no other difference."""
    before = dict(vars(error))
    other = with_advice(error, "Look first")
    assert vars(error) == before
    assert vars(other) == before | {"message": "x. Look first"}
    assert (type(other), other.args) == (type(error), ("x. Look first",))


class OddError(BuildsConnectionError):
    """An error of a third-party transport, with its own constructor."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is odd")


def test_third_party_error() -> None:
    """A third-party transport's error gets its call, however it is constructed."""
    error = with_call(OddError("h", 1), method="GET", path="/a", attempts=1)
    assert str(error) == "GET /a: h:1 is odd"
    assert isinstance(error, OddError)
