"""What a Worker serves: its versions, and the deployments that send traffic to them."""

from typing import ClassVar

import msgspec
from msgspec.structs import force_setattr

from builds_async.models.base import Id, Model, Moment

_TRIGGERED_BY = "workers/triggered_by"
_MESSAGE = "workers/message"

Annotations = dict[str, str | None]
"""What wrangler, Workers Builds or the API noted, under names such as `workers/message`. All are optional."""


class DeployedVersion(Model, frozen=True, kw_only=True):
    """A version in a deployment, and its share of the traffic."""

    version_id: Id
    """The id of the version."""
    percentage: float | None = None
    """Its share of the traffic, 0.01 to 100."""


class Deployment(Model, frozen=True, kw_only=True):
    """A deployment of a Worker: one version with all the traffic, or two with a share each.

    Nothing in it tells a build from a deployment by hand: both say `wrangler`. Only
    `client.builds.by_version`, and `client.live` with it, find the build.
    """

    id: Id
    """The id of the deployment."""
    created_on: Moment | None = None
    """When it was made: since when its versions have this traffic."""
    source: str | None = None
    """What made it, such as `wrangler`, `dash` or `api`; the words are not documented."""
    strategy: str | None = None
    """How traffic is split: `percentage` is the only known word."""
    author_email: str | None = None
    """The email address of the user who made it, or of the owner of the token that made it."""
    annotations: Annotations | None = None
    """Notes by their names: see `triggered_by` and `message`."""
    versions: tuple[DeployedVersion, ...] | None = None
    """The versions that serve, one or two, in no defined order."""

    @property
    def triggered_by(self) -> str | None:
        """What it came from: `deployment`, `version_upload`, `rollback`, `secret`, or another word."""
        return (self.annotations or {}).get(_TRIGGERED_BY)

    @property
    def message(self) -> str | None:
        """The message that was given with it, for instance why it was rolled back."""
        return (self.annotations or {}).get(_MESSAGE)


class DeploymentList(Model, frozen=True, kw_only=True):
    """The result of the list of deployments."""

    # Without a default: a list that is absent or unreadable must not pass for an empty one, as if the Worker
    # was never deployed.
    deployments: tuple[Deployment, ...]
    """The 10 newest, newest first."""


class VersionMetadata(Model, frozen=True, kw_only=True):
    """When and by whom a version was made."""

    _shown: ClassVar[tuple[str, ...]] = ("created_on", "source", "author_email", "has_preview")

    created_on: Moment | None = None
    """When the version was uploaded."""
    modified_on: Moment | None = None
    """When its record last changed."""
    source: str | None = None
    """What made it, such as `wrangler`, `dash` or `api`; the words are not documented."""
    author_id: str | None = None
    """The id of the user who made it, or whose token did."""
    author_email: str | None = None
    """The email address of that user."""
    has_preview: bool | None = None
    """Whether it can have a preview URL of its own, whichever of the two names the API used."""
    camel_has_preview: bool | None = msgspec.field(default=None, name="hasPreview")
    """The same under the API's other name, `hasPreview`."""

    def __post_init__(self) -> None:
        # Both spellings were seen live; a reader should need to know only one.
        if self.has_preview is None:
            force_setattr(self, "has_preview", self.camel_has_preview)


class Version(Model, frozen=True, kw_only=True):
    """A version of a Worker: its code and settings as they were uploaded once. It need not serve traffic."""

    id: Id
    """The id of the version, a UUID: what builds and deployments call `version_id`."""
    number: int | None = None
    """Its number among the versions of the Worker, from 1."""
    metadata: VersionMetadata | None = None
    """When and by whom it was made."""
    annotations: Annotations | None = None
    """Notes by their names: see `triggered_by` and `message`."""
    startup_time_ms: int | None = None
    """How long the script takes to start, in milliseconds; only from `client.versions.get`."""
    resources: dict[str, object] | None = None
    """The script, its bindings and its runtime, as the API gives them; only from `client.versions.get`."""

    @property
    def triggered_by(self) -> str | None:
        """What made the version: `version_upload`, `upload`, `secret`, or another word."""
        return (self.annotations or {}).get(_TRIGGERED_BY)

    @property
    def message(self) -> str | None:
        """The message that was given with it."""
        return (self.annotations or {}).get(_MESSAGE)


class VersionList(Model, frozen=True, kw_only=True):
    """The result of the list of versions."""

    items: tuple[Version, ...]
    """The versions of the page, newest first."""


class WorkerSubdomain(Model, frozen=True, kw_only=True):
    """Whether a Worker can be reached below the account's workers.dev subdomain."""

    enabled: bool | None = None
    """Whether the Worker itself is served at `{script_name}.{subdomain}.workers.dev`."""
    previews_enabled: bool | None = None
    """Whether its versions have preview URLs."""


class AccountSubdomain(Model, frozen=True, kw_only=True):
    """The account's subdomain of workers.dev."""

    subdomain: str | None = None
    """The name in front of `.workers.dev`."""
