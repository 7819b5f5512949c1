"""The URLs of builds in Cloudflare's dashboard."""

import asyncio

from builds_async.errors import NotFoundError
from builds_async.models.builds import Build
from builds_async.resources.workers import Workers
from builds_async.session.ids import normalized_id, segment


def build_page(account_id: str, script_name: str, build_uuid: str) -> str:
    """The URL of a build's page, by the name of its Worker. ValueError if an id can't be in a path."""
    return (
        f"https://dash.cloudflare.com/{account_id}/workers/services/view/{segment(script_name)}"
        f"/production/builds/{segment(build_uuid)}"
    )


class DashboardLinks:
    """Makes the URLs of builds, and remembers the names of Workers, which are part of the URLs."""

    def __init__(self, account_id: str, workers: Workers) -> None:
        self._account_id = account_id
        self._workers = workers
        self._names: dict[str, str] = {}  # by tag
        self._listing = asyncio.Lock()

    async def of_build(self, build: Build) -> str:
        """The URL of a build's page. NotFoundError if the name of its Worker can't be found."""
        return build_page(self._account_id, await self._name(build), build.build_uuid)

    async def _name(self, build: Build) -> str:
        tag = normalized_id((build.trigger and build.trigger.external_script_id) or "")
        if tag and tag not in self._names:
            async with self._listing:  # concurrent calls share one request
                if tag not in self._names:
                    self._names = await self._workers.names()
        if tag not in self._names:
            why = "the account has no Worker with its tag" if tag else "the API does not name its Worker"
            raise NotFoundError(f"build {build.build_uuid} has no page in the dashboard: {why}", status=404)
        return self._names[tag]
