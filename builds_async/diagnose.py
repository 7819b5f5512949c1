"""What is wrong with the credentials or the account, found out by reading."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

import msgspec

from builds_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildsConnectionError,
    BuildsError,
    InternalServerError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.models.account import AccountLimits
from builds_async.models.diagnosis import CredentialKind, Diagnosis, Finding
from builds_async.models.tokens import TokenStatus

T = TypeVar("T")

_PERMISSIONS = {
    "builds": (
        "Builds",
        '"Workers CI Read", in the dashboard "Workers Builds Configuration: Read"',
        "every call for builds needs it",
    ),
    "scripts": ("The list of Workers", '"Workers Scripts Read"', "only their names need it"),
    "queues": ("Event subscriptions", '"Queues Read"', "only queues need it, and client.events (Write)"),
}

Probe: TypeAlias = Callable[[], Awaitable[T]]

_NO_TOKEN = frozenset({6003, 6103, 6111})  # 400: what has not even the form of a token or key
_NO_ROUTE = frozenset({7000, 7003})  # what has not the form of an account
_CREATE = (
    'Create one under My Profile, API Tokens, with "Workers Builds Configuration: Read" (or Edit) and'
    ' "Workers Scripts: Read" for this account'
)
_KINDS = {
    CredentialKind.USER_TOKEN: "An API token that is owned by a user",
    CredentialKind.OAUTH_TOKEN: "An OAuth access token",
    CredentialKind.GLOBAL_KEY: "A global key with an e-mail address",
}


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the probes answered: a value, or the error that came instead."""

    account_id: str
    looks_like: CredentialKind
    token: TokenStatus | BuildsError | None
    limits: AccountLimits | BuildsError
    scripts: object
    queues: object

    @property
    def works(self) -> bool:
        """Whether any call below the account was answered."""
        answers = (self.limits, self.scripts, self.queues)
        return not all(isinstance(answer, BuildsError) for answer in answers)

    @property
    def kind(self) -> CredentialKind:
        """What the credentials are, by what they look like and what they can do."""
        if self.looks_like != CredentialKind.UNKNOWN:
            return self.looks_like
        if isinstance(self.token, TokenStatus):
            return CredentialKind.USER_TOKEN
        refused = _is_wrong(self.token) and isinstance(self.limits, AuthenticationError)
        return CredentialKind.ACCOUNT_TOKEN if refused and self.works else CredentialKind.UNKNOWN


async def diagnose(
    *,
    verify: Probe[TokenStatus],
    limits: Probe[AccountLimits],
    scripts: Probe[object],
    queues: Probe[object],
    account_id: str,
    looks_like: CredentialKind,
    foreign_host: str | None = None,
) -> Diagnosis:
    """Ask what the token is, and one thing that needs each permission, and say what the answers mean.

    The probes only read. What one raises becomes a finding. `foreign_host` is who gets the credentials, if
    that is not Cloudflare.
    """
    address = () if foreign_host is None else (_address(foreign_host),)
    minutes = await _answer(limits)
    if isinstance(minutes, BuildsConnectionError | RateLimitError):  # so would the others
        return Diagnosis(
            account_id=account_id,
            credential_kind=looks_like,
            findings=(*address, _problem("account", minutes)),
        )
    seen = _Seen(
        account_id=account_id,
        looks_like=looks_like,
        token=None if looks_like == CredentialKind.GLOBAL_KEY else await _answer(verify),
        limits=minutes,
        scripts=await _answer(scripts),
        queues=await _answer(queues),
    )
    return Diagnosis(
        account_id=account_id,
        credential_kind=seen.kind,
        findings=(*address, *_findings(seen)),
        limits=minutes if isinstance(minutes, AccountLimits) else None,
    )


def _address(host: str) -> Finding:
    return Finding(
        check="address",
        state="unknown",
        message=f"The credentials are sent to {host}, which is not Cloudflare",
        advice="Check CLOUDFLARE_BASE_URL, unless you trust that host with them",
    )


async def _answer(probe: Probe[T]) -> T | BuildsError:
    try:
        return await probe()
    except BuildsError as error:
        return error


def _findings(seen: _Seen) -> Iterator[Finding]:
    yield _credentials(seen)
    yield _account(seen)
    yield _permission("builds", seen.limits)
    yield _permission("scripts", seen.scripts)
    yield _permission("queues", seen.queues)
    yield Finding(
        check="write",
        state="unknown",
        message="Whether builds may be started, cancelled and configured can't be told by reading",
        advice='For that, give the token "Workers CI Write" ("Workers Builds Configuration: Edit")',
    )
    if isinstance(seen.limits, AccountLimits):
        yield _minutes(seen.limits)


