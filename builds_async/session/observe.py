"""The observations that a client reports about its own work, for metrics, logs, traces or tests."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec

from builds_async.errors import BuildsError


class RequestDone(msgspec.Struct, frozen=True, kw_only=True):
    """One request got its response, failed, or was canceled by its caller."""

    method: str
    """The HTTP method."""

    path: str
    """The path without its query; a secret in it is shown as `***`."""

    seconds: float
    """How long it took, without the wait for the budget or for a free place in flight."""

    status: int | None = None
    """The HTTP status; None if there was no complete response."""

    error: BuildsError | None = None
    """Why there was no complete response; None if there was one, or if the caller canceled the request."""

    ray_id: str | None = None
    """The id by which Cloudflare's support finds the request; None if the response had none."""


class RetryPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """A call failed and will be sent again: after `delay` seconds, or when the gate opens."""

    method: str
    """The HTTP method."""

    path: str
    """The path without its query; a secret in it is shown as `***`."""

    attempts: int
    """How many requests were sent for the call so far."""

    delay: float
    """Seconds until it is sent again. After a 429 it may take longer, because other calls wait too."""

    error: BuildsError
    """The error of the last attempt."""


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """A request waited for the rate budget or for a free place in flight."""

    seconds: float
    """How many seconds it waited."""

    poll: bool
    """Whether it belongs to a live verb, such as `follow`."""


class OutageBegan(msgspec.Struct, frozen=True, kw_only=True):
    """A live verb keeps trying after a transient error, although all retries of its call have failed.

    It is reported once per outage of a client, at the first failure, however many verbs are affected.
    """

    verb: str
    """The method of the client that failed first, such as `follow`."""

    patience: float
    """For how many seconds from now that verb keeps trying."""

    error: BuildsError
    """The first failure."""


class OutageEnded(msgspec.Struct, frozen=True, kw_only=True):
    """An outage has ended: one of the affected verbs works again, or the last of them has given up.

    A verb that is canceled or dropped during an outage does not report its end.
    """

    verb: str
    """The method of the client, as in `OutageBegan`."""

    seconds: float
    """How long the outage lasted, from the first failure."""

    error: BuildsError | None = None
    """The error that the last verb raises; None if the client works again."""


class LeaseTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A tail or watch of a fleet has begun to follow a Worker."""

    external_script_id: str
    """The tag of the Worker."""

    fence: int
    """The fence with which it is followed: higher than that of every earlier owner."""


class LeaseLost(msgspec.Struct, frozen=True, kw_only=True):
    """A tail or watch of a fleet has lost a Worker without handing it over: after a pause or an outage."""

    external_script_id: str
    """The tag of the Worker."""

    fence: int
    """The fence with which it was followed."""


class Rationed(msgspec.Struct, frozen=True, kw_only=True):
    """A `SharedBudget` can't reach its engine and goes on slowly, or has reached the engine again.

    It is reported at the beginning and at the end of each ration. A budget that is closed reports no end.
    """

    active: bool
    """True at the beginning, False at the end."""

    interval: float
    """Seconds between two requests of the ration; infinity with `when_down="stop"`."""

    seconds: float
    """For how long the engine has been out of reach."""

    error: BuildsError | None = None
    """Why the engine can't be reached; None at the end."""


class GateClosed(msgspec.Struct, frozen=True, kw_only=True):
    """A 429 closed the gate of a `SharedBudget`: nothing is sent until it opens."""

    seconds: float
    """For how many seconds it is closed."""

    by_other: bool
    """Whether another process got the 429."""


Observation: TypeAlias = (
    RequestDone
    | RetryPlanned
    | Waited
    | OutageBegan
    | OutageEnded
    | Rationed
    | GateClosed
    | LeaseTaken
    | LeaseLost
)
"""Any observation."""

Observer: TypeAlias = Callable[[Observation], object]
"""Called with each observation, in the client's event loop. It must be quick and must not raise."""


@runtime_checkable
class Reporting(Protocol):
    """A budget that reports to the observers of its clients."""

    def report_to(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with each observation, until the returned function is called."""
        ...


class Counters:
    """An observer that counts: `BuildsClient(observer=counters)`. Its numbers can be read at any time."""

    def __init__(self) -> None:
        self.requests: int = 0
        """Requests that were sent."""

        self.failures: int = 0
        """Requests without a complete response, or with a status of 400 or above."""

        self.rate_limited: int = 0
        """Requests with a 429 as response."""

        self.retries: int = 0
        """Repeated requests of calls that had failed."""

        self.waits: int = 0
        """Requests that waited for the rate budget or for a free place in flight."""

        self.seconds_waited: float = 0.0
        """The sum of their waits."""

        self.outages: int = 0
        """Outages of live verbs, whether the verbs recovered or gave up."""

    def __call__(self, observation: Observation) -> None:
        """Count one observation."""
        if isinstance(observation, RequestDone):
            self.requests += 1
            self.failures += observation.status is None or observation.status >= 400
            self.rate_limited += observation.status == 429
        elif isinstance(observation, RetryPlanned):
            self.retries += 1
        elif isinstance(observation, Waited):
            self.waits += 1
            self.seconds_waited += observation.seconds
        elif isinstance(observation, OutageBegan):
            self.outages += 1
