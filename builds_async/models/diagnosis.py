"""The findings of `client.diagnose()`."""

from typing import TYPE_CHECKING, Literal

from builds_async.models.account import AccountLimits
from builds_async.models.base import Model, OpenStrEnum


class CredentialKind(OpenStrEnum):
    """The kind of the client's credentials, by their prefix and by what the API says of them."""

    USER_TOKEN = "user_token"  # noqa: S105
    """An API token that a user owns: the only kind of token that the Builds API accepts."""
    ACCOUNT_TOKEN = "account_token"  # noqa: S105
    """An API token that the account owns. The Builds API refuses it with 401."""
    OAUTH_TOKEN = "oauth_token"  # noqa: S105
    """An OAuth access token. It needs the scope `workers_builds:read`, which `wrangler login` lacks."""
    GLOBAL_KEY = "global_key"
    """The global API key of a user, sent with the user's e-mail address."""
    UNKNOWN = "unknown"
    """Not recognized: an older token without a prefix, for example."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class Finding(Model, frozen=True, kw_only=True):
    """One check of a diagnosis: its result, and what to do about it."""

    check: str
    """What was checked: `credentials`, `account`, `builds`, `scripts`, `queues`, `write`, `build_minutes`.

    Or `address`, which comes first, and only when the credentials go to a host that is not Cloudflare's.
    """
    state: Literal["ok", "problem", "unknown"]
    """The result; `unknown` when the check was not possible."""
    message: str
    """The result in words."""
    advice: str = ""
    """What to do about it; empty where there is nothing to do."""
    status: int | None = None
    """The HTTP status of the refusal, where that is the problem."""


class Diagnosis(Model, frozen=True, kw_only=True):
    """The result of `client.diagnose()`."""

    account_id: str
    """The account that the client works for."""
    credential_kind: CredentialKind
    """The kind of the client's credentials."""
    findings: tuple[Finding, ...]
    """What was checked, in the order in which to read it."""
    limits: AccountLimits | None = None
    """The account's build minutes; None if they could not be read."""

    @property
    def ok(self) -> bool:
        """True when builds can be read and nothing that every call needs is a problem.

        The permissions for names (`scripts`) and for queues do not count: only some calls need them.
        """
        states = {it.check: it.state for it in self.findings if it.check not in {"scripts", "queues"}}
        return states.get("builds") == "ok" and "problem" not in states.values()
