"""The plan of faults: which request meets which fault. `responses`, `server` and `transport` apply them."""

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

import msgspec

FaultKind: TypeAlias = Literal[
    "rate_limited",
    "server_error",
    "blocked",
    "empty_body",
    "not_json",
    "redirect",
    "repeated_page",
    "cut_body",
    "reset",
    "stall",
    "slow",
    "huge_body",
]
"""The kinds of faults.

Some replace the response, and the request has no effect: `rate_limited` (429), `server_error` (5xx with an
HTML page or plain text), `blocked` (403 with a firewall's HTML page), `empty_body` and `not_json` (200 with
an unreadable body), `redirect` (302), `repeated_page` (only for logs: the previous page of that log again).

The others damage the response after the request took effect: `cut_body` (shorter than its Content-Length),
`reset` (of the connection, before the first byte), `stall` (no more bytes until the client disconnects),
`slow` (delayed by `delay` seconds), `huge_body` (at least `size` bytes of JSON).
"""


class Fault(msgspec.Struct, frozen=True):
    """One entry of the plan: a kind of fault, and the requests that meet it."""

    kind: FaultKind
    """The kind of fault."""
    path: str = ""
    """Only requests with this text in their path match; empty for all paths."""
    method: str | None = None
    """Only requests with this method match; None for all methods."""
    after: int = 0
    """How many matching requests pass before the first one meets the fault."""
    times: int | None = 1
    """How many matching requests meet the fault; None for all until `clear_faults`."""
    status: int = 502
    """`server_error`: the HTTP status."""
    body: Literal["html", "nginx", "text"] = "html"
    """`server_error`: an HTML page of several kilobytes, nginx's short HTML page, or a line of plain text."""
    retry_after: int | None = 1
    """`rate_limited`: the Retry-After header, in whole seconds. None: no header."""
    as_date: bool = False
    """`rate_limited`: write `retry_after` as an HTTP date, counted from the response's `Date`."""
    delay: float = 1.0
    """`slow`: the delay in seconds on the simulator's clock."""
    size: int = 64 * 1024 * 1024
    """`huge_body`: the size in bytes, 64 MiB by default."""
    headers_sent: bool = False
    """`stall`: whether the status and the headers are sent before it begins."""
    location: str = "/client/v4/redirected"
    """`redirect`: the URL in the Location header."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"unknown kind of fault: {self.kind!r}")
        if self.after < 0 or (self.times is not None and self.times < 1):
            raise ValueError("after must not be negative, and times must be positive or None")

    def matches(self, method: str, path: str) -> bool:
        """Whether a request with this method and path can meet the fault."""
        has_page = self.kind != "repeated_page" or path.endswith("/logs")
        return has_page and self.path in path and self.method in (None, method)


class FaultPlan:
    """Faults in order. A request meets at most one: the first matching one whose `after` is used up."""

    def __init__(self, faults: Iterable[Fault | FaultKind] = ()) -> None:
        self._entries: list[_Entry] = []
        self.add(*faults)

    def add(self, *faults: Fault | FaultKind) -> None:
        """Append faults to the plan; a bare kind is a `Fault` with the defaults."""
        self._entries += [_Entry(fault if isinstance(fault, Fault) else Fault(fault)) for fault in faults]

    def clear(self) -> None:
        """Drop the faults that have not happened yet."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, or None. This uses up one of its `times`."""
        # Each matching entry before the one that is met also counts the request toward its `after`.
        for entry in self._entries:
            if entry.fault.matches(method, path) and entry.ready():
                if entry.is_spent:
                    self._entries.remove(entry)
                return entry.fault
        return None


class _Entry:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._seen = 0

    def ready(self) -> bool:
        self._seen += 1
        return self._seen > self.fault.after

    @property
    def is_spent(self) -> bool:
        return self.fault.times is not None and self._seen >= self.fault.after + self.fault.times
