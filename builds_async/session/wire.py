"""The sans-I/O half of the session layer: requests as text, answers as Structs or errors.

All judgement about an answer is in `read`: what comes in is a status, headers and bytes, what goes out is
a decoded envelope or one of our errors. Nothing here waits, sends or knows aiohttp.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from builds_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildsError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.models.envelope import Envelope, ErrorDetail, ErrorEnvelope
from builds_async.models.lenient_json import first_items
from builds_async.session import lenient
from builds_async.session.transport import Response

T = TypeVar("T")

MAX_IDS = 20
"""How many ids the bulk look-ups take in one request; with more the API answers 400."""

_EXCERPT = 300
_MOST_ERRORS = 20
_LONGEST_ERRORS = 64 * 1024
_STYLE = r"(?i)<style\b[^<]*</style>|<script\b[^<]*</script>"
_PLAIN = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_TAG = re.compile(r"[0-9a-fA-F]{32}").fullmatch
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_ERRORS = msgspec.json.Decoder(ErrorEnvelope)

DONE = lenient.DONE

_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitError,
}
# For an answer that says no under a status that says yes.
_BY_CODE: dict[int, type[APIError]] = {
    971: RateLimitError,
    10000: PermissionDeniedError,
    12000: NotFoundError,
    12002: BadRequestError,
    12005: AuthenticationError,
    12006: AuthenticationError,
    12013: BadRequestError,
    12049: ConflictError,
    12051: RateLimitError,
}


# What the API says with its codes, for answers whose own text is not shown.
_TEXTS = {
    10000: "Authentication error",
    12000: "Not found",
    12002: "Invalid request body",
    12005: "Missing token from authorization header",
    12006: "Invalid token",
    12013: "Invalid query parameter",
    12049: "Resource already exists",
    12051: "Rate limit exceeded",
}


class Secret(str):
    """A text that keeps itself out of `repr`, and so out of tracebacks that show local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def hidden(secrets: Iterable[str]) -> tuple[str, ...]:
    """Secrets of a call that no traceback shows."""
    return tuple(map(Secret, secrets))


_CREDENTIAL = re.compile(r"cf(?:ut|at|oat|k)_[A-Za-z0-9_-]{16,}")
_RANDOM = re.compile(
    r"(?<![\w-])(?:(?=[A-Z0-9_-]*[a-z])(?=[a-z0-9_-]*[A-Z])(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{30,}|[0-9a-f]{37})"
    r"(?![\w-])"
)

NOT_SHOWN = "what was passed looks like a credential and is not shown"


def quoted(value: str) -> str:
    """A text that was passed, for a message: in quotes, or not shown if it may be a pasted credential.

    A credential has a prefix of Cloudflare's, or is as long and as random as the older tokens and the global
    keys.
    """
    if _CREDENTIAL.search(value) or _RANDOM.search(value):
        return f"({NOT_SHOWN})"
    return repr(value)


def segment(value: str) -> str:
    """`value` as one percent-encoded segment of a path. ValueError if it can't be one.

    A credential that was pasted in place of an id is none: it is neither sent in a URL nor shown.
    """
    if not isinstance(value, str):
        raise TypeError(f"an id is a str, not {type(value).__name__}")
    if value.startswith("cf") and _CREDENTIAL.match(value):
        raise ValueError(f"{NOT_SHOWN}: pass the id; if it was one, replace it, it may be in logs by now")
    if _PLAIN(value):
        return value
    # An encoded slash is refused too: proxies on the way decode it and would see another path.
    if value in {"", ".", ".."} or "/" in value or "\\" in value:
        raise ValueError(f"{quoted(value)} can't be an id: it is empty or would leave its place in the path")
    return quote(value, safe="")


def identifier(value: str) -> str:
    """The id of a thing as the API writes it, as one segment of a path. ValueError if it can't be one.

    UUIDs and ids of 32 hex digits are in lower case there. The names of Workers are no such ids: see
    `segment`.
    """
    text = segment(value)
    return text if text.islower() else normalized_id(text)  # most are: the cheapest look comes first


def normalized_id(value: str) -> str:
    """An id as the API writes it: a UUID, or one of 32 hex digits, in lower case."""
    return value.lower() if _UUID(value) or _TAG(value) else value


