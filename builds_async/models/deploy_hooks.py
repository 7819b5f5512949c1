"""Deploy hooks: URLs that start a build."""

from typing import ClassVar

from builds_async.models.base import Discreet, Id, Model, Moment
from builds_async.models.builds import BuildStatus


class DeployHookLatestBuild(Model, frozen=True, kw_only=True):
    """The last build that a deploy hook started."""

    created_on: Moment | None = None


class DeployHook(Discreet, Model, frozen=True, kw_only=True):
    """A deploy hook of a Worker.

    Whoever knows `deploy_hook_uuid` can start builds: it is a secret, and `repr` does not tell it.
    `latest_build` comes only with a list.
    """

    _secret: ClassVar[str] = "deploy_hook_uuid"  # noqa: S105  # the name of the field

    deploy_hook_uuid: Id
    deploy_hook_name: str | None = None
    branch: str | None = None
    external_script_id: str | None = None
    created_on: Moment | None = None
    modified_on: Moment | None = None
    latest_build: DeployHookLatestBuild | None = None


class DeployHookBuild(Model, frozen=True, kw_only=True):
    """What triggering a deploy hook answers.

    `already_exists` is True when a build of that branch was pending, and no other one was started:
    `build_uuid` is that one.
    """

    build_uuid: Id
    status: BuildStatus | None = None
    created_on: Moment | None = None
    already_exists: bool | None = None
    branch: str | None = None
    worker: str | None = None
