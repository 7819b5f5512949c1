"""What serves traffic now, and which build made it: the result of `client.live()`."""

from enum import StrEnum

import msgspec

from builds_async.models.builds import Build
from builds_async.models.deployments import Deployment


class NoBuildReason(StrEnum):
    """Why no build is known for a version that serves traffic."""

    BY_HAND = "by_hand"
    """No build made it: it came from wrangler on a laptop, another CI system, the dashboard or the API."""
    ROLLBACK = "rollback"
    """A rollback brought it back, and no build made it. A rollback to a build's version has that build."""
    SECRET = "secret"  # noqa: S105  # a word of the API
    """A changed secret made it, out of the code of the version before. Which one is not recorded."""
    EXPIRED = "expired"
    """It is older than 90 days, for which builds are kept. A build may have made it."""
    REFUSED = "refused"
    """The token may read deployments but no builds: it is account-owned, or lacks "Workers CI Read"."""


class NotDeployedReason(StrEnum):
    """Why no version of a build serves traffic."""

    SUPERSEDED = "superseded"
    """It was deployed, or may have been, and a newer deployment has replaced it."""
    ROLLED_BACK = "rolled_back"
    """It was deployed, and a rollback has replaced it."""
    SPLIT = "split"
    """Two other versions share the traffic now, or it is in the current deployment with 0 percent."""
    UPLOADED_ONLY = "uploaded_only"
    """It uploaded a version and did not deploy it, as `wrangler versions upload` does."""
    NOTHING_UPLOADED = "nothing_uploaded"
    """It was successful and uploaded nothing: its deploy command may have matched no package."""
    UNSUCCESSFUL = "unsuccessful"
    """It has failed, or was canceled, terminated or skipped."""


class LiveVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that serves traffic now."""

    version_id: str
    """The id of the version."""

    percentage: float | None
    """Its share of the traffic, 0.01 to 100."""

    build: Build | None
    """The build that made it."""

    reason: NoBuildReason | None
    """Why there is no `build`; None exactly when there is one."""


class LiveWorker(msgspec.Struct, frozen=True, kw_only=True):
    """What a Worker serves now."""

    script_name: str
    """The name of the Worker, as the caller wrote it."""

    deployment: Deployment
    """The deployment that serves; its `created_on` says since when."""

    versions: tuple[LiveVersion, ...]
    """The versions that serve: one, or two of a gradual deployment, the larger share first."""
