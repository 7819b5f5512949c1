"""All errors that a call can raise, except for misuse (`ValueError`, `TypeError`, `RuntimeError`).

BuildsError
├── ConfigurationError            no account, no token, an http base URL, ...
├── BuildsConnectionError         no complete response; also a ConnectionError
│   └── BuildsTimeoutError        no complete response in time; also a TimeoutError
├── ResponseDecodeError           an unreadable response
├── NotDeployedError              a build has finished, but does not serve traffic
├── LeaseLostError                another process has taken over this Worker
└── APIError                      Cloudflare refused the request
    ├── BadRequestError           400, 422
    ├── AuthenticationError       401
    ├── PermissionDeniedError     403
    ├── NotFoundError             404
    ├── ConflictError             409
    ├── RateLimitError            429
    └── InternalServerError       5xx

A message names the problem, the call and the remedy. No message contains the token.

Tests can raise each of them, as in `RateLimitError("slow down", retry_after=3)`, and all can be pickled.
"""

from collections.abc import Sequence
from typing import TypedDict, TypeVar, Unpack

from builds_async.models.builds import Build
from builds_async.models.envelope import ErrorDetail
from builds_async.models.live import LiveWorker, NotDeployedReason

E = TypeVar("E", bound="BuildsError")

_TRANSIENT = frozenset({408, 425, 429})


class CallFacts(TypedDict, total=False):
    """The failed call: the fields that all errors have."""

    method: str
    path: str
    attempts: int


class RefusalFacts(CallFacts, total=False):
    """The response that refused a call: the fields that each `APIError` has."""

    status: int
    errors: Sequence[ErrorDetail]
    ray_id: str | None


