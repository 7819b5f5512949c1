"""Lookups of one Worker for browsers, on demand: its last builds, and the versions that it serves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from builds_async import BuildsClient, BuildsError, LiveVersion, LiveWorker
from builds_async.dashboard.facts import summary
from builds_async.dashboard.table import WorkerTable, impatient

KEEP: Final = 30.0
"""Seconds for which a result is cached. A rollback by hand is visible after that time at the latest."""

HISTORY: Final = 10
"""How many builds of a Worker are shown."""

T = TypeVar("T")


class _Kept(NamedTuple, Generic[T]):
    version: int
    until: float
    answer: "asyncio.Task[T]"


class Cache(Generic[T]):
    """Results by tag.

    Concurrent lookups share one request, which no browser cancels. A result is cached for `KEEP` seconds, but
    not after the `version` of its Worker has changed. Errors are not cached.
    """

    def __init__(self, ask: Callable[[str], Awaitable[T]]) -> None:
        self._ask = ask
        self._kept: dict[str, _Kept[T]] = {}
        self._running: set[asyncio.Task[T]] = set()  # also those that a newer one has replaced

    async def get(self, tag: str, version: int) -> T:
        """The answer for a Worker. BuildsError or ValueError, as the client raises it, if there is none."""
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(tag)
        if kept is None or kept.version != version or (kept.until <= now and kept.answer.done()):
            lookup = asyncio.ensure_future(self._asked(tag))
            self._running.add(lookup)
            lookup.add_done_callback(self._running.discard)
            kept = self._kept[tag] = _Kept(version, now + KEEP, lookup)
        return await asyncio.shield(kept.answer)

    async def _asked(self, tag: str) -> T:
        try:
            return await self._ask(tag)
        except (BuildsError, ValueError):
            # A change of the Worker may have started a newer lookup meanwhile, which stays.
            kept = self._kept.get(tag)
            if kept is not None and kept.answer is asyncio.current_task():
                del self._kept[tag]
            raise

    async def close(self) -> None:
        """Cancel the requests in flight."""
        running = tuple(self._running)
        for lookup in running:
            lookup.cancel()
        if running:
            await asyncio.wait(running)


class Lookups:
    """Lookups of one Worker. Its last builds take one API request, its served versions two or three."""

    def __init__(self, client: BuildsClient, table: WorkerTable) -> None:
        self._client = impatient(client)
        self._table = table
        self._builds = Cache(self._last_builds)
        self._live = Cache(self._serving)

    async def builds(self, request: web.Request) -> web.Response:
        """The last builds of a Worker, newest first."""
        return await self._answer(request, self._builds)

    async def live(self, request: web.Request) -> web.Response:
        """The versions that a Worker serves."""
        return await self._answer(request, self._live)

    async def close(self, _: web.Application) -> None:
        """End the requests in flight."""
        await self._builds.close()
        await self._live.close()

    async def _answer(self, request: web.Request, cache: Cache[object]) -> web.Response:
        tag = request.match_info["tag"]
        if tag not in self._table.versions:  # checked without a request to the API
            raise web.HTTPNotFound(text="no such Worker")
        try:
            answer = await cache.get(tag, self._table.versions[tag])
        except (BuildsError, ValueError) as error:  # ValueError: a name that can't be in a path
            raise web.HTTPBadGateway(text=str(error)) from None
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _last_builds(self, tag: str) -> object:
        page = await self._client.builds.list(tag, per_page=HISTORY)
        return [summary(build) for build in page]

    async def _serving(self, tag: str) -> object:
        name = self._table.names[tag]
        result = await self._client.live([name])
        result.raise_for_failures()
        worker = result.found.get(name)
        return {"since": None, "versions": []} if worker is None else _live(worker)


def _live(worker: LiveWorker) -> dict[str, object]:
    return {"since": worker.deployment.created_on, "versions": [_version(it) for it in worker.versions]}


def _version(version: LiveVersion) -> dict[str, object]:
    build = {} if version.build is None else summary(version.build)
    return {
        **build,
        "version": version.version_id,
        "percentage": version.percentage,
        "reason": version.reason,
    }