def is_id(value: str) -> bool:
    """Whether a text can be an id in a path."""
    try:
        segment(value)
    except ValueError:
        return False
    return True


def id_list(values: Iterable[str]) -> str:
    """`values` as the comma list of a bulk look-up. ValueError if one of them can't be an id."""
    if isinstance(values, str):
        raise TypeError("pass a list of ids, not one str: its characters would be taken for ids")
    encoded = []
    for value in values:
        encoded.append(segment(value))
        if "," in value:
            raise ValueError(f"{quoted(value)} can't be an id: it has a comma; pass ids one by one")
    return ",".join(encoded)


def checked_ids(values: Iterable[str]) -> tuple[str, ...]:
    """`values` as they are, each fit to be an id of a bulk look-up; else what `id_list` raises."""
    ids = values if isinstance(values, str) else tuple(values)
    id_list(ids)
    return tuple(ids)


def checked_tags(values: Iterable[str]) -> tuple[str, ...]:
    """`values` as they are, each fit to be a Worker's tag; else ValueError."""
    if isinstance(values, str):
        raise TypeError("pass a list of tags, not one str: its characters would be taken for tags")
    tags = tuple(values)
    for value in tags:
        tag(value)
    return tags


def is_tag(value: str) -> bool:
    """Whether `value` can be the tag of a Worker: 32 hex digits."""
    return _TAG(value) is not None


def tag(value: str) -> str:
    """A Worker's tag as the API writes it, fit for a path. ValueError if it can't be one."""
    if not (isinstance(value, str) and is_tag(value)):
        segment(value)
        raise ValueError(
            f"{quoted(value)} is no tag of a Worker (32 hex digits): this is a Worker name;"
            " use client.workers.tags"
        )
    return value.lower()


