"""Serves a live table of the builds of many Workers, and the live log of any build, to browsers.

One watch serves all browsers, and one broadcast all that read the same log. The ID of an event is the number
of lines so far: a browser that lost its connection continues exactly behind them, even after a restart of
the server. The rate budget paces the requests of all logs together.
"""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn, Self, TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from builds_async import Build, BuildsClient, BuildsError, BuildTriggerMetadata, BuildWatcher

INTERVAL, POLL_INTERVAL, HEARTBEAT, RETRY = 10.0, 1.0, 15.0, 1.0  # seconds
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
T = TypeVar("T")


class EventStream(web.StreamResponse):
    """Sends server-sent events to one browser; waits while the browser is slow."""

    @classmethod
    async def open(cls, request: web.Request) -> Self:
        """Start the response to `request`."""
        stream = cls(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"retry: %d\n\n" % (RETRY * 1000))
        return stream

    async def send(self, event: str, data: object, number: int | None = None) -> None:
        """An event. A browser that lost its connection says the last `number` that it got whole."""
        mark = b"" if number is None else b"id: %d\n" % number
        await self.write(b"event: %s\n%sdata: %s\n\n" % (event.encode(), mark, msgspec.json.encode(data)))

    async def beating(self, result: Awaitable[T], outage: Callable[[], BuildsError | None]) -> T:
        """What `result` gives. While it takes long, comments find out whether the browser is still there.

        An `outage` is a problem that the browser shows until `result` is there.
        """
        task, shown = asyncio.ensure_future(result), False
        try:
            while not (await asyncio.wait({task}, timeout=HEARTBEAT))[0]:
                if (error := outage()) is None or shown:
                    await self.write(b":\n\n")
                else:
                    await self.send("problem", str(error))
                    shown = True
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})


class Dashboard:
    """The state of the Workers, for all browsers. `names` are by tag."""

    def __init__(self, client: BuildsClient, names: Mapping[str, str]) -> None:
        self.client: BuildsClient = client
        self.names: Mapping[str, str] = names
        self.watcher: BuildWatcher = client.watch(names, interval=INTERVAL)
        self.version: int = 1  # counts changes; below, the version at which each Worker last changed:
        self.versions: dict[str, int] = dict.fromkeys(names, self.version)
        self.news: asyncio.Event = asyncio.Event()

    async def watch(self) -> None:
        """Record each change. Ends only with a permanent error, such as wrong credentials."""
        async for change in self.watcher:
            self.version = self.versions[change.external_script_id] = self.version + 1
            self.news.set()  # wakes all current waiters; later ones wait for the new event
            self.news = asyncio.Event()

    async def table(self, request: web.Request) -> NoReturn:
        """Send all Workers, then those that have changed. Nothing queues up: a slow browser skips states."""
        stream, seen = await EventStream.open(request), 0
        while True:
            builds = self.watcher.current
            changed = [self.row(tag, builds.get(tag)) for tag, at in self.versions.items() if at > seen]
            seen, news = self.version, self.news
            await stream.send("workers", {"workers": changed, "problem": self.problem()})
            with suppress(TimeoutError):  # then the next event is the heartbeat
                await asyncio.wait_for(news.wait(), HEARTBEAT)

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Send the log of a build from the position of the browser's last event on."""
        last = request.headers.get("Last-Event-ID") or request.query.get("after")
        try:
            log = self.client.broadcast(request.match_info["build_uuid"], poll_interval=POLL_INTERVAL)
            reader = log.subscribe(after=int(last) if last else 0)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        stream = await EventStream.open(request)
        try:
            while lines := await stream.beating(reader.read(), lambda: log.outage):
                await stream.send("lines", [(it.time, it.message) for it in lines], reader.number)
            await stream.send("end", {"state": log.build.state, "complete": log.complete})
        except BuildsError as error:
            await stream.send("failed", str(error))
        return stream

    def row(self, tag: str, build: Build | None) -> dict[str, object]:
        """The row of a Worker, limited to the fields that browsers show."""
        row: dict[str, object] = {"tag": tag, "worker": self.names[tag]}
        if build is not None:
            about = build.build_trigger_metadata or BuildTriggerMetadata()
            since = build.stopped_on or build.running_on or build.initializing_on or build.created_on
            row |= {"build": build.build_uuid, "state": build.state, "since": since}
            row |= {"branch": about.branch, "commit": about.commit_hash, "message": about.commit_message}
        return row

    def problem(self) -> str:
        """The reason why some rows may be out of date; empty if all are current."""
        failures = list(self.watcher.failures.values())
        return (
            f"{len(failures)} of {len(self.names)} Workers could not be checked: {failures[0]}"
            if failures
            else ""
        )


async def workers(client: BuildsClient, wanted: Sequence[str]) -> dict[str, str]:
    """The names of these Workers, or of all Workers of the account, by tag."""
    if wanted:
        names = {tag: name for name, tag in (await client.workers.tags(wanted)).items()}
    else:
        names = await client.workers.names()
    return dict(sorted(names.items(), key=lambda pair: pair[1]))


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
        """Trade the token in the address for a cookie, so that the address bar doesn't keep showing it."""
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
    app.router.add_get("/workers", limited(dashboard.table), allow_head=False)
    app.router.add_get("/logs/{build_uuid}", limited(dashboard.log), allow_head=False)
    app.router.add_get(r"/{file:(?:app\.js|style\.css|icon\.svg)?}", page)
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
    """Whether two tokens are the same. The time it takes doesn't tell how much of them is."""
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
        return (
            mode == "navigate" and "file" in request.match_info
        )  # a link to the page is allowed, to a stream it is not
    origin = request.headers.get("Origin")
    return origin is None or origin == f"{request.scheme}://{request.host}"