def _credentials(seen: _Seen) -> Finding:
    kind, token = seen.kind, seen.token
    if isinstance(seen.limits, AuthenticationError) and kind == CredentialKind.ACCOUNT_TOKEN:
        return _bad("This token is owned by the account; the Builds API takes only those owned by a user")
    if isinstance(token, TokenStatus) and token.status not in (None, "active"):
        return _bad(f"The token is not active, but {token.status}")
    if isinstance(seen.limits, AuthenticationError) and (seen.works or isinstance(token, TokenStatus)):
        return _bad("The Builds API does not take these credentials, though others do")
    if seen.works or isinstance(token, TokenStatus):
        until = token.expires_on if isinstance(token, TokenStatus) else None
        told = _KINDS.get(kind, "Credentials that are accepted")
        return _good("credentials", f"{told}, until {_date(until)}" if until else told)
    if _is_wrong(token) or _is_wrong(seen.limits):
        told = "The key and the e-mail address" if kind == CredentialKind.GLOBAL_KEY else "The token"
        return _bad(f"{told} can't be used: wrong, expired or revoked", "Check CLOUDFLARE_API_TOKEN. ")
    refusal = seen.limits if token is None else token
    return Finding(check="credentials", state="unknown", message=f"Could not be looked at: {refusal}")


def _account(seen: _Seen) -> Finding:
    if seen.works:
        return _good("account", "The account can be reached")
    refusals = [it for it in (seen.limits, seen.scripts, seen.queues) if isinstance(it, BuildsError)]
    if all(map(_is_wrong, refusals)):
        return Finding(check="account", state="unknown", message="Nothing is told to these credentials")
    advice = "Check CLOUDFLARE_ACCOUNT_ID (32 hex digits), and that the token includes this account"
    if any(isinstance(it, PermissionDeniedError) and it.errors for it in refusals):
        told = f"The token may see nothing of the account {seen.account_id}"
        return Finding(check="account", state="problem", message=told, advice=advice)
    if any(isinstance(it, APIError) and _NO_ROUTE.intersection(it.codes) for it in refusals):
        told = f"There is no account {seen.account_id}"
        return Finding(check="account", state="problem", message=told, advice=advice)
    return _problem("account", seen.limits)


def _is_wrong(answer: object) -> bool:
    """Whether an answer says that the credentials themselves are no good."""
    return isinstance(answer, AuthenticationError) or (
        isinstance(answer, BadRequestError) and not _NO_TOKEN.isdisjoint(answer.codes)
    )


def _good(check: str, message: str) -> Finding:
    return Finding(check=check, state="ok", message=message)


def _bad(message: str, before: str = "") -> Finding:
    return Finding(check="credentials", state="problem", message=message, advice=f"{before}{_CREATE}")


def _permission(check: str, answer: object) -> Finding:
    what, permission, needed = _PERMISSIONS[check]
    if not isinstance(answer, BuildsError):
        return _good(check, f"{what} can be read")
    if isinstance(answer, AuthenticationError):
        return Finding(check=check, state="unknown", message=f"{what}: the credentials are not accepted")
    if isinstance(answer, PermissionDeniedError) and answer.errors:  # without any it comes from a firewall
        return Finding(
            check=check,
            state="problem",
            message=f"{what} can't be read: the token lacks the permission",
            advice=f"Give it {permission}; {needed}",
            status=answer.status,
        )
    return _problem(check, answer)


def _problem(check: str, error: BuildsError | AccountLimits) -> Finding:
    advice = next(advice for kind, advice in _ADVICE if isinstance(error, kind))
    status = error.status if isinstance(error, APIError | ResponseDecodeError) else None
    return Finding(check=check, state="problem", message=str(error), advice=advice, status=status)


_ADVICE: tuple[tuple[type[BuildsError], str], ...] = (
    (BuildsConnectionError, "Check the network, DNS, proxy and CLOUDFLARE_BASE_URL"),
    (RateLimitError, "Wait, up to five minutes: all tools of this user share the limit, the dashboard too"),
    (InternalServerError, "Try again later"),
    (PermissionDeniedError, "Look for a firewall or proxy on the way"),
    (ResponseDecodeError, "Check CLOUDFLARE_BASE_URL: this is not how the API answers"),
    (BuildsError, "Check CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_BASE_URL"),
)


def _minutes(limits: AccountLimits) -> Finding:
    if not limits.has_reached_build_minutes_limit:
        return _good("build_minutes", "Build minutes are left")
    refresh = limits.build_minutes_refresh_on
    until = f" until {_date(refresh)}" if refresh else ""
    return Finding(
        check="build_minutes",
        state="problem",
        message=f"No build minutes are left{until}: builds won't start",
        advice="Wait until then, or use a paid plan",
    )


def _date(moment: datetime) -> str:
    try:
        moment = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:  # at the edge of the calendar
        return moment.isoformat(" ", "minutes")
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"
