"""The findings of `client.diagnose()`."""

from typing import TYPE_CHECKING, Literal

from builds_async.models.account import AccountLimits
from builds_async.models.base import Model, OpenStrEnum


class CredentialKind(OpenStrEnum):
    """The kind of the client's credentials, from their prefix and the API's responses."""

    USER_TOKEN = "user_token"  # noqa: S105
    """An API token that a user owns: the only kind of token that the Builds API accepts."""
    ACCOUNT_TOKEN = "account_token"  # noqa: S105
    """An API token that the account owns. The Builds API refuses it with 401."""
    OAUTH_TOKEN = "oauth_token"  # noqa: S105
    """An OAuth access token. It needs the scope `workers_builds:read`, which `wrangler login` lacks."""
    GLOBAL_KEY = "global_key"
    """The global API key of a user, sent with the user's email address."""
    UNKNOWN = "unknown"
    """Unrecognized: an older token without a prefix, for example."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class Finding(Model, frozen=True, kw_only=True):
    """The result of one check, and how to fix its problem."""

    check: str
    """The subject: `credentials`, `account`, `builds`, `scripts`, `queues`, `write` or `build_minutes`.

    If the credentials go to a host that is not Cloudflare's, the first finding is `address`. The command
    `doctor --shared` adds `engine`, `persistence`, `clock` and `members`.
    """
    state: Literal["ok", "problem", "unknown"]
    """The result; `unknown` when the check was not possible."""
    message: str
    """The result in words."""
    advice: str = ""
    """How to fix the problem; empty if there is none."""
    status: int | None = None
    """The HTTP status of the response that caused the problem; None for other problems."""


class Diagnosis(Model, frozen=True, kw_only=True):
    """The result of `client.diagnose()`."""

    account_id: str
    """The id of the client's account."""
    credential_kind: CredentialKind
    """The kind of the client's credentials."""
    findings: tuple[Finding, ...]
    """The findings, in reading order."""
    limits: AccountLimits | None = None
    """The account's build minutes; None if they could not be read."""

    @property
    def ok(self) -> bool:
        """True when builds can be read, and no other check has a problem.

        The checks `scripts` (Worker names) and `queues` do not count, because only some calls need them.
        """
        states = {it.check: it.state for it in self.findings if it.check not in {"scripts", "queues"}}
        return states.get("builds") == "ok" and "problem" not in states.values()
