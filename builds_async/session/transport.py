"""What carries a request: the protocol, and the two values that cross it.

The transport of a client is `session.aiohttp_transport` unless `BuildsClient(transport=...)` names another.
"""

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

_HOOK = re.compile(r"(?<=/deploy_hooks/)[^/]+")


class Request(msgspec.Struct, frozen=True, gc=False):
    """What goes over the wire. `path` is below the base URL; it and `query` are encoded already.

    `secrets` are what the path or the body carries that nobody may be told. `headers` are the credentials;
    an `anonymous` request has none.
    """

    method: str
    path: str
    query: str = ""
    body: bytes | None = None
    secrets: tuple[str, ...] = ()
    anonymous: bool = False
    headers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.shown_path}>"  # no contents: it may stand in a traceback

    @property
    def shown_path(self) -> str:
        """The path without the secret that it may hold: the UUID of a deploy hook starts builds."""
        return _HOOK.sub("***", self.path) if self.secrets else self.path


class Response(msgspec.Struct, frozen=True, gc=False):
    """What came over the wire, whole."""

    status: int
    headers: Mapping[str, str]  # case-insensitive
    body: bytes

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"  # no contents: it may stand in a traceback


class Transport(Protocol):
    """What carries a request."""

    async def send(self, request: Request) -> Response:
        """One request and its whole answer. No error tells its secrets."""
        ...

    def check_open(self) -> None:
        """RuntimeError if the transport was closed."""
        ...

    async def aclose(self) -> None:
        """Close it."""
        ...
