"""Everything that a call can raise, except for misuse (`ValueError`, `TypeError`, `RuntimeError`).

BuildsError
├── ConfigurationError            no account, no token, an http base URL, ...
├── BuildsConnectionError         no complete response; also a ConnectionError
│   └── BuildsTimeoutError        not in time; also a TimeoutError
├── ResponseDecodeError           a response that can't be read
└── APIError                      Cloudflare refused
    ├── BadRequestError           400, 422
    ├── AuthenticationError       401
    ├── PermissionDeniedError     403
    ├── NotFoundError             404
    ├── ConflictError             409
    ├── RateLimitError            429
    └── InternalServerError       5xx

A message says what happened, in which call, and what to do. None contains the token.

All of them can be raised by tests, `RateLimitError("slow down", retry_after=3)`, and pickled.
"""

from collections.abc import Sequence
from typing import TypedDict, TypeVar, Unpack

from builds_async.models.envelope import ErrorDetail

E = TypeVar("E", bound="BuildsError")

_TRANSIENT = frozenset({408, 425, 429})


class CallFacts(TypedDict, total=False):
    """The call that an error belongs to: what every error has in common."""

    method: str
    path: str
    attempts: int


class RefusalFacts(CallFacts, total=False):
    """The response that refused a call: what every `APIError` has in common."""

    status: int
    errors: Sequence[ErrorDetail]
    ray_id: str | None


class BuildsError(Exception):
    """The root: `except BuildsError` catches whatever this library reports.

    `method` and `path` name the call, if there was one; a secret in the path is shown as `***`.
    `attempts` counts every request that was sent for it, also those that got a 429; 0 means that nothing was
    sent.
    """

    transient: bool = False
    """Whether the same call may succeed later without anybody changing anything.

    True for a failed connection, a timeout, 408, 425, 429, 5xx and a garbled body; False for an untrusted
    certificate, a proxy that wants a password, a mistake in the configuration and every other refusal.
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
    """There was no complete response: name lookup, connect, TLS, a reset, a body cut short.

    A GET was repeated already, as far as the `RetryPolicy` allows. `sent` is False when the request
    can't have arrived; for a call that changes something, True means: look before you repeat it.
    `transient` is False for what stays broken until somebody repairs it: a certificate that is not trusted,
    a proxy that refuses (407). That is raised at once, and the message says what to do.
    """

    transient: bool = True

    def __init__(
        self, message: str = "", *, sent: bool = True, transient: bool = True, **call: Unpack[CallFacts]
    ) -> None:
        super().__init__(message, **call)
        self.sent = sent
        self.transient = transient


class BuildsTimeoutError(BuildsConnectionError, TimeoutError):
    """The response, body included, was not complete within the client's `timeout`."""


class ResponseDecodeError(BuildsError):
    """A response that can't be read: not JSON, not of the shape that the call expects, or too large.

    `status` is the HTTP status, `body` the start of the body as text, `ray_id` the `cf-ray` header that
    Cloudflare's support asks for. `transient` is True when the body was garbled (HTML, empty, cut) and
    another attempt may get a better one: a GET was repeated already. False means a complete response of a
    shape that this version does not know, or one larger than 64 MiB: please report it.
    """

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


class APIError(BuildsError):
    """Cloudflare refused the request.

    `status` is the HTTP status, `errors` the entries of the response (empty when its body was not JSON),
    `codes` their numbers, `ray_id` the `cf-ray` header that Cloudflare's support asks for. Codes are not
    tied to one status: look at both.
    """

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
    """The request was refused as it stands (400, 422): a parameter or the body is wrong."""


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

    `retry_after` is the number of seconds to wait, as the API gave it; None if it gave none. The error is
    raised at once when that is longer than the policy's `max_wait`. `attempts` is 0 when nothing was sent,
    because the API had said in an earlier response that it lets nothing through for that long.
    """

    transient: bool = True

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, **facts: Unpack[RefusalFacts]
    ) -> None:
        facts.setdefault("status", 429)
        super().__init__(message, **facts)
        self.retry_after = retry_after


class InternalServerError(APIError):
    """Cloudflare failed to answer (5xx). A GET was repeated already.

    `retry_after` is the number of seconds that a 503 asks to wait, None if it does not say.
    """

    transient: bool = True

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, **facts: Unpack[RefusalFacts]
    ) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


def with_call(error: E, **call: Unpack[CallFacts]) -> E:
    """The error that a transport has raised, complete: the same in everything but the call that it names.

    It is a copy, because the transport may keep its own and raise it again.
    """
    complete = _copy(error)
    complete.__dict__.update(call)
    complete.__traceback__, complete.__cause__ = error.__traceback__, error.__cause__
    return complete


def with_advice(error: E, more: str) -> E:
    """A copy of `error` that says more at the end of its message, to be raised from it."""
    longer = _copy(error)
    longer.message = f"{error.message}. {more}"
    longer.args = (longer.message,)
    return longer


def _copy(error: E) -> E:
    # Not by the constructor: a subclass of somebody else may have another one.
    copied = type(error).__new__(type(error))
    copied.args = error.args
    copied.__dict__.update(error.__dict__)
    return copied
