"""Deploy hooks: URLs that start a build."""

from typing import ClassVar

from builds_async.models.base import Id, Model, Moment, RedactedRepr
from builds_async.models.builds import BuildStatus


class DeployHookLatestBuild(Model, frozen=True, kw_only=True):
    """The latest build that a deploy hook started."""

    created_on: Moment | None = None
    """When the build was created."""


class DeployHook(RedactedRepr, Model, frozen=True, kw_only=True):
    """A deploy hook of a Worker. Its UUID is a secret, which the repr redacts."""

    _shown: ClassVar[tuple[str, ...]] = ("deploy_hook_uuid", "deploy_hook_name", "branch")

    _secret: ClassVar[str] = "deploy_hook_uuid"  # noqa: S105  # the name of the field

    deploy_hook_uuid: Id
    """The id of the hook. A secret: with it anyone can start builds, without a token."""
    deploy_hook_name: str | None = None
    """The display name, 1 to 58 characters."""
    branch: str | None = None
    """The Git branch that the hook builds."""
    external_script_id: str | None = None
    """The tag of the Worker that the hook builds."""
    created_on: Moment | None = None
    """When the hook was created."""
    modified_on: Moment | None = None
    """When the hook was last changed."""
    latest_build: DeployHookLatestBuild | None = None
    """The latest build that the hook started; only in a list, and None if there was none."""


class DeployHookBuild(Model, frozen=True, kw_only=True):
    """The result of triggering a deploy hook. Sources disagree on its fields; `build_uuid` is certain."""

    build_uuid: Id
    """The id of the started build, or of the build that was pending already."""
    status: BuildStatus | None = None
    """The status of the build."""
    created_on: Moment | None = None
    """When the build was created."""
    already_exists: bool | None = None
    """True if a build of the branch was queued or initializing already, so no new one was started."""
    branch: str | None = None
    """The Git branch that is built; in Cloudflare's documentation, not in the schema."""
    worker: str | None = None
    """The Worker that is built; in Cloudflare's documentation, not in the schema."""
