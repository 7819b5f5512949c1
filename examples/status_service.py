"""Serve the latest build of each Worker, and any build, as JSON. Runs until stopped.

python examples/status_service.py PORT   (then http://127.0.0.1:PORT/workers/NAME and /builds/UUID)

One watch keeps all Workers up to date, so a visitor of /workers costs no request.
"""

import asyncio
import sys
from math import inf

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import to_builtins

from builds_async import BuildsClient, BuildsError, NotFoundError


class Service:
    """The handlers of the service."""

    def __init__(self, client: BuildsClient) -> None:
        self.client, self.watch = client, client.watch()

    async def worker(self, request: web.Request) -> web.Response:
        """The latest build of a Worker; null if it was never built."""
        name = request.match_info["name"]
        tag = (await self.client.workers.tags([name]))[name]  # lists the Workers once, again for a new name
        if tag not in self.watch.current:
            return web.Response(status=503, text="not looked up yet")
        return web.json_response(to_builtins(self.watch.current[tag]))

    async def build(self, request: web.Request) -> web.Response:
        """A build."""
        return web.json_response(to_builtins(await self.client.builds.get(request.match_info["uuid"])))


@web.middleware
async def report_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        async with asyncio.timeout(10):
            return await handler(request)
    except (BuildsError, TimeoutError, ValueError) as error:  # ValueError: a malformed id
        status = 404 if isinstance(error, NotFoundError) else 400 if isinstance(error, ValueError) else 503
        return web.Response(status=status, text=str(error))


async def main(port: int) -> None:
    async with BuildsClient(patience=inf) as client:  # one for all visitors: it has the rate budget
        service, app = Service(client), web.Application(middlewares=[report_errors])
        app.add_routes([web.get("/workers/{name}", service.worker), web.get("/builds/{uuid}", service.build)])
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            async for _ in service.watch:
                pass  # `watch.current` is all that is needed
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
