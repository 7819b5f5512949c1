"""What carries a request: the protocol, and the two values that cross it.

The transport of a client is an `AiohttpTransport` unless `BuildsClient(transport=...)` names another.
"""

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

_HOOK = re.compile(r"(?<=/deploy_hooks/)[^/]+")


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request on the wire."""

    method: str
    """The HTTP method."""

    path: str
    """Below the base URL, encoded."""

    query: str = ""
    """Encoded."""

    body: bytes | None = None
    """JSON."""

    headers: Mapping[str, str] = {}
    """The credentials. An `anonymous` request has none."""

    secrets: tuple[str, ...] = ()
    """What the path or the body carries that no error of the transport may show."""

    anonymous: bool = False
    """Whether it goes without credentials."""

    timeout: float | None = None
    """Seconds within which the response has to be complete; None for the transport's own limit."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.shown_path}>"  # no more: it may stand in a traceback

    @property
    def shown_path(self) -> str:
        """The path without the secret that it may contain: the UUID of a deploy hook starts builds."""
        return _HOOK.sub("***", self.path) if self.secrets else self.path


class Response(msgspec.Struct, frozen=True, gc=False):
    """One complete response from the wire."""

    status: int
    """The HTTP status."""

    headers: Mapping[str, str]
    """Case-insensitive, as `multidict.CIMultiDict` is."""

    body: bytes
    """Decompressed."""

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"  # no more: it may stand in a traceback


class Transport(Protocol):
    """Carries requests.

    It knows nothing of credentials, budgets or retries: a request has everything that goes out, and each is
    sent once.
    """

    async def send(self, request: Request) -> Response:
        """The complete response, whatever its status.

        Raises BuildsConnectionError or BuildsTimeoutError if there is none, with a message alone: the session
        adds the call. No error shows `request.secrets`.
        """
        ...

    def check_open(self) -> None:
        """RuntimeError if the transport was closed."""
        ...

    async def aclose(self) -> None:
        """Close it. Calling it again does nothing."""
        ...
