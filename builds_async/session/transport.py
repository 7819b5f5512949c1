"""The `Transport` protocol, which sends a single request, and its `Request` and `Response`.

The transport of a client is an `AiohttpTransport` unless `BuildsClient(transport=...)` passes another.
"""

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

HOOK: re.Pattern[str] = re.compile(r"(?<=/deploy_hooks/)[^/]+")
"""The UUID of a deploy hook in a path. Whoever has it can start builds without a token, so it is secret."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request on the wire."""

    method: str
    """The HTTP method."""

    path: str
    """The path below the base URL, percent-encoded."""

    query: str = ""
    """The query, percent-encoded."""

    body: bytes | None = None
    """The body as JSON; None for no body."""

    headers: Mapping[str, str] = {}
    """The credentials. An `anonymous` request has none."""

    secrets: tuple[str, ...] = ()
    """Secrets in the path or the body, which no error of the transport may show."""

    anonymous: bool = False
    """Whether it is sent without credentials."""

    timeout: float | None = None
    """Seconds in which the response has to be complete; None for the transport's own timeout."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.shown_path}>"  # no more, since tracebacks show it

    @property
    def shown_path(self) -> str:
        """The path, with `***` for a secret in it: the UUID of a deploy hook."""
        return HOOK.sub("***", self.path) if self.secrets else self.path


class Response(msgspec.Struct, frozen=True, gc=False):
    """One complete response from the wire."""

    status: int
    """The HTTP status."""

    headers: Mapping[str, str]
    """The headers, with case-insensitive names, as in `multidict.CIMultiDict`."""

    body: bytes
    """The decompressed body."""

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"  # no more, since tracebacks show it


class Transport(Protocol):
    """Sends requests.

    It knows nothing of credentials, budgets or retries: a request contains all that is sent, and is sent
    once.
    """

    async def send(self, request: Request) -> Response:
        """Send a request, and return the complete response, whatever its status.

        Raises BuildsConnectionError or BuildsTimeoutError if there is none. The error needs only a message,
        because the session adds the call. No error shows `request.secrets`.
        """
        ...

    def check_open(self) -> None:
        """Raise RuntimeError if the transport was closed."""
        ...

    async def aclose(self) -> None:
        """Close the transport. Calling it again does nothing."""
        ...