class SecretBytes(bytes):
    """A body that keeps itself out of `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def encoded(value: object) -> bytes:
    """`value` as the JSON of a body, which no traceback shows."""
    return SecretBytes(msgspec.json.encode(value))


def body(**fields: object) -> bytes:
    """`fields` as a JSON object; those that are UNSET are left out, None is null."""
    return encoded({name: it for name, it in fields.items() if it is not msgspec.UNSET})


def query(**parameters: str | int | None) -> str:
    """`parameters` as an encoded query; those that are None are left out."""
    return "&".join(
        f"{name}={quote(str(value), safe='')}" for name, value in parameters.items() if value is not None
    )


def read(
    answer: Response,
    decoder: msgspec.json.Decoder[Envelope[T]],
    *,
    nullable: bool = True,
    method: str = "",
    path: str = "",
    secrets: Iterable[str] = (),
    confidential: bool = False,
) -> Envelope[T]:
    """The decoded answer, or the error that it is.

    A status below 300 with `success` not false and a `result` is a success; `nullable` says whether a null
    will do. `secrets` are blotted out of whatever text of the body ends up in an error, should a server
    echo them. Of a `confidential` answer no text does: a secret can be echoed in too many ways.
    """
    failure: BuildsError | None = None
    if 200 <= answer.status < 300:
        try:
            envelope = lenient.decode(decoder, answer.body)
        except lenient.UNREADABLE as error:
            if lenient.is_receipt(decoder.type) and not answer.body.strip():
                return decoder.decode(b"{}")
            if not _says_no(answer.body):
                garbled = not isinstance(error, msgspec.ValidationError)
                failure = _unreadable(
                    _shown(answer, confidential=confidential), str(error), secrets, transient=garbled
                )
        else:
            if envelope.success is not False:
                if (complaint := _complaint(envelope, nullable=nullable)) and not lenient.is_receipt(
                    decoder.type
                ):
                    raise _unreadable(_shown(answer, confidential=confidential), complaint, secrets)
                return envelope
    # Raised out here, so that no error of a decoder is its context: its frames have the body.
    raise failure or _refusal(_shown(answer, confidential=confidential), method, path, secrets)


def _complaint(envelope: Envelope[T], *, nullable: bool) -> str | None:
    """What is wrong with the `result` of a good answer."""
    if envelope.result is msgspec.UNSET:
        return "it has no `result`"
    if envelope.result is None and not nullable:
        return "the `result` of the answer is null, and this call always has one"
    return None


def _shown(answer: Response, *, confidential: bool) -> Response:
    """The answer as errors may show it: of a confidential one nothing but the error codes."""
    if not confidential or not answer.body:
        return answer
    codes = [detail.code for detail in _details(answer.body, ()) if detail.code is not None]
    errors = [{"code": code, "message": _TEXTS.get(code, "")} for code in codes]
    body = msgspec.json.encode({"errors": errors}) if errors else b"(not shown, it may hold a secret)"
    return Response(answer.status, answer.headers, body)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After asks for, as a number or as a date; None if it can't be read.

    A date is measured by the server's own clock, its `Date` header. Without one only this machine's clock is
    left, which may be wrong: then a date more than the API's own block of 5 minutes ahead counts as none.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = date(value)
        if until is None:
            return None
        sent = date(headers.get("Date", ""))
        seconds = (until - (sent or datetime.now(UTC))).total_seconds()
        if sent is None and seconds > _BLOCK:
            return None
    return max(seconds, 0.0) if seconds < float("inf") else None


_BLOCK = 300.0


class Allowance(NamedTuple):
    """One item of the `Ratelimit` header: `left` requests until `reset` seconds from now.

    `quota` and `window` come from the item of the same name in `Ratelimit-Policy`, if there is one.
    """

    left: int
    reset: float
    quota: int | None = None
    window: float | None = None


def allowances(headers: Mapping[str, str]) -> dict[str, Allowance]:
    """What the `Ratelimit` and `Ratelimit-Policy` headers say, by the name of the policy."""
    said = headers.get("Ratelimit")
    if said is None:
        return {}
    policy = headers.get("Ratelimit-Policy", "")
    if getall := getattr(headers, "getall", None):  # a list may come in several lines
        said, policy = _lines(getall("Ratelimit")), _lines(getall("Ratelimit-Policy", _NONE))
    policies = _policies(policy)
    if usual := _USUAL.fullmatch(said):  # on every answer: one look, not a parse
        name, left, reset = usual.groups()
        return {name: Allowance(int(left), float(reset), *policies.get(name, _NO_POLICY))}
    return {
        name: Allowance(int(item["r"]), item["t"], *policies.get(name, _NO_POLICY))
        for name, item in _items(said).items()
        if "r" in item and "t" in item
    }


_USUAL = re.compile(r'"([^"\\]*)";r=(\d{1,15});t=(\d{1,15})')
# A string that never ends is taken to the end of the header, so that no character is looked at twice.
_ITEM = r'"((?:[^"\\]|\\.)*+)(?:"((?:\s*+;\s*+[a-z*][a-z0-9_.*-]*+=[0-9.]++)*+)|)'
_PARAMETER = r";\s*([a-z*][a-z0-9_.*-]*)=(\d{1,15}(?:\.\d{1,15})?)(?![\d.])"
_NO_POLICY = (None, None)
_NONE = ("",)


@lru_cache(maxsize=16)
def _policies(header: str) -> dict[str, tuple[int | None, float | None]]:
    """Quota and window by name. The header hardly ever changes."""
    return {
        name: (int(item["q"]) if "q" in item else None, item.get("w"))
        for name, item in _items(header).items()
    }


def _lines(lines: Sequence[str]) -> str:
    """The lines of a header whose value is a list, as one."""
    return lines[0] if len(lines) == 1 else ", ".join(lines)


def _items(header: str) -> dict[str, dict[str, float]]:
    return {
        name: {key: float(number) for key, number in re.findall(_PARAMETER, parameters)}
        for name, parameters in re.findall(_ITEM, header)
    }


def date(value: str) -> datetime | None:
    """The date of a `Date` or `Retry-After` header, None if it is none."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _says_no(body: bytes) -> bool:
    """Whether a body that is not of the expected shape is at least a well-formed refusal."""
    try:
        return lenient.decode(DONE, body).success is False
    except lenient.UNREADABLE:
        return False


