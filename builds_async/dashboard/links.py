"""The links of builds: the page in Cloudflare's dashboard, and the preview."""

import asyncio
from collections.abc import Awaitable

from aiohttp import web

from builds_async import Build, BuildsClient, BuildsError
from builds_async.dashboard.facts import web_url

MOST = 1000
"""How many builds are remembered; the one that was opened first is forgotten first."""


class Links:
    """Finds the links of builds, once for all browsers."""

    def __init__(self, client: BuildsClient) -> None:
        self._client = client
        self._known: dict[str, _Known] = {}

    def see(self, build: Build) -> None:
        """Take a build as last seen, so that its links need no request for it."""
        self._of(build.build_uuid).build = build

    async def handle(self, request: web.Request) -> web.Response:
        """Send the links of a build; one that can't be found is null."""
        known = self._of(request.match_info["build_uuid"].lower())
        try:
            async with known.lock:
                await self._find(known, request.match_info["build_uuid"])
        except (BuildsError, ValueError) as error:
            raise web.HTTPBadGateway(text=str(error)) from None
        return web.json_response({"dashboard_url": known.dashboard_url, "preview_url": known.preview_url})

    def _of(self, build_uuid: str) -> "_Known":
        if (known := self._known.get(build_uuid)) is None:
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            known = self._known[build_uuid] = _Known()
        return known

    async def _find(self, known: "_Known", build_uuid: str) -> None:
        client = self._client
        build = known.build = known.build or await client.builds.get(build_uuid)
        if "dashboard" not in known.asked:
            known.dashboard_url = web_url(await known.ask("dashboard", client.dashboard_url(build)))
        if "preview" not in known.asked and build.is_finished:  # an unfinished build has none
            known.preview_url = web_url(await known.ask("preview", client.preview_url(build)))


class _Known:
    """One build, and its links as far as they are known."""

    def __init__(self) -> None:
        self.lock: asyncio.Lock = asyncio.Lock()
        self.build: Build | None = None
        self.dashboard_url: str | None = None
        self.preview_url: str | None = None
        self.asked: set[str] = set()

    async def ask(self, name: str, answer: Awaitable[str | None]) -> str | None:
        """The URL; None after an error. After a permanent error it is not requested again."""
        try:
            url = await answer
        except BuildsError as error:
            if error.transient:
                return None
            url = None  # it may need another permission
        except ValueError:
            url = None  # a name that can't be in an address
        self.asked.add(name)
        return url
