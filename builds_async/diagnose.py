"""Diagnoses problems with the credentials or the account, with read requests only."""

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
    "scripts": ("The list of Workers", '"Workers Scripts Read"', "only the names of Workers need it"),
    "queues": (
        "Event subscriptions",
        '"Queues Read"',
        "only client.subscriptions needs it, and client.events needs Write",
    ),
}

Probe: TypeAlias = Callable[[], Awaitable[T]]

# The codes of a 400 for credentials that do not have the form of a token or key.
_MALFORMED_TOKEN = frozenset({6003, 6103, 6111})
_NO_ROUTE = frozenset({7000, 7003})  # the codes for an id that does not have the form of an account id
_CREATE = (
    'Create one under My Profile, API Tokens, with "Workers Builds Configuration: Read" (or Edit) and'
    ' "Workers Scripts: Read" for this account'
)
_KINDS = {
    CredentialKind.USER_TOKEN: "An API token owned by a user",
    CredentialKind.OAUTH_TOKEN: "An OAuth access token",
    CredentialKind.GLOBAL_KEY: "A global API key with an email address",
}


class _Results(msgspec.Struct, frozen=True, kw_only=True):
    """The results of the probes, each a value or an error."""

    account_id: str
    looks_like: CredentialKind
    damage: str | None
    token: TokenStatus | BuildsError | None
    limits: AccountLimits | BuildsError
    scripts: object
    queues: object

    @property
    def works(self) -> bool:
        """Whether any request for something in the account succeeded."""
        results = (self.limits, self.scripts, self.queues)
        return not all(isinstance(result, BuildsError) for result in results)

    @property
    def kind(self) -> CredentialKind:
        """The kind of the credentials, judged by their form and by the results."""
        if self.looks_like != CredentialKind.UNKNOWN:
            return self.looks_like
        if isinstance(self.token, TokenStatus):
            return CredentialKind.USER_TOKEN
        if not _blames_credentials(self.token) or not self.works:
            return CredentialKind.UNKNOWN
        # Some calls work, but this is not an API token of a user. The Builds API responds with 401 to a token
        # of an account, and with 403 to the OAuth token of `wrangler login`, which has no scope for builds.
        if isinstance(self.limits, AuthenticationError):
            return CredentialKind.ACCOUNT_TOKEN
        return CredentialKind.OAUTH_TOKEN if _is_forbidden(self.limits) else CredentialKind.UNKNOWN


async def diagnose(
    *,
    verify: Probe[TokenStatus],
    limits: Probe[AccountLimits],
    scripts: Probe[object],
    queues: Probe[object],
    account_id: str,
    looks_like: CredentialKind,
    foreign_host: str | None = None,
    token_damage: str | None = None,
) -> Diagnosis:
    """Verify the token, try one read for each permission, and interpret the results.

    The probes only read. An error of a probe becomes a finding. `foreign_host` is the host that gets the
    credentials, if it is not Cloudflare's. `token_damage` describes a visible mistake in the token's text.
    """
    address = () if foreign_host is None else (_address(foreign_host),)
    minutes = await _result(limits)
    if isinstance(minutes, BuildsConnectionError | RateLimitError):  # the other probes would fail too
        return Diagnosis(
            account_id=account_id,
            credential_kind=looks_like,
            findings=(*address, _problem("account", minutes)),
        )
    seen = _Results(
        account_id=account_id,
        looks_like=looks_like,
        damage=token_damage,
        token=None if looks_like == CredentialKind.GLOBAL_KEY else await _result(verify),
        limits=minutes,
        scripts=await _result(scripts),
        queues=await _result(queues),
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
        message=f"The credentials are sent to {host}, which is not a host of Cloudflare",
        advice="Check CLOUDFLARE_BASE_URL, unless you trust this host",
    )


async def _result(probe: Probe[T]) -> T | BuildsError:
    try:
        return await probe()
    except BuildsError as error:
        return error


def _findings(seen: _Results) -> Iterator[Finding]:
    yield _credentials(seen)
    yield _account(seen)
    is_oauth = seen.kind == CredentialKind.OAUTH_TOKEN and _is_forbidden(seen.limits)
    yield _oauth() if is_oauth else _permission("builds", seen.limits)
    yield _permission("scripts", seen.scripts)
    yield _permission("queues", seen.queues)
    yield Finding(
        check="write",
        state="unknown",
        message="Not tested: whether the token may start, cancel and configure builds",
        advice='To allow it, give the token "Workers CI Write" ("Workers Builds Configuration: Edit")',
    )
    if isinstance(seen.limits, AccountLimits):
        yield _minutes(seen.limits)


