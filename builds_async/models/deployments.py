"""The versions of a Worker, and the deployments that send traffic to them."""

from typing import ClassVar

import msgspec
from msgspec.structs import force_setattr

from builds_async.models.base import Id, Model, Moment

_TRIGGERED_BY = "workers/triggered_by"
_MESSAGE = "workers/message"

Annotations = dict[str, str | None]
"""Notes by wrangler, Workers Builds or the API, by names such as `workers/message`. All are optional."""


class DeployedVersion(Model, frozen=True, kw_only=True):
    """A version in a deployment, and its share of the traffic."""

    version_id: Id
    """The id of the version."""
    percentage: float | None = None
    """Its share of the traffic, 0.01 to 100."""


class Deployment(Model, frozen=True, kw_only=True):
    """A deployment of a Worker: one version with all the traffic, or two with a share each.

    It does not show whether a build or a person deployed: the `source` of both is `wrangler`. To find the
    build, use `client.live`, or `client.builds.by_version` with the ids of the versions.
    """

    id: Id
    """The id of the deployment."""
    created_on: Moment | None = None
    """When it was created. From then on its versions serve this traffic."""
    source: str | None = None
    """The tool that created it, such as `wrangler`, `dash` or `api`; values are undocumented."""
    strategy: str | None = None
    """How traffic is split. `percentage` is the only known value."""
    author_email: str | None = None
    """The email address of the user who created it, or who owns the token that did."""
    annotations: Annotations | None = None
    """Notes by their names: see `triggered_by` and `message`."""
    versions: tuple[DeployedVersion, ...] | None = None
    """The versions that serve traffic, one or two, in no defined order."""

    @property
    def triggered_by(self) -> str | None:
        """What caused it: `deployment`, `version_upload`, `rollback`, `secret` or another word."""
        return (self.annotations or {}).get(_TRIGGERED_BY)

    @property
    def message(self) -> str | None:
        """The message of the deployment, for instance the reason for a rollback."""
        return (self.annotations or {}).get(_MESSAGE)


class DeploymentList(Model, frozen=True, kw_only=True):
    """The response to a list of deployments."""

    # Without a default: a missing or unreadable list must not pass for an empty one, which would mean that
    # the Worker was never deployed.
    deployments: tuple[Deployment, ...]
    """The 10 newest deployments, newest first."""


class VersionMetadata(Model, frozen=True, kw_only=True):
    """When and by whom a version was uploaded."""

    _shown: ClassVar[tuple[str, ...]] = ("created_on", "source", "author_email", "has_preview")

    created_on: Moment | None = None
    """When the version was uploaded."""
    modified_on: Moment | None = None
    """When its record last changed."""
    source: str | None = None
    """The tool that uploaded it, such as `wrangler`, `dash` or `api`; values are undocumented."""
    author_id: str | None = None
    """The id of the user who uploaded it, or who owns the token that did."""
    author_email: str | None = None
    """The email address of that user."""
    has_preview: bool | None = None
    """Whether it can have a preview URL of its own. It is set under both of the API's names for it."""
    camel_has_preview: bool | None = msgspec.field(default=None, name="hasPreview")
    """The value under the API's other name, `hasPreview`; use `has_preview`."""

    def __post_init__(self) -> None:
        # Both spellings were seen live. Users should need to know only one.
        if self.has_preview is None:
            force_setattr(self, "has_preview", self.camel_has_preview)


class Version(Model, frozen=True, kw_only=True):
    """A version of a Worker: its code and settings, as they were uploaded. It may never serve traffic."""

    id: Id
    """The id of the version, a UUID. Builds and deployments call it `version_id`."""
    number: int | None = None
    """Its number among the versions of the Worker, from 1."""
    metadata: VersionMetadata | None = None
    """When and by whom it was uploaded."""
    annotations: Annotations | None = None
    """Notes by their names: see `triggered_by` and `message`."""
    startup_time_ms: int | None = None
    """How long the script takes to start, in milliseconds; only from `client.versions.get`."""
    resources: dict[str, object] | None = None
    """The script, its bindings and its runtime, as the API returns them; only from `client.versions.get`."""

    @property
    def triggered_by(self) -> str | None:
        """What caused it: `version_upload`, `upload`, `secret` or another word."""
        return (self.annotations or {}).get(_TRIGGERED_BY)

    @property
    def message(self) -> str | None:
        """The message of the upload."""
        return (self.annotations or {}).get(_MESSAGE)


class VersionList(Model, frozen=True, kw_only=True):
    """The response to a list of versions."""

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
    """The name before `.workers.dev`."""
