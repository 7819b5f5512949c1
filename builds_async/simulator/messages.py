"""What goes in and out of the simulated API, without a socket."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from builds_async.simulator.faults import Fault, FaultKind


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it comes over the wire.

    `target` is the path with its query, percent-encoded, for example
    `/client/v4/accounts/{id}/builds/builds/latest?external_script_ids=...`. Header names are lower case.
    """

    target: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""

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


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `fault` is what a server shall do to it on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: Fault | None = None


class SeenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and how it was answered, for assertions. `when` is on the simulator's clock."""

    method: str
    path: str
    query: dict[str, str]
    when: float
    status: int
    fault: FaultKind | None = None
