"""Serves a live table of the builds of many Workers, and the live log of any build, to browsers.

One watch serves all browsers, and one broadcast all that read the same log. The rate budget paces the
requests of all logs together.
"""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from builds_async import BuildsClient
from builds_async.dashboard.actions import Actions
from builds_async.dashboard.build_pane import BuildPane
from builds_async.dashboard.event_stream import HEARTBEAT, EventStream
from builds_async.dashboard.lookups import Lookups
from builds_async.dashboard.table import WorkerTable

INTERVAL, BEAT = 10.0, 0.5
"""Seconds between two passes over all Workers, and between two checks of the watch for changes."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
STREAMS = 100  # at once, over all browsers: each log that is followed costs API calls
COOKIE = "builds-async-dashboard"
STATIC = Path(__file__).with_name("static")


class Dashboard:
    """The page's server: one watch for all browsers, and one broadcast for all that read the same log.

    `names` are the names of the Workers, by tag. With `joining`, later Workers of the account are added; with
    `writes`, the page may retry and cancel builds.
    """

    def __init__(
        self, client: BuildsClient, names: Mapping[str, str], *, joining: bool = False, writes: bool = False
    ) -> None:
        self.workers: WorkerTable = WorkerTable(client, names, interval=INTERVAL, beat=BEAT, joining=joining)
        self.lookups: Lookups = Lookups(client, self.workers)
        self.actions: Actions = Actions(client, allowed=writes)
        self.pane: BuildPane = BuildPane(client, self.workers.names, self.actions.csrf)

    async def watch(self) -> None:
        """Keep the table current. Ends only if nothing could be looked up at all, with the error."""
        await self.workers.watch()

    async def table(self, request: web.Request) -> NoReturn:
        """Send all Workers, then those that have changed. Nothing queues up: a slow browser skips states."""
        stream, seen, table = await EventStream.open(request), 0, self.workers
        while True:
            changed = [table.rows[tag] for tag, version in table.versions.items() if version > seen]
            seen, news = table.version, table.news
            await stream.send(
                "workers", {"workers": changed, "trouble": table.trouble, "heartbeat": HEARTBEAT}
            )
            with suppress(TimeoutError):  # then the next event is the heartbeat
                async with asyncio.timeout(HEARTBEAT):
                    await news.wait()


class Gate:
    """Lets only our own page and the user in, and ends the open requests when the server stops."""

    def __init__(self, host: str, token: str | None) -> None:
        self.host = host
        self.token = token
        self.tasks: set[asyncio.Task[object] | None] = set()

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, if it may be answered."""
        if self.token is None and not is_own_name(request.host, self.host):
            raise web.HTTPMisdirectedRequest(text="this server has another name")
        if not is_own_page(request):
            raise web.HTTPForbidden(text="other sites may link to this page, but not load it")
        if self.token is not None and (given := request.query.get("token")) is not None:
            return self.admit(request, given, self.token)
        if self.token is not None and not is_same(request.cookies.get(COOKIE, ""), self.token):
            raise web.HTTPUnauthorized(text="open the address that `builds-async dashboard` printed")
        self.tasks.add(task := asyncio.current_task())
        try:
            return await handler(request)
        except ConnectionResetError:
            return web.Response(status=499)  # the browser is gone
        finally:
            self.tasks.discard(task)

    def admit(self, request: web.Request, given: str, token: str) -> web.Response:
        """Exchange the token in the address for a cookie, so that the address bar does not keep it."""
        if not is_same(given, token):
            raise web.HTTPUnauthorized(
                text="wrong token: open the address that `builds-async dashboard` printed"
            )
        response = web.Response(status=303, headers={"Location": request.path})
        response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=request.secure)
        return response

    async def leave(self, _: web.Application) -> None:
        """End the streams: they don't end by themselves."""
        for task in filter(None, self.tasks):
            task.cancel()


@asynccontextmanager
async def serving(dashboard: Dashboard, host: str, port: int, token: str | None = None) -> AsyncIterator[str]:
    """Serve the page at the yielded URL, which contains the `token`. No request is left after the block.

    Without a token, everyone who can connect to `host` reads all logs: it must be a loopback address.
    """
    gate = Gate(host, token)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await gate.handle(request, handler)

    async def secure(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(HEADERS)

    app = web.Application(middlewares=[guard])
    app.on_response_prepare.append(secure)
    app.on_shutdown.append(gate.leave)
    app.on_cleanup.append(dashboard.lookups.close)
    app.router.add_get("/workers", limited(dashboard.table), allow_head=False)
    app.router.add_get("/workers/{tag}/builds", dashboard.lookups.builds, allow_head=False)
    app.router.add_get("/workers/{tag}/live", dashboard.lookups.live, allow_head=False)
    app.router.add_get("/logs/{build_uuid}", limited(dashboard.pane.log), allow_head=False)
    app.router.add_get("/logs/{build_uuid}/raw", limited(dashboard.pane.raw), allow_head=False)
    app.router.add_get("/builds/{build_uuid}/links", dashboard.pane.links.handle, allow_head=False)
    app.router.add_post("/builds/{build_uuid}/{action:retry|cancel}", dashboard.actions.handle)
    files = "|".join(re.escape(it.name) for it in sorted(STATIC.iterdir()) if it.name != "index.html")
    app.router.add_get(f"/{{file:(?:{files})?}}", page)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        name = f"[{host}]" if ":" in host else host
        query = "" if token is None else f"?token={quote(token, safe='')}"
        yield f"http://{name}:{runner.addresses[0][1]}/{query}"
    finally:
        await runner.cleanup()


def is_same(given: str, token: str) -> bool:
    """Whether two tokens are equal, compared in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


def limited(handler: Handler) -> Handler:
    """Limit a handler to `STREAMS` open streams."""
    places = asyncio.Semaphore(STREAMS)

    async def handle(request: web.Request) -> web.StreamResponse:
        if places.locked():
            raise web.HTTPServiceUnavailable(text=f"{STREAMS} streams are open already")
        async with places:
            return await handler(request)

    return handle


async def page(request: web.Request) -> web.FileResponse:
    """A file of the page."""
    return web.FileResponse(STATIC / (request.match_info["file"] or "index.html"))


def is_own_name(host: str, own: str) -> bool:
    """Whether the host name is ours. A foreign name may point at us in an attack (DNS rebinding)."""
    name = re.sub(r":\d+$", "", host).strip("[]").lower()
    with suppress(ValueError):
        return bool(ip_address(name))  # an address, not a name
    return name in {"localhost", own.lower()}


def is_own_page(request: web.Request) -> bool:
    """Whether our own page or a user sent the request: a foreign page would spend the user's API calls."""
    site, mode = (request.headers.get(f"Sec-Fetch-{name}") for name in ("Site", "Mode"))
    if site not in {None, "same-origin", "none"}:
        # A foreign site may link to the page, but not to a stream.
        return mode == "navigate" and "file" in request.match_info
    origin = request.headers.get("Origin")
    # The scheme is not compared: behind a TLS proxy the page has another one than this server.
    return origin is None or re.sub("^https?://", "", origin) == request.host