def _unreadable(
    answer: Response, why: str, secrets: Iterable[str], *, transient: bool = False
) -> ResponseDecodeError:
    ray = ray_id(answer.headers)
    start = _excerpt(answer.body, secrets)
    shown = f"the body starts with {start!r}" if start else "the body is empty"
    return ResponseDecodeError(
        f"the answer ({answer.status}) can't be read: {why}; {shown}{_ray(ray)}",
        status=answer.status,
        body=start,
        ray_id=ray,
        transient=transient,
    )


def _refusal(answer: Response, method: str, path: str, secrets: Iterable[str]) -> APIError:
    details = _details(answer.body, secrets)
    kind = _kind(answer.status, details)
    said = _said(details) or _no_text(answer, secrets)
    ray = ray_id(answer.headers)
    waits = kind is RateLimitError or answer.status == 503
    wait = retry_after(answer.headers) if waits else None
    hint = _hint(kind, answer.status, details, method, path)
    if kind is RateLimitError:
        hint += " some minutes" if wait is None else f" {wait:.0f} s"
    error = kind(
        f"{answer.status} {said[: 2 * _EXCERPT]}. {hint}{_ray(ray)}",
        status=answer.status,
        errors=details,
        ray_id=ray,
    )
    if isinstance(error, RateLimitError | InternalServerError):
        error.retry_after = wait
    return error


def _said(details: Sequence[ErrorDetail]) -> str:
    codes = ((detail.message, "" if detail.code is None else f"[{detail.code}]") for detail in details)
    return "; ".join(" ".join(filter(None, words)) for words in codes)


def _no_text(answer: Response, secrets: Iterable[str]) -> str:
    """What to say of a refusal that says nothing."""
    start = _excerpt(answer.body, secrets)
    if not start:
        return "the body is empty"
    what = "no error text" if start[0] == "{" else "not the API's JSON"
    return f"{what}, the body starts with {start!r}"


def _details(body: bytes, secrets: Iterable[str]) -> tuple[ErrorDetail, ...]:
    """The first entries of `errors`, as far as they can be read: an odd one takes none of the others with it.

    At most 20, out of the first 64 KiB: the number and size of the others cost nothing.
    """
    try:
        errors = lenient.decode(_ERRORS, body).errors
    except lenient.UNREADABLE:
        return ()
    entries = first_items(bytes(memoryview(errors)[:_LONGEST_ERRORS]), _MOST_ERRORS)
    details = (_detail(entry, secrets) for entry in entries)
    return tuple(detail for detail in details if detail is not None)


def _detail(entry: object, secrets: Iterable[str]) -> ErrorDetail | None:
    if isinstance(entry, str):
        return ErrorDetail(message=blot(entry, secrets))
    if not isinstance(entry, dict):
        return None
    message, code = entry.get("message"), entry.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code[:9])
    return ErrorDetail(
        message=blot(message, secrets) if isinstance(message, str) else "",
        code=code if isinstance(code, int) else None,
    )


def _kind(status: int, details: Sequence[ErrorDetail]) -> type[APIError]:
    if status >= 500:
        return InternalServerError
    if status >= 300:
        return _BY_STATUS.get(status, APIError)
    return next((_BY_CODE[detail.code] for detail in details if detail.code in _BY_CODE), APIError)


_USER_OWNED = (
    "The token is wrong or expired, or it is account-owned (cfat_...): the Builds API takes user-owned tokens"
    " only; create one under My Profile, API Tokens"
)
_PROXY = "A proxy on the way wants a user and a password: put them into the URL of HTTPS_PROXY"
_HINTS: dict[type[APIError], str] = {
    AuthenticationError: "Check the token (CLOUDFLARE_API_TOKEN): it is missing, wrong or expired",
    PermissionDeniedError: "This looks like a firewall or proxy on the way, not like the API",
    NotFoundError: "Check the id and the account; a Worker goes by its tag (32 hex digits), not by its name",
    ConflictError: "Read what is there before you try again",
    RateLimitError: "All tools of this user share 1,200 requests per 5 minutes; wait",
    InternalServerError: "Cloudflare failed to answer; try again later",
}


