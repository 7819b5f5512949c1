"""Faults as a plan: which requests meet one. `server` and `transport` have what each does on the wire."""

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
"""What goes wrong.

Instead of the response; the request is not acted upon: `rate_limited` (429), `server_error` (5xx with an HTML
page or plain text), `blocked` (403 with a firewall's HTML page), `empty_body` and `not_json` (200, nothing to
read), `redirect` (302), `repeated_page` (only for a request for a log: the page of the request before it).

To the response, after the request was acted upon: `cut_body` (shorter than its Content-Length), `reset` (the
connection is reset before the first byte), `stall` (no more bytes until the client goes away), `slow` (held
back for `delay` seconds), `huge_body` (at least `size` bytes of JSON).
"""


class Fault(msgspec.Struct, frozen=True):
    """One entry of the plan: a kind of fault, and which requests meet it."""

    kind: FaultKind
    """What goes wrong."""
    path: str = ""
    """Only requests with this text in their path."""
    method: str | None = None
    """Only requests with this method."""
    after: int = 0
    """How many of those requests pass first."""
    times: int | None = 1
    """How many of those requests meet it then; None: every one until `clear_faults`."""
    status: int = 502
    """Of `server_error`: the HTTP status."""
    body: Literal["html", "nginx", "text"] = "html"
    """Of `server_error`: a page of several kilobytes, a short one, or a line of plain text."""
    retry_after: int | None = 1
    """Of `rate_limited`: whole seconds. None: no header."""
    as_date: bool = False
    """Of `rate_limited`: write `retry_after` as an HTTP date, counted from the `Date` of the response."""
    delay: float = 1.0
    """Of `slow`: seconds on the simulator's clock."""
    size: int = 64 * 1024 * 1024
    """Of `huge_body`: bytes, 64 MiB by default."""
    headers_sent: bool = False
    """Of `stall`: after the status and the headers instead of before them."""
    location: str = "/client/v4/redirected"
    """Of `redirect`: the URL that it leads to."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"unknown kind of fault: {self.kind!r}")
        if self.after < 0 or (self.times is not None and self.times < 1):
            raise ValueError("after must not be negative, and times must be positive or None")

    def matches(self, method: str, path: str) -> bool:
        """Whether such a request can meet it."""
        has_page = self.kind != "repeated_page" or path.endswith("/logs")
        return has_page and self.path in path and self.method in (None, method)


class FaultPlan:
    """Faults in their order. A request meets at most one: the first that is ready for it."""

    def __init__(self, faults: Iterable[Fault | FaultKind] = ()) -> None:
        self._entries: list[_Entry] = []
        self.add(*faults)

    def add(self, *faults: Fault | FaultKind) -> None:
        """Put faults at the end of the plan; a bare kind is a `Fault` with the defaults."""
        self._entries += [_Entry(fault if isinstance(fault, Fault) else Fault(fault)) for fault in faults]

    def clear(self) -> None:
        """Drop the faults that have not happened yet."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, which counts as one of its times."""
        # Each entry that matches counts the request, up to the one that it meets.
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
