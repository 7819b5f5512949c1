"""Making answers: the headers that all of them carry, and the answers that faults put in their place."""

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from builds_async.simulator import bodies
from builds_async.simulator.faults import Fault, FaultKind
from builds_async.simulator.limits import RateWindow
from builds_async.simulator.messages import Answer
from builds_async.simulator.state import State

_JSON: Final = "application/json"
_HTML: Final = "text/html; charset=UTF-8"
_SLOW_DOWN: Final = bodies.error_envelope(971, "Please wait and consider throttling your request speed")


class Speaker:
    """Says things as the service does: with its date, its `cf-ray` and its rate limit headers."""

    def __init__(self, state: State, rate: RateWindow) -> None:
        self._state = state
        self._rate = rate

    def say(
        self, status: int, body: bytes, *, content_type: str = _JSON, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """An answer with the common headers and those given."""
        now = self._state.calendar.now()
        limits = self._rate.headers(now) if self._state.behaviour.rate_limit_headers else {}
        common = {
            "Date": self._state.calendar.http_date(now),
            "Content-Type": content_type,
            "Server": "cloudflare",
            "cf-ray": self._state.identities.ray(),
        }
        return Answer(status=status, headers=common | limits | dict(headers or {}), body=body)

    def too_many(self, wait: float) -> Answer:
        """The rate limiter's answer; `wait` is rounded up to whole seconds."""
        return self.say(429, _SLOW_DOWN, headers={"Retry-After": str(math.ceil(wait))})

    def rate_limited(self, fault: Fault) -> Answer:
        """The same, whatever the window says."""
        if fault.retry_after is None:
            return self.say(429, _SLOW_DOWN)
        calendar = self._state.calendar
        date = calendar.http_date(calendar.now() + fault.retry_after)
        return self.say(
            429, _SLOW_DOWN, headers={"Retry-After": date if fault.as_date else str(fault.retry_after)}
        )

    def server_error(self, fault: Fault) -> Answer:
        """A 5xx that is no JSON."""
        title = f"{fault.status} {HTTPStatus(fault.status).phrase}"
        match fault.body:
            case "html":
                page = bodies.html_page(title, "The server did not answer. Try again in some minutes.")
                return self.say(fault.status, page, content_type=_HTML)
            case "nginx":
                return self.say(fault.status, bodies.nginx_page(title), content_type="text/html")
            case "text":
                timed_out = fault.status == HTTPStatus.GATEWAY_TIMEOUT
                text = "upstream request timeout" if timed_out else bodies.BEFORE_HEADERS
                return self.say(fault.status, text.encode(), content_type="text/plain")

    def blocked(self, _: Fault) -> Answer:
        """A firewall's page."""
        page = bodies.html_page("Sorry, you have been blocked", "A security rule stopped this request.")
        return self.say(403, page, content_type=_HTML)

    def empty_body(self, _: Fault) -> Answer:
        """200 and nothing."""
        return self.say(200, b"")

    def not_json(self, _: Fault) -> Answer:
        """200 and something else than the header says."""
        return self.say(200, b"<!DOCTYPE html><title>One moment</title>")

    def redirect(self, fault: Fault) -> Answer:
        """302 to somewhere else."""
        return self.say(302, b"", content_type="text/html", headers={"Location": fault.location})


INSTEAD: Final[dict[FaultKind, Callable[[Speaker, Fault], Answer]]] = {
    "rate_limited": Speaker.rate_limited,
    "server_error": Speaker.server_error,
    "blocked": Speaker.blocked,
    "empty_body": Speaker.empty_body,
    "not_json": Speaker.not_json,
    "redirect": Speaker.redirect,
}
