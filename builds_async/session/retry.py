"""Retrying as a value: whether and when. The loop that obeys it is in `session.api`."""

import random
from collections.abc import Callable, Iterator

import msgspec

from builds_async.errors import (
    APIError,
    BuildsConnectionError,
    BuildsError,
    RateLimitError,
    ResponseDecodeError,
)

_REPEATABLE = frozenset({"GET", "HEAD", "PUT"})
_TRANSIENT = frozenset({408, 425, 429})


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often a call is repeated, and how long it waits in between.

    `attempts` (4) bounds the requests of one call, the first included; 1 never repeats. Pauses double from
    `base` seconds (0.5) up to `max_delay` (8), each shortened by chance by up to a half, so that many
    clients do not come back in step. `max_wait` (60) is the longest Retry-After that is obeyed: the API can
    block a user for five minutes, and a caller should hear of that at once rather than hang. A longer
    one raises `RateLimitError`; it is never answered with a shorter wait.

    Repeated are, for GET and PUT: connection failures, time-outs, 408, 429, 5xx and bodies that are no
    answer of the API. Everything else (POST, PATCH, DELETE) is repeated only when the request can't have
    been carried out: the connection was never made, or the answer was 429.
    """

    attempts: int = 4
    base: float = 0.5
    max_delay: float = 8.0
    max_wait: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is at least 1, not {self.attempts}")
        if self.base < 0 or self.max_delay < 0 or self.max_wait < 0:
            raise ValueError("base, max_delay and max_wait are seconds, not negative")

    def repeats(self, error: BuildsError, method: str) -> bool:
        """Whether a call that failed so may be sent again."""
        if isinstance(error, RateLimitError):
            return error.retry_after is None or error.retry_after <= self.max_wait
        if isinstance(error, BuildsConnectionError) and not error.sent:
            return True
        if method not in _REPEATABLE:
            return False
        if isinstance(error, APIError):
            return error.status >= 500 or error.status in _TRANSIENT
        return isinstance(error, BuildsConnectionError) or (
            isinstance(error, ResponseDecodeError) and error.transient
        )

    def delays(self, rng: Callable[[], float] = random.random) -> Iterator[float]:
        """The pauses of one call, in seconds, without end. `rng` gives numbers from 0 up to 1."""
        delay = self.base
        while True:
            yield min(delay, self.max_delay) * (1 - rng() / 2)
            delay = min(delay * 2, self.max_delay)
