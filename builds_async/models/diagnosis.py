"""What a look at a token and an account has found."""

from typing import Literal

from builds_async.models.account import AccountLimits
from builds_async.models.base import Model, OpenStrEnum


class CredentialKind(OpenStrEnum):
    """What the client's credentials are, as far as can be told."""

    USER_TOKEN = "user_token"  # noqa: S105
    ACCOUNT_TOKEN = "account_token"  # noqa: S105
    OAUTH_TOKEN = "oauth_token"  # noqa: S105
    GLOBAL_KEY = "global_key"
    UNKNOWN = "unknown"


class Finding(Model, frozen=True, kw_only=True):
    """One thing that was looked at: how it is, and what to do about it.

    `check` is one of `credentials`, `account`, `builds`, `scripts`, `queues`, `write` and `build_minutes`,
    or `address`, which comes first and only if the credentials are sent to another host than Cloudflare's.
    `state` is `ok`, `problem`, or `unknown` for what could not be told. `advice` is empty where nothing has
    to be done. `status` is the HTTP status that a call was refused with, where that is the problem.
    """

    check: str
    state: Literal["ok", "problem", "unknown"]
    message: str
    advice: str = ""
    status: int | None = None


class Diagnosis(Model, frozen=True, kw_only=True):
    """What `client.diagnose()` has found, in the order in which to read it."""

    account_id: str
    credential_kind: CredentialKind
    findings: tuple[Finding, ...]
    limits: AccountLimits | None = None

    @property
    def ok(self) -> bool:
        """True when builds can be read, and nothing that every call needs is a problem.

        The permissions for names (`scripts`) and queues are needed by some calls only and don't count.
        """
        states = {it.check: it.state for it in self.findings if it.check not in {"scripts", "queues"}}
        return states.get("builds") == "ok" and "problem" not in states.values()
