"""The versions that one build has uploaded, and the recent deployments that may serve them. Not public."""

from datetime import datetime

import msgspec

from builds_async.models.deployments import Deployment, Version


class RecentDeployments(msgspec.Struct, frozen=True):
    """The newest deployments of a Worker, and the versions in them that one build has made."""

    deployments: tuple[Deployment, ...]
    """At most 10, newest first. The first one serves traffic."""

    own: frozenset[str]
    """The ids of the versions in `deployments` that the build has made."""

    date: datetime | None
    """The server's date; None if it is unknown."""


class Uploads(msgspec.Struct, frozen=True):
    """The versions that one build has uploaded."""

    versions: tuple[Version, ...]
    """Newest first."""

    is_certain: bool
    """False if there may be others, because the list did not reach back to the beginning of the build."""
