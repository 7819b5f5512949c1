"""The versions and deployments of each Worker: those made by builds, and those made by hand."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import attrgetter
from typing import TypeVar
from uuid import NAMESPACE_OID, uuid5

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator.build_details import BuildDetails, Makes
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.records import Deployment, Version

R = TypeVar("R", Version, Deployment)

TRIGGERED_BY = "workers/triggered_by"
MESSAGE = "workers/message"

_UPLOADS = ("versions upload", "wrangler preview")


class Deployments:
    """Stores the versions and deployments made by hand, and derives those made by builds at each reading.

    They are derived because a build plays its script only when it is read: no code runs when it ends.
    """

    def __init__(self) -> None:
        self._versions: dict[str, list[Version]] = defaultdict(list)
        self._deployments: dict[str, list[Deployment]] = defaultdict(list)

    def add_version(self, tag: str, version: Version) -> None:
        """Add a version that no build made."""
        self._versions[tag].append(version)

    def add(self, tag: str, deployment: Deployment) -> None:
        """Add a deployment that no build made."""
        self._deployments[tag].append(deployment)

    def versions_of(self, tag: str, builds: Iterable[SimulatedBuild]) -> list[Version]:
        """The versions of a Worker, including those that `builds` made, oldest first."""
        return _in_order(_built_versions(builds), self._versions[tag])

    def of(self, tag: str, builds: Iterable[SimulatedBuild]) -> list[Deployment]:
        """The deployments of a Worker, including those that `builds` made, oldest first."""
        return _in_order(_built_deployments(builds), self._deployments[tag])


def made_by(build: SimulatedBuild) -> Makes:
    """What a build has left behind by now."""
    return makes(build.details) if build.outcome == BuildOutcome.SUCCESS else "nothing"


def makes(details: BuildDetails) -> Makes:
    """What a build leaves behind if it succeeds."""
    if details.makes is not None:
        return details.makes
    command = details.deploy_command or ""
    return "version" if any(word in command for word in _UPLOADS) else "deployment"


def share(versions: str | Mapping[str, float]) -> dict[str, float]:
    """The percentage of each version: 100 for a single one. ValueError if they can't be a deployment."""
    shares = {versions: 100.0} if isinstance(versions, str) else dict(versions)
    if not 1 <= len(shares) <= 2 or sum(shares.values()) != 100 or min(shares.values()) <= 0:
        raise ValueError(f"a deployment has one or two versions with 100 percent together, not {shares}")
    return shares


def _built_versions(builds: Iterable[SimulatedBuild]) -> Iterator[Version]:
    for build in builds:
        if made_by(build) != "nothing":
            yield Version(
                id=build.version_id,
                created_on=_end(build),
                source="wrangler",
                annotations={TRIGGERED_BY: "version_upload"},
            )


def _built_deployments(builds: Iterable[SimulatedBuild]) -> Iterator[Deployment]:
    for build in builds:
        if made_by(build) == "deployment":
            yield Deployment(
                # Derived from the build: it must be the same at each reading, and a random id would change
                # the later ids of a seed.
                id=str(uuid5(NAMESPACE_OID, build.build_uuid)),
                created_on=_end(build),
                source="wrangler",
                annotations={TRIGGERED_BY: "deployment"},
                versions={build.version_id: 100.0},
            )


def _end(build: SimulatedBuild) -> float:
    stopped = build.entered(BuildStatus.STOPPED)
    return build.created if stopped is None else stopped


def _in_order(built: Iterable[R], by_hand: Iterable[R]) -> list[R]:
    # The sort is stable: at the same moment, versions and deployments by builds come before those by hand.
    return sorted(chain(built, by_hand), key=attrgetter("created_on"))
