"""What one build has uploaded and deployed, as far as lists show it. Not public."""

from datetime import datetime
from typing import NamedTuple

from builds_async.models.deployments import Deployment, Version


class RecentDeployments(NamedTuple):
    """The newest deployments of a Worker, and which of their versions one build has made."""

    deployments: tuple[Deployment, ...]
    """At most 10, newest first: the first one serves."""

    own: frozenset[str]
    """The ids of the versions in `deployments` that the build has made."""

    date: datetime | None
    """The server's date, None if not known."""


class Uploads(NamedTuple):
    """The versions that one build has uploaded."""

    versions: tuple[Version, ...]
    """Newest first."""

    is_certain: bool
    """False if there may be others: the list of versions was not read back to the beginning of the build."""
