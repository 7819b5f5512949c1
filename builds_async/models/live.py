"""The result of `client.live()`: the versions that serve traffic now, and the builds that made them."""

from enum import StrEnum

import msgspec

from builds_async.models.builds import Build
from builds_async.models.deployments import Deployment


class NoBuildReason(StrEnum):
    """Why no build is known for a version that serves traffic."""

    BY_HAND = "by_hand"
    """No build made it: it was uploaded by wrangler, another CI system, the dashboard or the API."""
    ROLLBACK = "rollback"
    """A rollback deployed it again, and no build made it. If a build made it, `build` has that build."""
    SECRET = "secret"  # noqa: S105  # a word of the API
    """It was made by the change of a secret, from the code of an earlier version. Which one is unknown."""
    EXPIRED = "expired"
    """It is older than 90 days, and builds are kept only for that time. A build may have made it."""
    REFUSED = "refused"
    """The token may read deployments but no builds: it is account-owned, or lacks "Workers CI Read"."""


class NotDeployedReason(StrEnum):
    """Why no version of a build serves traffic."""

    SUPERSEDED = "superseded"
    """Its version was deployed, or may have been, and a newer deployment has replaced it."""
    ROLLED_BACK = "rolled_back"
    """Its version was deployed, and a rollback has replaced it."""
    SPLIT = "split"
    """Two other versions share the traffic now, or its version has 0 percent of the current deployment."""
    UPLOADED_ONLY = "uploaded_only"
    """The build uploaded a version without deploying it, as `wrangler versions upload` does."""
    NOTHING_UPLOADED = "nothing_uploaded"
    """The build succeeded but uploaded nothing: its deploy command may have matched no package."""
    UNSUCCESSFUL = "unsuccessful"
    """The build failed, or was canceled, terminated or skipped."""


class LiveVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that serves traffic now."""

    version_id: str
    """The id of the version."""

    percentage: float | None
    """Its share of the traffic, 0.01 to 100."""

    build: Build | None
    """The build that made it; None exactly when `reason` says why."""

    reason: NoBuildReason | None
    """Why there is no `build`; None exactly when there is one."""


class LiveWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A Worker, and the versions that serve its traffic now."""

    script_name: str
    """The name of the Worker, as the caller wrote it."""

    deployment: Deployment
    """The current deployment. It serves since its `created_on`."""

    versions: tuple[LiveVersion, ...]
    """The versions that serve: one, or two in a gradual deployment, with the larger share first."""
