"""Requests and responses of the simulated API, independent of any socket."""

from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from builds_async.simulator.faults import Fault, FaultKind


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the simulated API."""

    target: str
    """The path with its query, percent-encoded, for example
    `/client/v4/accounts/{id}/builds/builds/latest?external_script_ids=...`."""
    method: str = "GET"
    """The method, in capital letters."""
    headers: Mapping[str, str] = {}
    """Header values by lowercase name."""
    body: bytes = b""
    """The body; empty if there is none."""

    @property
    def path(self) -> str:
        """The path, percent-encoded as it was sent."""
        return urlsplit(self.target).path

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded segments of the path."""
        return tuple(unquote(part) for part in self.path.split("/")[1:])

    @property
    def query(self) -> dict[str, str]:
        """The decoded query, with `+` as a space. If a name occurs twice, its last value counts."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response, before any connection fault is applied."""

    status: int
    """The HTTP status."""
    headers: Mapping[str, str]
    """Header values by name."""
    body: bytes
    """The whole body."""
    fault: Fault | None = None
    """The fault that the server or the transport still has to apply to the response."""


Answer: TypeAlias = Response
"""The old name of `Response`."""


class SeenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A record of a served request, for assertions."""

    method: str
    """The method."""
    path: str
    """The path, percent-encoded as it was sent."""
    query: dict[str, str]
    """The decoded query."""
    when: float
    """When the request was served, in seconds on the simulator's clock."""
    status: int
    """The status of the response."""
    fault: FaultKind | None = None
    """The kind of fault that the request met; None if it met none."""
