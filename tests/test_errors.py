"""The errors: one tree, and each says what happened, on which call, and how often it was tried."""

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
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)

TREE: dict[type[BuildsError], tuple[type[BaseException], ...]] = {
    BuildsError: (Exception,),
    ConfigurationError: (BuildsError,),
    BuildsConnectionError: (BuildsError, ConnectionError),
    BuildsTimeoutError: (BuildsConnectionError, TimeoutError),
    ResponseDecodeError: (BuildsError,),
    APIError: (BuildsError,),
    BadRequestError: (APIError,),
    AuthenticationError: (APIError,),
    PermissionDeniedError: (APIError,),
    NotFoundError: (APIError,),
    ConflictError: (APIError,),
    RateLimitError: (APIError,),
    InternalServerError: (APIError,),
}


@pytest.mark.parametrize(("kind", "bases"), TREE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_tree(kind: type[BuildsError], bases: tuple[type[BaseException], ...]) -> None:
    """Each error has exactly the parents that the design draws."""
    assert kind.__bases__ == bases


def test_complete() -> None:
    """The root exports the whole tree and no other error."""
    exported = {
        value for name in builds_async.__all__ if isinstance(value := getattr(builds_async, name), type)
    }
    assert {value for value in exported if issubclass(value, BaseException)} == set(TREE)


def test_drawn() -> None:
    """The docstring of the module draws every error."""
    assert builds_async.errors.__doc__
    assert [kind.__name__ for kind in TREE if kind.__name__ not in builds_async.errors.__doc__] == []


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
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


@pytest.mark.parametrize(
    ("attempts", "text"), [(0, "it broke"), (1, "it broke"), (2, "it broke (after 2 attempts)")]
)
def test_attempts(attempts: int, text: str) -> None:
    """The text tells the number of attempts when there was more than one."""
    assert str(BuildsError("it broke", attempts=attempts)) == text


def test_defaults() -> None:
    """An error can be made with a message alone, as the tests of user code do."""
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
    """`codes` are the numbers of `errors`, in order, without those that have none."""
    details = [ErrorDetail(code=12006), ErrorDetail(message="odd"), ErrorDetail(code=0), ErrorDetail(code=1)]
    error = APIError("no", status=401, errors=details)
    assert error.errors == tuple(details)
    assert error.codes == (12006, 0, 1)


@pytest.mark.parametrize(
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
    """Code that knows only the builtin errors catches ours, text and all."""
    with pytest.raises(caught_as, match=r"^x$"):
        raise error


@pytest.mark.parametrize("kind", [ResponseDecodeError, BuildsConnectionError, ConfigurationError])
def test_no_api_error(kind: type[BuildsError]) -> None:
    """What Cloudflare did not say is no APIError."""
    assert not issubclass(kind, APIError)


@pytest.mark.parametrize(
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
    """Each error says whether the same call may succeed later without anybody changing anything."""
    assert error.transient is transient
