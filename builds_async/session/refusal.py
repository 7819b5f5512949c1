"""Turns a response that refuses a call into one of our errors, with the reason and the remedy."""

import re
from collections.abc import Iterable, Sequence
from typing import Unpack

import msgspec

from builds_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    CallFacts,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RefusalFacts,
    ResponseDecodeError,
)
from builds_async.models.envelope import ErrorDetail, ErrorEnvelope
from builds_async.models.lenient_json import first_items
from builds_async.session.decode import UNREADABLE, decode
from builds_async.session.headers import ray_id, retry_after
from builds_async.session.redact import redact
from builds_async.session.transport import Response

_EXCERPT = 300
_MOST_ERRORS = 20
_LONGEST_ERRORS = 64 * 1024
_PAGE = rb"(?i)\s*<(?:!doctype|html|head|body|p|div)\b"
_STYLE = r"(?i)<style\b[^<]*</style>|<script\b[^<]*</script>"
_MARKUP = r"<[^<>]{0,500}>"
_ERRORS = msgspec.json.Decoder(ErrorEnvelope)

BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitError,
}
# The API's codes. The error class is used if the status of the refusal is 2xx. The text is shown if the
# response may contain a secret.
_CODES: dict[int, tuple[type[APIError], str]] = {
    971: (RateLimitError, ""),
    10000: (PermissionDeniedError, "Authentication error"),
    10007: (NotFoundError, "This Worker does not exist on your account."),
    10090: (NotFoundError, "This service environment does not exist."),
    12000: (NotFoundError, "Not found"),
    12002: (BadRequestError, "Invalid request body"),
    12005: (AuthenticationError, "Missing token from authorization header"),
    12006: (AuthenticationError, "Invalid token"),
    12013: (BadRequestError, "Invalid query parameter"),
    12030: (ConflictError, ""),
    12049: (ConflictError, "Resource already exists"),
    12051: (RateLimitError, "Rate limit exceeded"),
}
_UNKNOWN_CODE = (APIError, "")


def unreadable(
    response: Response,
    why: str,
    secrets: Iterable[str],
    *,
    transient: bool,
    **call: Unpack[CallFacts],
) -> ResponseDecodeError:
    """The error for a success with an unreadable body."""
    ray = ray_id(response.headers)
    start = _excerpt(response.body, secrets)
    shown = _said(response.body, secrets) if start else "the body is empty"
    return ResponseDecodeError(
        f"the response ({response.status}) can't be read: {why}; {shown}{_ray(ray)}",
        status=response.status,
        body=start,
        ray_id=ray,
        transient=transient,
        **call,
    )


def refusal(response: Response, secrets: Iterable[str], **call: Unpack[CallFacts]) -> APIError:
    """The error for a response in which the API, a proxy or a firewall refuses the call."""
    details = _details(response.body, secrets)
    kind = _kind(response.status, details)
    text = (_text(details) or _no_text(response, secrets))[: 2 * _EXCERPT]
    hint = _hint(kind, response.status, details, call["method"], call["path"])
    ray = ray_id(response.headers)
    facts: RefusalFacts = {"status": response.status, "errors": details, "ray_id": ray, **call}
    if issubclass(kind, RateLimitError):
        wait = retry_after(response.headers)
        hint += " some minutes" if wait is None else f" {wait:.0f} s"
        return kind(f"{response.status} {text}. {hint}{_ray(ray)}", retry_after=wait, **facts)
    message = f"{response.status} {text}. {hint}{_ray(ray)}"
    if issubclass(kind, InternalServerError):
        wait = retry_after(response.headers) if response.status == 503 else None
        return kind(message, retry_after=wait, **facts)
    return kind(message, **facts)


def without_text(response: Response) -> Response:
    """The same response with only the error codes in its body, because its text may contain a secret."""
    if not response.body:
        return response
    codes = [detail.code for detail in _details(response.body, ()) if detail.code is not None]
    errors = [{"code": code, "message": _CODES.get(code, _UNKNOWN_CODE)[1]} for code in codes]
    body = msgspec.json.encode({"errors": errors}) if errors else b"(not shown, it may contain a secret)"
    return Response(response.status, response.headers, body)


def _text(details: Sequence[ErrorDetail]) -> str:
    codes = ((detail.message, "" if detail.code is None else f"[{detail.code}]") for detail in details)
    return "; ".join(" ".join(filter(None, words)) for words in codes)


def _no_text(response: Response, secrets: Iterable[str]) -> str:
    """The text for a refusal without a message of its own."""
    start = _excerpt(response.body, secrets)
    if not start:
        return "the body is empty"
    what = "no error text" if start[0] == "{" else "not the API's JSON"
    return f"{what}, {_said(response.body, secrets)}"


def _said(body: bytes, secrets: Iterable[str]) -> str:
    if re.match(_PAGE, body) and (text := _excerpt(body, secrets, of_page=True)):
        return f"the page says {text!r}"
    return f"the body starts with {_excerpt(body, secrets)!r}"


def _details(body: bytes, secrets: Iterable[str]) -> tuple[ErrorDetail, ...]:
    """The first entries of `errors`. An unreadable entry is left out, and does not affect the others.

    At most 20 entries from the first 64 KiB, so that a huge list of errors costs no time.
    """
    try:
        errors = decode(_ERRORS, body).errors
    except UNREADABLE:
        return ()
    entries = first_items(bytes(memoryview(errors)[:_LONGEST_ERRORS]), _MOST_ERRORS)
    details = (_detail(entry, secrets) for entry in entries)
    return tuple(detail for detail in details if detail is not None)


