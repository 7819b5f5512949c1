"""Faults as a plan: which requests meet one. What it does on the wire is the server's part."""

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

Answered in place of the request, which is not acted upon: `rate_limited` (429), `server_error` (5xx with an
HTML page or plain text), `blocked` (403 with a firewall's HTML page), `empty_body` and `not_json` (200,
nothing to read), `redirect` (302), `repeated_page` (meets only requests for logs: the page that the build's
last one got, once more).

Done to the answer, after the request was acted upon: `cut_body` (less than its Content-Length, then the end),
`reset` (the connection is reset before the first byte), `stall` (no more bytes until the client goes away),
`slow` (held back for `delay` seconds), `huge_body` (at least `size` bytes of JSON).
"""


class Fault(msgspec.Struct, frozen=True):
    """One entry of the plan: a kind of fault and the requests that it is meant for."""

    kind: FaultKind
    path: str = ""
    """Only requests with this text in their path."""
    method: str | None = None
    """Only requests with this method."""
    after: int = 0
    """How many of those requests pass before it."""
    times: int | None = 1
    """How many of those requests meet it; None: every one until `clear_faults`."""
    status: int = 502
    """Of `server_error`."""
    body: Literal["html", "nginx", "text"] = "html"
    """Of `server_error`: a page of some kilobytes, a short one, or a line of plain text."""
    retry_after: int | None = 1
    """Of `rate_limited`: whole seconds. None: without the header."""
    as_date: bool = False
    """Write `retry_after` as an HTTP date, counted from the answer's own `Date`."""
    delay: float = 1.0
    """Of `slow`: seconds on the simulator's clock."""
    size: int = 64 * 1024 * 1024
    """Of `huge_body`: bytes."""
    headers_sent: bool = False
    """Of `stall`: after status and headers instead of before them."""
    location: str = "/client/v4/redirected"
    """Of `redirect`."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"unknown kind of fault: {self.kind!r}")
        if self.after < 0 or (self.times is not None and self.times < 1):
            raise ValueError("after must not be negative, and times must be positive or None")

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for such a request."""
        has_page = self.kind != "repeated_page" or path.endswith("/logs")
        return has_page and self.path in path and self.method in (None, method)


class FaultPlan:
    """Faults in the order in which they are due. A request meets one at most: the first ready for it."""

    def __init__(self, faults: Iterable[Fault | FaultKind] = ()) -> None:
        self._entries: list[_Entry] = []
        self.add(*faults)

    def add(self, *faults: Fault | FaultKind) -> None:
        """Put faults at the end of the plan; a bare kind is a `Fault` with the defaults."""
        self._entries += [_Entry(fault if isinstance(fault, Fault) else Fault(fault)) for fault in faults]

    def clear(self) -> None:
        """Forget what has not happened yet."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, which uses it up."""
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
