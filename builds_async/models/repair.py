"""The plan that mends a dead build token."""

from typing import TYPE_CHECKING, ClassVar

from builds_async.models.base import Model, OpenStrEnum, RedactedRepr
from builds_async.models.tokens import BuildToken


class NewBuildToken(RedactedRepr, frozen=True, kw_only=True):
    """An API token that is to be registered for builds. Its repr hides the token."""

    _secret: ClassVar[str] = "build_token_secret"  # noqa: S105  # the name of the field

    build_token_secret: str
    """The API token itself. A user must own it, and builds get its permissions."""
    cloudflare_token_id: str
    """Its id: `(await client.tokens.verify()).id` of a client that uses it."""
    build_token_name: str = "Workers Builds"  # noqa: S105  # a name
    """The display name of the new build token."""


class RepairAction(OpenStrEnum):
    """What a call of a repair does."""

    REGISTER = "register"
    """Registers an API token as a build token."""
    POINT = "point"
    """Gives a trigger another build token."""
    START = "start"
    """Starts the build again that failed for want of a token."""
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
    """Whether the build token still exists. True: the API token behind it was rolled, deleted or expired."""


class RepairCall(Model, frozen=True, kw_only=True):
    """One call that a repair makes."""

    action: RepairAction
    """What it does."""
    method: str
    """The HTTP method."""
    path: str
    """The path below the base URL."""
    body: dict[str, str]
    """The body, with `***` in place of a secret."""
    external_script_id: str | None = None
    """The tag of the Worker that it concerns; None for a build token."""


class TokenRepairPlan(Model, frozen=True, kw_only=True):
    """What is broken, and the calls that mend it. It holds no secret."""

    broken: tuple[BrokenTrigger, ...] = ()
    """The triggers that have a dead build token."""
    replacement: BuildToken | None = None
    """The build token that they get; None if one is to be registered, or if none was found."""
    is_proven: bool = False
    """Whether a build is known that succeeded with the replacement."""
    calls: tuple[RepairCall, ...] = ()
    """The calls, in order; empty if nothing is broken, or if `problem` says why nothing can be done."""
    problem: str = ""
    """Why the triggers can't be mended, and what to do; empty if they can."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to mend."""
        return bool(self.calls or self.broken)
