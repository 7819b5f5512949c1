"""What a client reports of its own work, for metrics. Values only: feed logging, OpenTelemetry or a test."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from builds_async.errors import BuildsError


class RequestDone(msgspec.Struct, frozen=True, kw_only=True):
    """One request got its response, failed, or was cancelled by its caller.

    `status` is None where there was no complete response; `error` says why, or is None for a cancelled one.

    `seconds` is how long it took, without waiting for the budget or a place in flight. `path` has no query.
    """

    method: str
    path: str
    seconds: float
    status: int | None = None
    error: BuildsError | None = None


class RetryPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """A call failed and will be sent again: after `delay` seconds, or when the gate opens."""

    method: str
    path: str
    attempts: int
    delay: float
    error: BuildsError


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """A request waited for the rate budget or for a place in flight. `poll` says whether it was a poll."""

    seconds: float
    poll: bool


Observation: TypeAlias = RequestDone | RetryPlanned | Waited
Observer: TypeAlias = Callable[[Observation], object]


class Counters:
    """An observer that adds up: `BuildsClient(observer=counters)`. Read its numbers at any time."""

    def __init__(self) -> None:
        self.requests = 0
        self.failures = 0
        """Requests without a complete response, or with a status of 400 or above."""
        self.rate_limited = 0
        """Requests with a 429 as response."""
        self.retries = 0
        self.waits = 0
        self.seconds_waited = 0.0

    def __call__(self, observation: Observation) -> None:
        """Take one observation in."""
        if isinstance(observation, RequestDone):
            self.requests += 1
            self.failures += observation.status is None or observation.status >= 400
            self.rate_limited += observation.status == 429
        elif isinstance(observation, RetryPlanned):
            self.retries += 1
        else:
            self.waits += 1
            self.seconds_waited += observation.seconds
