"""Tests the exit codes of errors."""

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
)
from builds_async.cli.exits import code_of
from tests.support.case import cases

CODES: list[tuple[type[BuildsError], int]] = [
    (ConfigurationError, 2),
    (NotFoundError, 2),
    (BadRequestError, 2),
    (ConflictError, 2),
    (AuthenticationError, 3),
    (PermissionDeniedError, 3),
    (RateLimitError, 4),
    (InternalServerError, 4),
    (BuildsConnectionError, 4),
    (BuildsTimeoutError, 4),
    (ResponseDecodeError, 4),
    (APIError, 4),
]


@cases(("kind", "code"), CODES, ids=[kind.__name__ for kind, _ in CODES])
def test_codes(kind: type[BuildsError], code: int) -> None:
    """Each kind of error has its exit code."""
    assert code_of(kind("said")) == code
