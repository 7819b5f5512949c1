"""The retry policy as a value: whether and when to retry. The retry loop is in `session.session`."""

import random
from collections.abc import Callable, Iterator

import msgspec

from builds_async.errors import BuildsConnectionError, BuildsError, InternalServerError, RateLimitError
from builds_async.session.numbers import seconds, whole

_REPEATABLE = frozenset({"GET", "HEAD", "PUT"})


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often a call is repeated, and after which delays.

    The Retry-After of a 429 or 503 makes a delay longer, never shorter.

    A call is repeated only if its error is `transient`. GET and PUT are repeated after each such error. Other
    methods are repeated only if the request can't have taken effect: there was no connection, or the response
    was a 429.

    ValueError or TypeError for an invalid number.
    """

    attempts: int = 4
    """The maximum number of requests of one call, including the first. With 1, nothing is repeated."""

    base: float = 0.5
    """The first delay in seconds. Each further delay is twice as long.

    Each delay is shortened at random by up to a half, so that many clients do not retry at the same moment.
    """

    max_delay: float = 8.0
    """The longest delay in seconds, unless Retry-After is longer."""

    max_wait: float = 60.0
    """The longest wait in seconds that a single call accepts when the API requires one.

    The API requires a wait by Retry-After, by an earlier 429, or by a `Ratelimit` header with no requests
    left. It can block a user for five minutes, and then a call should fail at once rather than hang. So if
    the API requires a longer wait, the call raises `RateLimitError` (`InternalServerError` for a 503). With
    infinity, a call waits as long as required.

    Live verbs such as `follow` wait for the budget without a limit. `max_wait` does not limit waits for the
    client's own pacing (see `RateBudget`): put `asyncio.timeout` around the call for that.
    """

    def __post_init__(self) -> None:
        whole("attempts", self.attempts, at_least=1)
        seconds("base", self.base)
        seconds("max_delay", self.max_delay)
        seconds("max_wait", self.max_wait, infinite=True)

    def repeats(self, error: BuildsError, method: str) -> bool:
        """Whether a call that failed with `error` may be sent again."""
        if not error.transient or (retry_after(error) or 0.0) > self.max_wait:
            return False
        if isinstance(error, RateLimitError):
            return True
        if isinstance(error, BuildsConnectionError) and not error.sent:
            return True
        return method in _REPEATABLE

    def delay(self, error: BuildsError, backoff: float) -> float:
        """How many seconds to wait after `error`: the backoff, or Retry-After if that is longer."""
        return max(backoff, retry_after(error) or 0.0)

    def delays(self, rng: Callable[[], float] = random.random) -> Iterator[float]:
        """The delays of one call in seconds, without end. `rng` returns numbers from 0 to below 1."""
        delay = self.base
        while True:
            yield min(delay, self.max_delay) * (1 - rng() / 2)
            delay = min(delay * 2, self.max_delay)


def retry_after(error: BuildsError) -> float | None:
    """The Retry-After of `error` in seconds; None if it has none."""
    return error.retry_after if isinstance(error, RateLimitError | InternalServerError) else None
