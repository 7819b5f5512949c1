"""Builds responses: the envelope, the common headers, and the responses of faults."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus

import msgspec

from builds_async.simulator.account import Account
from builds_async.simulator.faults import Fault, FaultKind
from builds_async.simulator.limits import RateWindow
from builds_async.simulator.messages import Response
from builds_async.simulator.records import Json

_JSON = "application/json"
_HTML = "text/html; charset=UTF-8"
# Texts and sizes follow real responses, which have broken clients before.
_BEFORE_HEADERS = (
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
)
_CHUNK = 64 * 1024


def envelope(result: object, result_info: Json | None = None, messages: Sequence[object] = ()) -> bytes:
    """The body of a successful response."""
    body: Json = {"success": True, "errors": [], "messages": messages, "result": result}
    if result_info is not None:
        body["result_info"] = result_info
    return msgspec.json.encode(body)


def error_envelope(code: int, message: str) -> bytes:
    """The body of a refusal."""
    errors = [{"code": code, "message": message}]
    return msgspec.json.encode({"success": False, "errors": errors, "messages": [], "result": None})


_SLOW_DOWN = error_envelope(971, "Please wait and consider throttling your request speed")


class ResponseFactory:
    """Builds responses with the simulated date, a `cf-ray` and the rate limit headers."""

    def __init__(self, account: Account, rate: RateWindow) -> None:
        self._account = account
        self._rate = rate

    def make(
        self, status: int, body: bytes, *, content_type: str = _JSON, headers: Mapping[str, str] | None = None
    ) -> Response:
        """A response with the common headers and `headers`."""
        now = self._account.now()
        # Refusals have these headers too.
        limits = self._rate.headers(now) if self._account.behavior.rate_limit_headers else {}
        common = {
            "Date": self._account.calendar.http_date(now),
            "Content-Type": content_type,
            "Server": "cloudflare",
            "cf-ray": self._account.ids.ray(),
        }
        return Response(status=status, headers=common | limits | dict(headers or {}), body=body)

    def too_many(self, wait: float) -> Response:
        """The rate limiter's 429; `wait` is rounded up to whole seconds."""
        return self.make(429, _SLOW_DOWN, headers={"Retry-After": str(math.ceil(wait))})

    def rate_limited(self, fault: Fault) -> Response:
        """A 429 that the rate limiter did not cause."""
        if fault.retry_after is None:
            return self.make(429, _SLOW_DOWN)
        date = self._account.calendar.http_date(self._account.now() + fault.retry_after)
        retry_after = date if fault.as_date else str(fault.retry_after)
        return self.make(429, _SLOW_DOWN, headers={"Retry-After": retry_after})

    def server_error(self, fault: Fault) -> Response:
        """A 5xx with HTML or plain text."""
        title = f"{fault.status} {HTTPStatus(fault.status).phrase}"
        match fault.body:
            case "html":
                page = _html_page(title, "The server did not answer. Try again in some minutes.")
                return self.make(fault.status, page, content_type=_HTML)
            case "nginx":
                return self.make(fault.status, _nginx_page(title), content_type="text/html")
            case "text":
                timed_out = fault.status == HTTPStatus.GATEWAY_TIMEOUT
                text = "upstream request timeout" if timed_out else _BEFORE_HEADERS
                return self.make(fault.status, text.encode(), content_type="text/plain")

    def blocked(self, _: Fault) -> Response:
        """403 with a firewall's page."""
        page = _html_page("Sorry, you have been blocked", "A security rule stopped this request.")
        return self.make(403, page, content_type=_HTML)

    def empty_body(self, _: Fault) -> Response:
        """200 with an empty body."""
        return self.make(200, b"")

    def not_json(self, _: Fault) -> Response:
        """200 with a body that contradicts its Content-Type."""
        return self.make(200, b"<!DOCTYPE html><title>One moment</title>")

    def redirect(self, fault: Fault) -> Response:
        """302 to another URL."""
        return self.make(302, b"", content_type="text/html", headers={"Location": fault.location})


FAULT_RESPONSES: dict[FaultKind, Callable[[ResponseFactory, Fault], Response]] = {
    "rate_limited": ResponseFactory.rate_limited,
    "server_error": ResponseFactory.server_error,
    "blocked": ResponseFactory.blocked,
    "empty_body": ResponseFactory.empty_body,
    "not_json": ResponseFactory.not_json,
    "redirect": ResponseFactory.redirect,
}
"""The responses of faults that replace the response, so that the request has no effect."""


def huge_json(size: int) -> Iterator[bytes]:
    """The body of a success with a message of `size` bytes, in chunks."""
    yield b'{"success":true,"errors":[],"messages":["'
    for start in range(0, size, _CHUNK):
        yield b"x" * min(_CHUNK, size - start)
    yield b'"],"result":null}'


def _html_page(title: str, text: str, size: int = 6500) -> bytes:
    """An error page of an edge server: kilobytes of style around one sentence."""
    style = "<style>.box{margin:4em auto;max-width:60em;font-family:sans-serif}</style>\n"
    page = f"<!DOCTYPE html>\n<html>\n<head><title>{title}</title>\n"
    end = f'</head>\n<body><div class="box"><h1>{title}</h1><p>{text}</p></div></body>\n</html>\n'
    return (page + style * max(1, (size - len(page) - len(end)) // len(style)) + end).encode()


def _nginx_page(title: str) -> bytes:
    """The short error page of a plain nginx proxy."""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    ).encode()
