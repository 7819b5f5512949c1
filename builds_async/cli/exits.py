"""What the command ends with, and how an error becomes that."""

from collections.abc import Iterator
from contextlib import contextmanager

from builds_async.errors import (
    AuthenticationError,
    BadRequestError,
    BuildsError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
)
from builds_async.models.builds import BuildOutcome

OK = 0
NO_SUCCESS = 1
USAGE = 2
NO_ACCESS = 3
NO_ANSWER = 4
TIMED_OUT = 124
INTERRUPTED = 130
BROKEN_PIPE = 141

_SIGNALED = 128  # plus the number of the signal, as shells have it


class CommandError(Exception):
    """An end that is no success: one or two lines for standard error, and the exit code."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


class Terminated(BaseException):
    """SIGTERM or SIGHUP came. Like KeyboardInterrupt, it is not to be caught on the way."""

    def __init__(self, number: int = 15) -> None:
        super().__init__(number)
        self.code = _SIGNALED + number


@contextmanager
def misuse(option: str) -> Iterator[None]:
    """Turn the library's ValueError for an argument into a CommandError that names the option."""
    try:
        yield
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from error


def code_of(error: Exception) -> int:
    """The exit code for an error of the library, of the command, or of how it was called."""
    if isinstance(error, CommandError):
        return error.code
    if not isinstance(error, BuildsError):
        return USAGE
    if isinstance(error, (ConfigurationError, NotFoundError, BadRequestError, ConflictError)):
        return USAGE
    if isinstance(error, (AuthenticationError, PermissionDeniedError)):
        return NO_ACCESS
    return NO_ANSWER


def code_of_outcome(outcome: BuildOutcome | None) -> int:
    """The exit code for how a build ended."""
    return OK if outcome == BuildOutcome.SUCCESS else NO_SUCCESS
