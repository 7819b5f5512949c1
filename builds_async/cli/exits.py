"""Defines the exit codes, and maps errors and outcomes to them."""

from collections.abc import Iterator
from contextlib import contextmanager

from builds_async.errors import (
    AuthenticationError,
    BadRequestError,
    BuildsError,
    ConfigurationError,
    ConflictError,
    NotDeployedError,
    NotFoundError,
    PermissionDeniedError,
)
from builds_async.models.builds import BuildOutcome

OK = 0
"""Success."""
UNSUCCESSFUL = 1
"""The build failed, or was canceled, terminated or skipped, or does not serve as it should."""
USAGE = 2
"""A usage error, or something that does not exist."""
ACCESS_DENIED = 3
"""A problem with the token or its permissions."""
UNAVAILABLE = 4
"""A network, rate limit or service error."""
TIMED_OUT = 124
"""`--timeout` expired. timeout(1) uses this code too."""
INTERRUPTED = 130
"""Ctrl-C: 128 plus SIGINT, the convention of shells."""
BROKEN_PIPE = 141
"""The reader of the output is gone: 128 plus SIGPIPE."""

_SIGNALED = 128


class CommandError(Exception):
    """An expected failure, with a message of one or two lines for standard error and an exit code."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived. Like KeyboardInterrupt, only the top level catches it."""

    def __init__(self, number: int = 15) -> None:
        super().__init__(number)
        self.code: int = _SIGNALED + number


@contextmanager
def usage_errors(option: str) -> Iterator[None]:
    """Turn the library's ValueError for an argument into a CommandError that names the option."""
    try:
        yield
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from error


def code_of(error: Exception) -> int:
    """The exit code for an error of the library, a command or the parser."""
    if isinstance(error, CommandError):
        return error.code
    if not isinstance(error, BuildsError):
        return USAGE
    if isinstance(error, (ConfigurationError, NotFoundError, BadRequestError, ConflictError)):
        return USAGE
    if isinstance(error, NotDeployedError):
        return UNSUCCESSFUL
    if isinstance(error, (AuthenticationError, PermissionDeniedError)):
        return ACCESS_DENIED
    return UNAVAILABLE


def code_of_outcome(outcome: BuildOutcome | None) -> int:
    """The exit code for the outcome of a build."""
    return OK if outcome == BuildOutcome.SUCCESS else UNSUCCESSFUL
