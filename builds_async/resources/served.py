"""Finds the versions that one build has uploaded, and whether its Worker's deployments serve them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from builds_async.models.builds import Build, usable_date
from builds_async.models.deployments import Version
from builds_async.models.live import LiveWorker
from builds_async.models.served import RecentDeployments, Uploads
from builds_async.resources.builds import BuildReads
from builds_async.resources.deployments import DatedDeployments
from builds_async.resources.serving import Serving, usable_versions
from builds_async.resources.versions import Versions
from builds_async.resources.workers import Workers
from builds_async.session.ids import is_bulk_id, normalized_id
from builds_async.session.session import ApiSession

_PAGE = 100
_SKEW = timedelta(minutes=5)
"""How far the dates of builds and versions may differ, because different services write them."""


class ServedBuilds:
    """The requests of `DeploymentWait`."""

    def __init__(self, session: ApiSession) -> None:
        self._workers = Workers(session)
        self._deployments = DatedDeployments(session)
        self._versions = Versions(session)
        self._builds = BuildReads(session)
        self._serving = Serving(session)

    async def name_of(self, tag: str) -> str | None:
        """The name of a Worker; None if it is not in the list of Workers, as before its first deployment."""
        return (await self._workers.names()).get(tag)

    async def recent_deployments(self, script_name: str, build_uuid: str) -> RecentDeployments:
        """The newest deployments, and the versions in them that a build has made. Two requests."""
        deployments, date = await self._deployments.list_dated(script_name)
        ids = dict.fromkeys(it.version_id for each in deployments for it in usable_versions(each))
        return RecentDeployments(deployments, frozenset(await self._made_by(build_uuid, ids)), date)

    async def uploads(self, script_name: str, build: Build) -> Uploads:
        """The versions that a finished build has uploaded, among the 100 newest of its Worker."""
        page = (await self._versions.list(script_name, per_page=_PAGE)).result
        begin = usable_date(build.initializing_on or build.created_on)
        end = usable_date(build.stopped_on)
        near = [it for it in page if is_bulk_id(it.id) and _is_between(it, begin, end)]
        oldest = _created(page[-1]) if page else None
        # Later pages have older versions only. If the oldest one here is from before the build, none of those
        # is of the build.
        is_certain = len(page) < _PAGE or (
            begin is not None and oldest is not None and oldest < begin - _SKEW
        )
        own = await self._made_by(build.build_uuid, [it.id for it in near])
        return Uploads(tuple(it for it in near if it.id in own), is_certain)

    async def live(self, script_name: str) -> LiveWorker | None:
        """The versions that serve now, with builds and reasons; None for a Worker that was never deployed."""
        result = await self._serving.look_up([script_name])
        result.raise_for_failures()
        return result.found.get(script_name)

    async def _made_by(self, build_uuid: str, version_ids: Iterable[str]) -> list[str]:
        """The ids among `version_ids` whose version a build has made."""
        result = await self._builds.by_version(version_ids)
        wanted = normalized_id(build_uuid)
        own = [it for it, build in result.found.items() if normalized_id(build.build_uuid) == wanted]
        if not own:  # a version whose lookup failed may be from this build
            result.raise_for_failures()
        return own


def _is_between(version: Version, begin: datetime | None, end: datetime | None) -> bool:
    """Whether a version may have been uploaded between two dates. An unknown date excludes nothing."""
    created = _created(version)
    if created is None:
        return True
    early = begin is not None and created < begin - _SKEW
    late = end is not None and created > end + _SKEW
    return not (early or late)


def _created(version: Version) -> datetime | None:
    return usable_date(None if version.metadata is None else version.metadata.created_on)