def _hint(kind: type[APIError], status: int, details: Sequence[ErrorDetail], method: str, path: str) -> str:
    """What the caller can do about it."""
    if any(detail.code == 12006 for detail in details):
        return _USER_OWNED
    if kind is PermissionDeniedError and details:
        return f"The token may not do this in this account: give it {_permission(method, path)}"
    if kind is InternalServerError and method not in {"", "GET"}:
        return "Cloudflare failed to answer: look whether it was done before you do it again"
    if kind is NotFoundError and "/deploy_hooks" in path:
        return "Check the deploy hook and the account; deploy hooks go by the Worker's name, not by its tag"
    if 300 <= status < 400:
        return "Redirects are not followed, the token would go along: check base_url"
    return _HINTS.get(kind, _PROXY if status == 407 else "Change the request")


def _permission(method: str, path: str) -> str:
    """What a call needs, under each of its names."""
    api, dashboard = ("Read", "Read") if method == "GET" else ("Write", "Edit")
    place = path.split("/")[3:4]  # /accounts/{account_id}/...
    if place in (["queues"], ["event_subscriptions"]):
        return f'"Queues {api}", in the dashboard "Queues {dashboard}"'
    if place == ["workers"]:
        return f'"Workers Scripts {api}", in the dashboard "Workers Scripts: {dashboard}"'
    return (
        f'"Workers CI {api}", in the dashboard'
        f' "Workers Builds Configuration: {dashboard}" or "Workers Builds: {dashboard}",'
        ' in token templates "workers_ci"'
    )


def ray_id(headers: Mapping[str, str]) -> str | None:
    """The `cf-ray` header, by which Cloudflare's support finds a request; None for what can't be one."""
    value = headers.get("cf-ray", "")
    return value if _RAY(value) else None


_RAY = re.compile(r"[0-9A-Za-z]{1,20}(?:-[0-9A-Za-z]{1,8})?").fullmatch


def _ray(ray: str | None) -> str:
    return f" (cf-ray {ray})" if ray else ""


def _excerpt(body: bytes, secrets: Iterable[str]) -> str:
    # Redacted before it is cut, so that no part of a secret is left at the end. A character has at most 4
    # bytes, so this is enough of the body for the text and, behind it, the part of a secret that is cut.
    secrets = tuple(secrets)
    longest = max(map(len, secrets), default=0)
    start = body[: 4 * (64 * _EXCERPT + longest)]
    text = blot(start.decode("utf-8", "replace"), secrets)
    if len(start) < len(body) and longest:
        text = text[:-longest]
    text = re.sub(_STYLE, " ", text[: 64 * _EXCERPT])  # of a page all that is no text of it, mostly
    return " ".join(text.split())[:_EXCERPT]


def blot(text: str, secrets: Iterable[str]) -> str:
    """`text` from a server without the credentials that it echoes.

    A credential that no text has by chance is removed wherever it stands. One that reads like a word or a
    number, as tests have them, is removed only where a credential stands: behind `Bearer`, `X-Auth-Key:`,
    `token`, `key` and similar words. Ordinary messages stay intact. What has the form and the prefix of a
    token of Cloudflare's is removed too, whosever it is.
    """
    for secret in secrets:
        if secret and secret in text:
            text = _credential(secret).sub(r"\g<1>***", text)
    return _CREDENTIAL.sub("***", text) if "cf" in text else text


def unmistakable(secrets: Iterable[str]) -> tuple[str, ...]:
    """The credentials that no text has by chance: where one stands in a URL, it was passed as an id."""
    return tuple(secret for secret in secrets if not _reads_like_a_word(secret))


def _credential(secret: str) -> re.Pattern[str]:
    """What finds a credential, behind what introduces it as group 1."""
    if not _reads_like_a_word(secret):
        return re.compile(f"(){re.escape(secret)}")
    return re.compile(rf"(\b{_INTRODUCTION}){re.escape(secret)}(?![\w-])")


_INTRODUCTION = (
    r"""(?i:bearer|authorization|x-auth-key|token|key|secret)["']?(?:\s*[:=]\s*|\s+|%20|\+)["']?"""
)


def _reads_like_a_word(secret: str) -> bool:
    """Whether a text may have it by chance. Real ones are letters of both cases and digits at random."""
    return secret.isdigit() or (
        secret.isalpha() and (secret[1:].islower() or secret.isupper() or not secret[1:])
    )
