"""Reads the client's account, credentials and base URL from the arguments, and then from the environment."""

import os
import re
from collections.abc import Mapping

import msgspec

from builds_async.errors import ConfigurationError
from builds_async.models.diagnosis import CredentialKind
from builds_async.session.hosts import is_host, is_loopback
from builds_async.session.redact import KEY_PREFIX, TOKEN_KINDS, Secret

DEFAULT_BASE_URL = "https://api.cloudflare.com/client/v4"


class PastedCredentialError(ConfigurationError, ValueError):
    """The client's own credential was passed in place of an id. It is a ValueError, as for any invalid id."""


class Settings(msgspec.Struct, frozen=True):
    """The account and the base URL of every request, and the headers that authenticate it."""

    account_id: str
    base_url: str
    credentials: dict[str, str]
    secrets: tuple[Secret, ...]

    @property
    def foreign_host(self) -> str | None:
        """The host that gets the credentials, with its port, if it is not Cloudflare's."""
        place = self.base_url.partition("://")[2].partition("/")[0].lower()
        return None if place.removesuffix(":443") == "api.cloudflare.com" else place

    @property
    def credential_kind(self) -> CredentialKind:
        """The kind of the credentials, by their prefix. Older tokens have no prefix."""
        if "Authorization" not in self.credentials:
            return CredentialKind.GLOBAL_KEY
        prefix = self.secrets[0].partition("_")[0]
        return TOKEN_KINDS.get(
            prefix, CredentialKind.GLOBAL_KEY if prefix == KEY_PREFIX else CredentialKind.UNKNOWN
        )

    @property
    def token_damage(self) -> str | None:
        """A visible mistake in the text of the token; None if there is none, and for a key."""
        if "Authorization" not in self.credentials:
            return None
        token = self.secrets[0]
        return "it is the account ID, not a token" if token.lower() == self.account_id else _damage(token)


def resolve(
    *,
    account_id: str | None,
    api_token: str | None,
    api_key: str | None,
    api_email: str | None,
    base_url: str | None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings; `environ` replaces arguments that are None.

    ConfigurationError if something is missing or can't be used.
    """
    credentials, secrets = _credentials(api_token, api_key, api_email, environ)
    return Settings(_account(account_id, environ), _base_url(base_url, environ), credentials, secrets)


def _account(account_id: str | None, environ: Mapping[str, str]) -> str:
    """The id in the API's spelling. Dashes and spaces, which a pasted id may have, are dropped."""
    value = Secret(environ.get("CLOUDFLARE_ACCOUNT_ID", "") if account_id is None else account_id)
    given = Secret("".join(value.replace("-", "").split()).lower())
    if not given:
        raise ConfigurationError("no account: pass account_id or set CLOUDFLARE_ACCOUNT_ID")
    if _ACCOUNT(given) is None:
        raise ConfigurationError(
            f"account_id (CLOUDFLARE_ACCOUNT_ID) must be 32 hex digits; this one has {len(given)} characters"
            " (it is not shown, it may be a token): copy the account ID from the dashboard"
        )
    return str(given)


_ACCOUNT = re.compile(r"[0-9a-f]{32}").fullmatch


def _credentials(
    token: str | None, key: str | None, email: str | None, environ: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Secret, ...]]:
    """The headers that authenticate. An argument wins over the environment, and a token over a key.

    An empty argument is a ConfigurationError, and the environment does not replace it. Otherwise a CI secret
    that is not set would make the client use a key with far wider permissions. An empty variable counts as
    not set.

    A token that is passed is used alone. A key or an email address that is passed takes the other one from
    the environment, but never a token.
    """
    for name, passed in (("api_token", token), ("api_key", key), ("api_email", email)):
        if passed is not None and not passed.strip():
            raise ConfigurationError(
                f"{name} is empty: pass a value, or None to read it from the environment"
            )
    if token is None and key is None and email is None:
        token = environ.get("CLOUDFLARE_API_TOKEN")
    if token and token.strip():
        value = _header_value(token, "api_token (CLOUDFLARE_API_TOKEN)")
        return {"Authorization": Secret(f"Bearer {value}")}, (value,)
    key = key or environ.get("CLOUDFLARE_API_KEY", "").strip()
    email = email or environ.get("CLOUDFLARE_EMAIL", "").strip()
    if not key and not email:
        raise ConfigurationError(
            "no credentials: pass api_token or set CLOUDFLARE_API_TOKEN"
            " (or CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL)"
        )
    if not key or not email:
        missing = "api_email or set CLOUDFLARE_EMAIL" if key else "api_key or set CLOUDFLARE_API_KEY"
        raise ConfigurationError(f"a global key goes with an email address: pass {missing}")
    secret = _header_value(key, "api_key (CLOUDFLARE_API_KEY)")
    return {"X-Auth-Email": _header_value(email, "api_email (CLOUDFLARE_EMAIL)"), "X-Auth-Key": secret}, (
        secret,
    )


def _header_value(value: str, name: str) -> Secret:
    value = value.strip()  # files and pasted secrets often end with a newline
    if not value.isascii() or not value.isprintable() or " " in value:
        damage = _damage(value)
        why = f": {damage}" if damage else ""
        raise ConfigurationError(f"{name} has characters that it can't contain{why}")
    return Secret(value)


_ASSIGNMENT = r"(?i)(?:export\s+)?[a-z_]*(?:token|key)[a-z_]*\s*="
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"


def _damage(value: str) -> str | None:
    """The visible mistake in a copied token; None if there is none. It shows no text of the token."""
    if value.startswith("\ufeff"):
        return "it begins with a byte order mark: save the file without one"
    if re.match(_ASSIGNMENT, value):  # before the check for quotes, which its value may have
        return "it is a whole assignment, NAME=value: pass the value alone"
    if value[:1] in _QUOTES or value[-1:] in _QUOTES:
        return "there are quotes around it: pass it without them"
    if value[:6].lower() == "bearer":
        return "it begins with `Bearer`, which the client adds by itself"
    if value.startswith(f"{KEY_PREFIX}_"):
        return "it is a global key, which is no token: pass it as api_key, with api_email"
    return None


_URL = r"(?ai)(https?)://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?(?:/[!-~]*)?"
_DOT_SEGMENTS = {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}


def _base_url(base_url: str | None, environ: Mapping[str, str]) -> str:
    url = (base_url or environ.get("CLOUDFLARE_BASE_URL") or DEFAULT_BASE_URL).strip().rstrip("/")
    parts = re.fullmatch(_URL, url)
    is_odd = not set("?#@\\").isdisjoint(url) or not _DOT_SEGMENTS.isdisjoint(url.lower().split("/")[3:])
    if is_odd or parts is None or not 0 < int(parts[3] or 443) <= 65535 or not is_host(parts[2]):
        # The URL itself is not shown: it may contain a password.
        surplus = not set(url).isdisjoint("@?#") and "://" in url
        wanted = (
            "must have no user, query or fragment"
            if surplus
            else f"must be an https URL such as {DEFAULT_BASE_URL}"
        )
        raise ConfigurationError(f"base_url (CLOUDFLARE_BASE_URL) {wanted}")
    host = parts[2].strip("[]").lower()
    if parts[1].lower() == "http" and not is_loopback(host):
        raise ConfigurationError(
            f"base_url (CLOUDFLARE_BASE_URL) must be https, not plain http to {host}:"
            " others could read the token on the way"
        )
    return url
