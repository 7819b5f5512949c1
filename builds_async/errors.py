"""All errors that a call can raise, except for misuse (`ValueError`, `TypeError`, `RuntimeError`).

BuildsError
├── ConfigurationError            no account, no token, an http base URL, ...
├── BuildsConnectionError         no complete response; also a ConnectionError
│   └── BuildsTimeoutError        none within the timeout; also a TimeoutError
├── ResponseDecodeError           a response that can't be read
├── NotDeployedError              a build has finished, and other versions serve
├── LeaseLostError                another process follows this Worker by now
└── APIError                      Cloudflare refused
    ├── BadRequestError           400, 422
    ├── AuthenticationError       401
    ├── PermissionDeniedError     403
    ├── NotFoundError             404
    ├── ConflictError             409
    ├── RateLimitError            429
    └── InternalServerError       5xx

A message names the problem, the call and the remedy. None contains the token.

Tests can raise all of them, as in `RateLimitError("slow down", retry_after=3)`, and all can be pickled.
"""

from collections.abc import Sequence
from typing import TypedDict, TypeVar, Unpack

from builds_async.models.builds import Build
from builds_async.models.envelope import ErrorDetail
from builds_async.models.live import LiveWorker, NotDeployedReason

E = TypeVar("E", bound="BuildsError")

_TRANSIENT = frozenset({408, 425, 429})


class CallFacts(TypedDict, total=False):
    """The call that an error belongs to: the fields that all errors have."""

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

    True for a failed connection, a timeout, 408, 425, 429, 5xx and a garbled body; False for an untrusted
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
    """There was no complete response: the name lookup, the connection or TLS failed, or the body was cut.

    A GET was repeated already, as far as the `RetryPolicy` allows.
    """

    transient: bool = True
    """False for a problem that someone has to fix, such as an untrusted certificate or a proxy's 407.

    Such an error is raised at once, and the message has the remedy.
    """

    sent: bool
    """False when the request can't have arrived.

    True: it may have arrived. Before you repeat a call that changes something, check whether it took effect.
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
    """A response that can't be read: not JSON, not of the shape that the call expects, or too large.

    `transient` is True when the body was garbled (HTML, empty, cut) and another attempt may get a better one:
    a GET was repeated already. False means a complete response of a shape that this version does not know,
    or one larger than 64 MiB: please report it.
    """

    status: int
    """The HTTP status; 0 if it is not known."""

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
    """A build has finished, and no version of it serves traffic: `client.wait_for_commit(deployed=True)`.

    The message has the reason, the versions that serve instead, and since when. It is not `transient`:
    someone must deploy the build. The attributes are None only in an error made without them, as in a test.
    """

    build: Build | None
    """The finished build."""

    reason: NotDeployedReason | None
    """Why it does not serve."""

    serving: LiveWorker | None
    """The versions that serve instead, each with its percentage and its build, or the reason for having none.

    `serving.deployment.created_on` says since when. None for a Worker that was never deployed.
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
    """A batch that can't be committed: another process follows its Worker, or has saved its position.

    Drop the batch and what was written with it, and go on with the loop.
    """


class APIError(BuildsError):
    """Cloudflare refused the request.

    The same code may come with different statuses: check both.
    """

    status: int
    """The HTTP status; 429 for a `RateLimitError` even if nothing was sent, 0 if it is not known."""

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
        if status >= 500 or status in _TRANSIENT:
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
    """The token is valid, but may not do this, or may not see this account (403)."""


class NotFoundError(APIError):
    """No such build, trigger or route in this account (404)."""


class ConflictError(APIError):
    """The resource exists already (409)."""


class RateLimitError(APIError):
    """Too many requests (429), counted for the user together with the dashboard and all other tools.

    It is raised at once when the API asks for a longer wait than the policy's `max_wait`. `attempts` is 0
    when nothing was sent, because an earlier response required a longer wait.
    """

    transient: bool = True

    retry_after: float | None
    """The seconds to wait, from Retry-After; None without that header."""

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, **facts: Unpack[RefusalFacts]
    ) -> None:
        facts.setdefault("status", 429)
        super().__init__(message, **facts)
        self.retry_after = retry_after


class InternalServerError(APIError):
    """Cloudflare failed to process the request (5xx). A GET was repeated already."""

    transient: bool = True

    retry_after: float | None
    """The seconds to wait, from the Retry-After of a 503; None without that header."""

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, **facts: Unpack[RefusalFacts]
    ) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


def with_call(error: E, **call: Unpack[CallFacts]) -> E:
    """A copy of a transport's error, with the facts of the call filled in.

    It is a copy, because a transport may keep its error and raise it again.
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
    # Not with the constructor: a subclass in a user's code may have other parameters.
    copied = type(error).__new__(type(error))
    copied.args = error.args
    copied.__dict__.update(error.__dict__)
    return copied
