"""Deploy hooks: URLs that start a build."""

from typing import ClassVar

from builds_async.models.base import Id, Model, Moment, RedactedRepr
from builds_async.models.builds import BuildStatus


class DeployHookLatestBuild(Model, frozen=True, kw_only=True):
    """The last build that a deploy hook started."""

    created_on: Moment | None = None
    """When that build was created."""


class DeployHook(RedactedRepr, Model, frozen=True, kw_only=True):
    """A deploy hook of a Worker. Its UUID is a secret, which the repr redacts."""

    _shown: ClassVar[tuple[str, ...]] = ("deploy_hook_uuid", "deploy_hook_name", "branch")

    _secret: ClassVar[str] = "deploy_hook_uuid"  # noqa: S105  # the name of the field

    deploy_hook_uuid: Id
    """The id of the hook. A secret: anyone who has it can start builds, without a token."""
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
    """The last build that the hook started; only in a list, and None if there was none."""


class DeployHookBuild(Model, frozen=True, kw_only=True):
    """The response to triggering a deploy hook. Documents disagree on it: only `build_uuid` is certain."""

    build_uuid: Id
    """The id of the build that was started, or of the one that was pending already."""
    status: BuildStatus | None = None
    """The status of that build."""
    created_on: Moment | None = None
    """When that build was created."""
    already_exists: bool | None = None
    """True when a build of the branch was queued or initializing: then no other one was started."""
    branch: str | None = None
    """The Git branch that is built; in Cloudflare's prose, not in the schema."""
    worker: str | None = None
    """The Worker that is built; in Cloudflare's prose, not in the schema."""