def _detail(entry: object, secrets: Iterable[str]) -> ErrorDetail | None:
    if isinstance(entry, str):
        return ErrorDetail(message=redact(entry, secrets))
    if not isinstance(entry, dict):
        return None
    message, code = entry.get("message"), entry.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code[:9])
    return ErrorDetail(
        message=redact(message, secrets) if isinstance(message, str) else "",
        code=code if isinstance(code, int) else None,
    )


def _kind(status: int, details: Sequence[ErrorDetail]) -> type[APIError]:
    if status >= 500:
        return InternalServerError
    if status >= 300:
        return BY_STATUS.get(status, APIError)
    return next((_CODES[it.code][0] for it in details if it.code in _CODES), APIError)


_USER_OWNED = (
    "The token is wrong or expired, or it is account-owned (cfat_...): the Builds API takes user-owned tokens"
    " only; create one under My Profile, API Tokens"
)
_BY_CODE_HINTS = {
    12006: _USER_OWNED,
    12030: (
        "A Worker has at most two triggers, one for production and one for all other branches: change one of"
        " them, or delete it first"
    ),
}
_BY_PATH_HINTS: dict[type[APIError], dict[str, str]] = {
    NotFoundError: {
        "/builds/builds/": "Check the UUID of the build and the account; builds are kept for 90 days",
        "/deploy_hooks": (
            "Check the deploy hook and the account; deploy hooks need the Worker's name, not its tag"
        ),
        "/workers/scripts/": (
            "Check the Worker and the account; this call needs the Worker's name, not its tag, and a wrangler"
            " environment is a Worker of its own, name-env"
        ),
        "/workers/subdomain": "The account has no workers.dev subdomain yet: the dashboard creates one",
    },
    RateLimitError: {
        # A hook is triggered without a token, so the user's limit does not apply.
        "/workers/builds/deploy_hooks/": (
            "Deploy hooks start at most 10 builds a minute for one Worker, and 100 for the account; wait"
        ),
    },
}
"""The hints for some errors, by a part of the path."""
_PROXY = "A proxy requires a user and a password: put them into the URL of HTTPS_PROXY"
_HINTS: dict[type[APIError], str] = {
    AuthenticationError: "Check the token (CLOUDFLARE_API_TOKEN): it is missing, wrong or expired",
    PermissionDeniedError: "This seems to come from a firewall or a proxy, not from the API",
    NotFoundError: "Check the id and the account; a Worker's id is its tag (32 hex digits), not its name",
    ConflictError: "Read the present state before you try again",
    RateLimitError: "All tools of this user share 1,200 requests per 5 minutes; wait",
    InternalServerError: "Cloudflare failed to process the request; try again later",
}


def _hint(kind: type[APIError], status: int, details: Sequence[ErrorDetail], method: str, path: str) -> str:
    """The advice for the caller."""
    for detail in details:
        if detail.code in _BY_CODE_HINTS:
            return _BY_CODE_HINTS[detail.code]
    if kind is PermissionDeniedError and details:
        return f"The token may not do this in this account: give it {_permission(method, path)}"
    if kind is InternalServerError and method not in {"", "GET"}:
        return "Cloudflare failed to process the request: check whether it took effect before you repeat it"
    for part, hint in _BY_PATH_HINTS.get(kind, {}).items():
        if part in path:
            return hint
    if 300 <= status < 400:
        return "Redirects are not followed, because the token would be sent there: check base_url"
    return _HINTS.get(kind, _PROXY if status == 407 else "Change the request")


def _permission(method: str, path: str) -> str:
    """The permission that a call needs, under each of its names."""
    place = path.split("/")[3:]  # /accounts/{account_id}/...
    # The API requires Write to read a single subscription, but only Read to list them.
    is_subscription = place[:2] == ["event_subscriptions", "subscriptions"] and len(place) > 2
    api, dashboard = ("Read", "Read") if method == "GET" and not is_subscription else ("Write", "Edit")
    if place[:1] in (["queues"], ["event_subscriptions"]):
        return f'"Queues {api}", in the dashboard "Queues {dashboard}"'
    if place[:1] == ["workers"]:
        return f'"Workers Scripts {api}", in the dashboard "Workers Scripts: {dashboard}"'
    return (
        f'"Workers CI {api}", in the dashboard'
        f' "Workers Builds Configuration: {dashboard}" or "Workers Builds: {dashboard}",'
        ' in token templates "workers_ci"'
    )


def _ray(ray: str | None) -> str:
    return f" (cf-ray {ray})" if ray else ""


def _excerpt(body: bytes, secrets: Iterable[str], *, of_page: bool = False) -> str:
    # The text is redacted before it is cut, so that no part of a secret is left at the end. A character has
    # at most 4 bytes. So this is enough of the body for 64 times the excerpt (most of a page is markup), and
    # for a secret that begins in it.
    secrets = tuple(secrets)
    longest = max(map(len, secrets), default=0)
    start = body[: 4 * (64 * _EXCERPT + longest)]
    text = redact(start.decode("utf-8", "replace"), secrets)
    if len(start) < len(body) and longest:
        text = text[:-longest]
    text = re.sub(_STYLE, " ", text[: 64 * _EXCERPT])  # styles and scripts, which are most of a page
    if of_page:
        # Redacted again, because a character reference can hide a part of a secret.
        from html import unescape  # noqa: PLC0415  # rarely needed, and 4% of the package's import

        text = redact(unescape(re.sub(_MARKUP, " ", text)), secrets)
    return " ".join(text.split())[:_EXCERPT]
