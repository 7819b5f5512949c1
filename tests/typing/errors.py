"""The types of errors, and what catches them."""

from typing import assert_type

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

EVERY_ERROR: tuple[type[BuildsError], ...] = (
    ConfigurationError,
    BuildsConnectionError,
    BuildsTimeoutError,
    ResponseDecodeError,
    APIError,
)
REFUSALS: tuple[type[APIError], ...] = (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
BUILTIN: tuple[type[ConnectionError], type[TimeoutError]] = (BuildsConnectionError, BuildsTimeoutError)


def every_error(error: BuildsError) -> None:
    assert_type(error.transient, bool)
    assert_type(error.message, str)
    assert_type(error.method, str)
    assert_type(error.path, str)
    assert_type(error.attempts, int)


def api(error: APIError) -> None:
    assert_type(error.status, int)
    assert_type(error.errors, tuple[ErrorDetail, ...])
    assert_type(error.codes, tuple[int, ...])
    assert_type(error.ray_id, str | None)


def rest(limit: RateLimitError, internal: InternalServerError, connection: BuildsConnectionError) -> None:
    assert_type(limit.retry_after, float | None)
    assert_type(internal.retry_after, float | None)
    assert_type(connection.sent, bool)


def unreadable(error: ResponseDecodeError) -> None:
    assert_type(error.status, int)
    assert_type(error.body, str)
    assert_type(error.ray_id, str | None)


def caught() -> None:
    try:
        pass
    except NotFoundError as error:
        assert_type(error, NotFoundError)
    except (BuildsConnectionError, APIError) as error:
        assert_type(error, BuildsConnectionError | APIError)
