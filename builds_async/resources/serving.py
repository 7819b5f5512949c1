"""Finds the versions that Workers serve now, and the builds that made them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from builds_async.errors import (
    AuthenticationError,
    BuildsError,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
)
from builds_async.models.builds import Build
from builds_async.models.deployments import DeployedVersion, Deployment, Version
from builds_async.models.live import LiveVersion, LiveWorker, NoBuildReason
from builds_async.resources.builds import BuildReads
from builds_async.resources.bulk import bulk_result, fan_out
from builds_async.resources.deployments import Deployments
from builds_async.resources.versions import DatedVersions
from builds_async.results import BulkResult
from builds_async.session.ids import checked_ids, is_bulk_id, normalized_id
from builds_async.session.session import ApiSession

BUILDS_KEPT = timedelta(days=90)
"""How long the API keeps builds after they have finished."""


class Serving:
    """Looks up deployments, then builds, then reasons. Each step shares its requests among all Workers."""

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._deployments = Deployments(session)
        self._versions = DatedVersions(session)
        self._builds = BuildReads(session)

    async def look_up(self, script_names: Iterable[str]) -> BulkResult[LiveWorker]:
        """Implements `BuildsClient.live`."""
        names = checked_ids(script_names)
        current = await fan_out(names, self._current, workers=self._session.max_in_flight, size=1)
        served = {
            it.version_id: name for name in current.found for it in usable_versions(current.found[name])
        }
        builds = await self._builds_of(served)
        if builds is None:
            reasons = BulkResult(found=dict.fromkeys(served, NoBuildReason.REFUSED))
        else:
            unexplained = {it: (served[it], current.found[served[it]]) for it in builds.missing}
            reasons = await self._reasons(unexplained)
        join = _Join(builds or BulkResult(found={}), reasons)
        live = {name: join.worker(name, deployment) for name, deployment in current.found.items()}
        return bulk_result({name: live.get(name, current.failed.get(name)) for name in names})

    async def _current(self, script_names: Sequence[str]) -> Mapping[str, Deployment | None]:
        return {name: await self._deployments.current(name) for name in script_names}

    async def _builds_of(self, version_ids: Iterable[str]) -> BulkResult[Build] | None:
        """The builds of versions; None if the token may not read builds."""
        try:
            return await self._builds.by_version(version_ids)
        except (AuthenticationError, PermissionDeniedError) as error:
            if not error.errors:  # from a firewall or a proxy, so it says nothing about the token
                raise
            return None

    async def _reasons(self, served: Mapping[str, tuple[str, Deployment]]) -> BulkResult[NoBuildReason]:
        """Why each of these versions has no build. `served` has their Workers and deployments."""
        by_id = {normalized_id(version_id): it for version_id, it in served.items()}

        async def look_up(version_ids: Sequence[str]) -> Mapping[str, NoBuildReason]:
            return {it: await self._reason(it, *by_id[it]) for it in version_ids}

        return await fan_out(served, look_up, workers=self._session.max_in_flight, size=1)

    async def _reason(self, version_id: str, script_name: str, deployment: Deployment) -> NoBuildReason:
        # The version's own date is needed: a rollback of today may have deployed an old version.
        try:
            version, now = await self._versions.get_dated(script_name, version_id)
        except NotFoundError:  # deleted meanwhile, perhaps together with its Worker
            version, now = Version(id=version_id), datetime.now(UTC)
        return _reason(version, deployment, now)


class _Join:
    """Joins deployments, builds and reasons."""

    def __init__(self, builds: BulkResult[Build], reasons: BulkResult[NoBuildReason]) -> None:
        self._builds = builds
        self._reasons = reasons

    def worker(self, script_name: str, deployment: Deployment) -> LiveWorker | BuildsError:
        """The result for a Worker; if the lookup of a version failed, the first such error."""
        versions = [self._version(it) for it in deployment.versions or ()]
        for version in versions:
            if isinstance(version, BuildsError):
                return version
        live = [it for it in versions if isinstance(it, LiveVersion)]
        live.sort(key=lambda it: -(it.percentage or 0))
        return LiveWorker(script_name=script_name, deployment=deployment, versions=tuple(live))

    def _version(self, served: DeployedVersion) -> LiveVersion | BuildsError:
        version_id = served.version_id
        build, reason = self._builds.found.get(version_id), self._reasons.found.get(version_id)
        if build is None and reason is None:
            failed = self._builds.failed.get(version_id) or self._reasons.failed.get(version_id)
            return failed or _no_id()
        return LiveVersion(version_id=version_id, percentage=served.percentage, build=build, reason=reason)


def usable_versions(deployment: Deployment) -> Iterator[DeployedVersion]:
    """The versions that can be looked up."""
    return (it for it in deployment.versions or () if is_bulk_id(it.version_id))


def _reason(version: Version, deployment: Deployment, now: datetime) -> NoBuildReason:
    created = (version.metadata and version.metadata.created_on) or deployment.created_on
    words = {version.triggered_by, deployment.triggered_by}
    # Age comes first: a build that is gone may have made the version, so no other reason is certain.
    if created is not None and now - created > BUILDS_KEPT:
        return NoBuildReason.EXPIRED
    if "secret" in words:
        return NoBuildReason.SECRET
    return NoBuildReason.ROLLBACK if "rollback" in words else NoBuildReason.BY_HAND


def _no_id() -> ResponseDecodeError:
    return ResponseDecodeError("a version of the current deployment has an invalid id", status=200)
