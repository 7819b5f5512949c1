"""What goes into the simulated API and comes out of it, without a socket."""

from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from builds_async.simulator.faults import Fault, FaultKind


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it comes over the wire."""

    target: str
    """The path with its query, percent-encoded, for example
    `/client/v4/accounts/{id}/builds/builds/latest?external_script_ids=...`."""
    method: str = "GET"
    """The method, in capital letters."""
    headers: Mapping[str, str] = {}
    """Header values by lower-case name."""
    body: bytes = b""
    """The body, empty for none."""

    @property
    def path(self) -> str:
        """The path, as it was sent."""
        return urlsplit(self.target).path

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded parts of the path."""
        return tuple(unquote(part) for part in self.path.split("/")[1:])

    @property
    def query(self) -> dict[str, str]:
        """The decoded query: `+` is a space. Of a name that occurs twice the last value counts."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response, before any fault of the connection."""

    status: int
    """The HTTP status."""
    headers: Mapping[str, str]
    """Header values by name."""
    body: bytes
    """The whole body."""
    fault: Fault | None = None
    """What the server, or the transport, does to it on the wire."""


Answer: TypeAlias = Response
"""Another name of `Response`."""


class SeenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was served, for assertions."""

    method: str
    """The method."""
    path: str
    """The path, as it was sent."""
    query: dict[str, str]
    """The decoded query."""
    when: float
    """Seconds on the simulator's clock."""
    status: int
    """The status of the response."""
    fault: FaultKind | None = None
    """The fault that it met."""