def _credentials(seen: _Results) -> Finding:
    kind, token = seen.kind, seen.token
    if isinstance(seen.limits, AuthenticationError) and kind == CredentialKind.ACCOUNT_TOKEN:
        return _bad("This token is owned by the account; the Builds API accepts only tokens owned by a user")
    if isinstance(token, TokenStatus) and token.status not in (None, "active"):
        return _bad(f"The token is not active: its status is {token.status}")
    if isinstance(seen.limits, AuthenticationError) and (seen.works or isinstance(token, TokenStatus)):
        return _bad("The Builds API does not accept these credentials, though other APIs do")
    if seen.works or isinstance(token, TokenStatus):
        until = token.expires_on if isinstance(token, TokenStatus) else None
        what = _KINDS.get(kind, "The credentials are accepted")
        return _good("credentials", f"{what}, valid until {_date(until)}" if until else what)
    if _blames_credentials(token) or _blames_credentials(seen.limits):
        return _unusable(seen)
    refusal = seen.limits if token is None else token
    return Finding(
        check="credentials", state="unknown", message=f"The credentials could not be checked: {refusal}"
    )


def _unusable(seen: _Results) -> Finding:
    if seen.damage:
        return Finding(
            check="credentials",
            state="problem",
            message=f"The token can't be used as it was passed: {seen.damage}",
            advice="Correct CLOUDFLARE_API_TOKEN, or wherever the token comes from",
        )
    if seen.kind == CredentialKind.GLOBAL_KEY:
        what = "The key and the email address"
        check = "Check CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL, or use a token. "
    else:
        what, check = "The token", "Check CLOUDFLARE_API_TOKEN. "
    return _bad(f"{what} can't be used: wrong, expired or revoked", check)


def _account(seen: _Results) -> Finding:
    if seen.works:
        return _good("account", "The account can be reached")
    refusals = [it for it in (seen.limits, seen.scripts, seen.queues) if isinstance(it, BuildsError)]
    if all(map(_blames_credentials, refusals)):
        return Finding(check="account", state="unknown", message="Can't be checked without valid credentials")
    advice = "Check CLOUDFLARE_ACCOUNT_ID (32 hex digits), and that the token includes this account"
    if any(isinstance(it, PermissionDeniedError) and it.errors for it in refusals):
        message = f"The token has no access to the account {seen.account_id}"
        return Finding(check="account", state="problem", message=message, advice=advice)
    if any(isinstance(it, APIError) and _NO_ROUTE.intersection(it.codes) for it in refusals):
        message = f"There is no account {seen.account_id}"
        return Finding(check="account", state="problem", message=message, advice=advice)
    return _problem("account", seen.limits)


def _blames_credentials(result: object) -> bool:
    """Whether a result is an error that blames the credentials themselves."""
    return isinstance(result, AuthenticationError) or (
        isinstance(result, BadRequestError) and not _MALFORMED_TOKEN.isdisjoint(result.codes)
    )


def _is_forbidden(result: object) -> bool:
    """Whether a permission is missing. A 403 without `errors` comes from a firewall instead."""
    return isinstance(result, PermissionDeniedError) and bool(result.errors)


def _oauth() -> Finding:
    return Finding(
        check="builds",
        state="problem",
        message="Builds can't be read: an OAuth token, as `wrangler login` makes it, lacks the scope",
        advice=_CREATE,
        status=403,
    )


def _good(check: str, message: str) -> Finding:
    return Finding(check=check, state="ok", message=message)


def _bad(message: str, before: str = "") -> Finding:
    return Finding(check="credentials", state="problem", message=message, advice=f"{before}{_CREATE}")


def _permission(check: str, result: object) -> Finding:
    what, permission, needed = _PERMISSIONS[check]
    if not isinstance(result, BuildsError):
        return _good(check, f"{what} can be read")
    if isinstance(result, AuthenticationError):
        return Finding(check=check, state="unknown", message=f"{what}: the credentials are not accepted")
    if isinstance(result, PermissionDeniedError) and _is_forbidden(result):
        return Finding(
            check=check,
            state="problem",
            message=f"{what} can't be read: the token lacks the permission",
            advice=f"Give it {permission}; {needed}",
            status=result.status,
        )
    return _problem(check, result)


def _problem(check: str, error: BuildsError | AccountLimits) -> Finding:
    advice = next(advice for kind, advice in _ADVICE if isinstance(error, kind))
    status = error.status if isinstance(error, APIError | ResponseDecodeError) else None
    return Finding(check=check, state="problem", message=str(error), advice=advice, status=status)


_ADVICE: tuple[tuple[type[BuildsError], str], ...] = (
    (BuildsConnectionError, "Check the network, DNS, proxy and CLOUDFLARE_BASE_URL"),
    (
        RateLimitError,
        "Wait up to five minutes: all tools of this user share the limit, including the dashboard",
    ),
    (InternalServerError, "Try again later"),
    (PermissionDeniedError, "Look for a firewall or proxy that blocks the request"),
    (ResponseDecodeError, "Check CLOUDFLARE_BASE_URL: the response is not from the API"),
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
    except OverflowError:  # a date at the edge of the calendar has no UTC time
        return moment.isoformat(" ", "minutes")
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"
