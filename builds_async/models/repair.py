"""The plan to replace a dead build token."""

from typing import TYPE_CHECKING, ClassVar

from builds_async.models.base import Model, OpenStrEnum, RedactedRepr
from builds_async.models.tokens import BuildToken


class NewBuildToken(RedactedRepr, frozen=True, kw_only=True):
    """An API token to register for builds. Its repr hides the token."""

    _secret: ClassVar[str] = "build_token_secret"  # noqa: S105  # the name of the field

    build_token_secret: str
    """The API token itself. It must be owned by a user, and builds get its permissions."""
    cloudflare_token_id: str
    """The id of the API token: `(await client.tokens.verify()).id`, with a client that has this token."""
    build_token_name: str = "Workers Builds"  # noqa: S105  # a name
    """The display name of the new build token."""


class RepairAction(OpenStrEnum):
    """The purpose of one call of a repair."""

    REGISTER = "register"
    """Registers an API token as a build token."""
    POINT = "point"
    """Points a trigger to another build token."""
    START = "start"
    """Starts again the build that failed because of the dead token."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class BrokenTrigger(Model, frozen=True, kw_only=True):
    """A trigger whose builds fail because of its build token."""

    external_script_id: str
    """The tag of the Worker."""
    trigger_uuid: str
    """The id of the trigger."""
    trigger_name: str | None = None
    """The display name of the trigger."""
    build_token_uuid: str
    """The id of the build token that does not work."""
    build_token_name: str | None = None
    """The display name of that build token."""
    is_registered: bool
    """Whether the build token still exists. If so, the API token behind it was rolled, deleted or expired."""


class RepairCall(Model, frozen=True, kw_only=True):
    """One call that a repair makes."""

    action: RepairAction
    """The purpose of the call."""
    method: str
    """The HTTP method."""
    path: str
    """The path below the base URL."""
    body: dict[str, str]
    """The body, with `***` in place of a secret."""
    external_script_id: str | None = None
    """The tag of the Worker that it changes; None for the registration of a build token."""


class TokenRepairPlan(Model, frozen=True, kw_only=True):
    """The triggers with a dead build token, and the calls that repair them. It contains no secret."""

    broken: tuple[BrokenTrigger, ...] = ()
    """The triggers with a dead build token."""
    replacement: BuildToken | None = None
    """The build token that they get; None if a new one will be registered, or if none was found."""
    is_proven: bool = False
    """Whether a build is known to have succeeded with the replacement."""
    calls: tuple[RepairCall, ...] = ()
    """The calls, in order; empty if nothing is broken, or if nothing can be done: see `problem`."""
    problem: str = ""
    """Why the triggers can't be repaired, and the remedy; empty if they can."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to repair."""
        return bool(self.calls or self.broken)