class BuildsError(Exception):
    """The base class: `except BuildsError` catches all errors of this library."""

    message: str
    """The problem and the remedy, without the call."""

    method: str
    """The HTTP method of the call; empty if there was none."""

    path: str
    """The path of the call, without its query; a secret in it is shown as `***`. Empty if there was none."""

    attempts: int
    """How many requests were sent for the call, including those that got a 429; 0 if nothing was sent."""

    transient: bool = False
    """Whether the same call may succeed later without any change.

    True for a failed connection, a timeout, 408, 425, 429, 5xx and a garbled body. False for an untrusted
    certificate, a proxy that requires a password, a wrong configuration and every other refusal.
    """

    def __init__(self, message: str = "", *, method: str = "", path: str = "", attempts: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.path = path
        self.attempts = attempts

    def __str__(self) -> str:
        call = f"{self.method} {self.path}: " if self.method else ""
        tries = f" (after {self.attempts} attempts)" if self.attempts > 1 else ""
        return f"{call}{self.message}{tries}"


class ConfigurationError(BuildsError):
    """The client can't be made as requested; the message names the argument and the variable to set."""


class BuildsConnectionError(BuildsError, ConnectionError):
    """There was no complete response: DNS, the connection or TLS failed, or the body was cut off.

    A GET or PUT was already repeated as often as the `RetryPolicy` allows.
    """

    transient: bool = True
    """False for a problem that a person has to fix, such as an untrusted certificate or a proxy's 407.

    Such an error is raised at once, and its message has the remedy.
    """

    sent: bool
    """Whether the request may have arrived.

    If so, check whether a call that changes something took effect before you repeat it.
    """

    def __init__(
        self, message: str = "", *, sent: bool = True, transient: bool = True, **call: Unpack[CallFacts]
    ) -> None:
        super().__init__(message, **call)
        self.sent = sent
        self.transient = transient


class BuildsTimeoutError(BuildsConnectionError, TimeoutError):
    """There was no complete response, body included, within the client's `timeout`."""


class ResponseDecodeError(BuildsError):
    """An unreadable response: not JSON, not what the call expects, or too large.

    `transient` is True when the body was garbled (HTML, empty, cut off) and another attempt may succeed. A
    GET or PUT was already repeated. `transient` is False for a complete response in a form that this version
    does not know, and for one larger than 64 MiB: please report it.
    """

    status: int
    """The HTTP status; 0 if it is unknown."""

    body: str
    """The start of the body as text, without secrets."""

    ray_id: str | None
    """The `cf-ray` header, which Cloudflare's support needs; None if there was none."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        body: str = "",
        ray_id: str | None = None,
        transient: bool = False,
        **call: Unpack[CallFacts],
    ) -> None:
        super().__init__(message, **call)
        self.status = status
        self.body = body
        self.ray_id = ray_id
        self.transient = transient


class NotDeployedError(BuildsError):
    """Raised by `client.wait_for_commit(deployed=True)`: a finished build has no version that serves traffic.

    The message has the reason, the versions that serve instead, and since when. The error is not `transient`:
    a person must deploy the build. The attributes are None only in an error that was made without them, for
    instance in a test.
    """

    build: Build | None
    """The finished build."""

    reason: NotDeployedReason | None
    """Why no version of the build serves traffic."""

    serving: LiveWorker | None
    """The versions that serve instead, each with its percentage and with its build or why it has none.

    They serve since `serving.deployment.created_on`. None for a Worker that was never deployed.
    """

    def __init__(
        self,
        message: str = "",
        *,
        build: Build | None = None,
        reason: NotDeployedReason | None = None,
        serving: LiveWorker | None = None,
        **call: Unpack[CallFacts],
    ) -> None:
        super().__init__(message, **call)
        self.build = build
        self.reason = reason
        self.serving = serving


class LeaseLostError(BuildsError):
    """A batch can't be committed, because another process has taken over its Worker or saved its position.

    Roll back everything that was written with the batch, and go on with the loop.
    """


class APIError(BuildsError):
    """Cloudflare refused the request.

    The same code may come with different statuses: check both.
    """

    status: int
    """The HTTP status; 0 if it is unknown. A `RateLimitError` has 429 even if nothing was sent."""

    errors: tuple[ErrorDetail, ...]
    """The entries of the response, at most 20; empty when its body was not JSON."""

    ray_id: str | None
    """The `cf-ray` header, which Cloudflare's support needs; None if there was none."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        errors: Sequence[ErrorDetail] = (),
        ray_id: str | None = None,
        **call: Unpack[CallFacts],
    ) -> None:
        super().__init__(message, **call)
        self.status = status
        self.errors = tuple(errors)
        self.ray_id = ray_id
        if is_transient(status):
            self.transient = True

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes of `errors`, in order."""
        return tuple(detail.code for detail in self.errors if detail.code is not None)


class BadRequestError(APIError):
    """The request itself is invalid (400, 422): a parameter or the body is wrong."""


class AuthenticationError(APIError):
    """The token or key is missing, wrong, expired, or of a kind that the Builds API does not accept (401)."""


class PermissionDeniedError(APIError):
    """The token is valid, but lacks a permission or access to this account (403)."""


class NotFoundError(APIError):
    """There is no such build, trigger or route in this account (404)."""


class ConflictError(APIError):
    """The resource exists already (409)."""


class RateLimitError(APIError):
    """Too many requests (429), counted for the user together with the dashboard and all other tools.

    It is raised at once if the API requires a wait that is longer than the policy's `max_wait`. `attempts` is
    0 if nothing was sent, because an earlier response required such a wait.
    """

    transient: bool = True

    retry_after: float | None
    """How many seconds to wait, from the Retry-After header; None without that header."""

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, **facts: Unpack[RefusalFacts]
    ) -> None:
        facts.setdefault("status", 429)
        super().__init__(message, **facts)
        self.retry_after = retry_after


class InternalServerError(APIError):
    """Cloudflare failed to process the request (5xx). A GET or PUT was already repeated."""

    transient: bool = True

    retry_after: float | None
    """How many seconds to wait, from the Retry-After header of a 503; None without that header."""

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, **facts: Unpack[RefusalFacts]
    ) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


def is_transient(status: int) -> bool:
    """Whether a request that was refused with this status may succeed later."""
    return status >= 500 or status in _TRANSIENT


def with_call(error: E, **call: Unpack[CallFacts]) -> E:
    """A copy of a transport's error, with the fields of the call filled in.

    It is a copy because a transport may raise the same error object again.
    """
    complete = _copy(error)
    complete.__dict__.update(call)
    complete.__traceback__, complete.__cause__ = error.__traceback__, error.__cause__
    return complete


def with_advice(error: E, more: str) -> E:
    """A copy of `error` with `more` appended to its message; raise it from `error`."""
    longer = _copy(error)
    longer.message = f"{error.message}. {more}"
    longer.args = (longer.message,)
    return longer


def _copy(error: E) -> E:
    # Without the constructor: a subclass in a user's code may have other parameters.
    copied = type(error).__new__(type(error))
    copied.args = error.args
    copied.__dict__.update(error.__dict__)
    return copied
