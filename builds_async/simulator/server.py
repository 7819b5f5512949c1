"""Serves the simulated API over a socket, and applies connection faults."""

import asyncio
import socket
import struct
from contextlib import suppress

from aiohttp import web

from builds_async.session.clock import Clock
from builds_async.session.hosts import is_loopback
from builds_async.simulator.api import Api
from builds_async.simulator.faults import Fault
from builds_async.simulator.messages import Request, Response
from builds_async.simulator.responses import huge_json

_GRACE = 0.5
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends RST instead of FIN


class ApiServer:
    """An HTTP server on loopback. `stop` ends every connection and task."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._runner: web.ServerRunner | None = None
        self._server: web.Server | None = None
        self._handlers: set[asyncio.Task[object]] = set()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._server.connections) if self._server is not None else 0

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. ValueError unless `host` is loopback; OSError if the port is taken."""
        # Requests and tokens are not encrypted, so other machines must not reach the server.
        if not is_loopback(host):
            raise ValueError(f"the simulator serves loopback addresses only, not {host!r}")
        # Handlers are canceled with their connection: one that stalls must not outlive its client.
        self._server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(self._server, shutdown_timeout=_GRACE)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        self._runner = runner
        address: tuple[str, int] = runner.addresses[0]
        return address[1]

    async def stop(self) -> None:
        """Stop listening and close every connection; responses in flight are cut off."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        # Handlers first: one that stalls would delay the cleanup by its whole grace period.
        handlers = tuple(self._handlers)
        for handler in handlers:
            handler.cancel()
        if handlers:
            await asyncio.wait(handlers)
        await runner.cleanup()
        self._server = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        # One task serves all requests of a connection, so the task may be in the set already.
        task = asyncio.current_task()
        if task is not None and task not in self._handlers:
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
        response = self._api.answer(
            Request(
                method=request.method,
                target=request.raw_path,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
            )
        )
        if response.fault is None:
            return _web_response(response)
        return await self._spoil(request, response, response.fault)

    async def _spoil(self, request: web.BaseRequest, response: Response, fault: Fault) -> web.StreamResponse:
        match fault.kind:
            case "reset":
                return await self._reset(request, response)
            case "stall":
                return await self._stall(request, response, headers_sent=fault.headers_sent)
            case "cut_body":
                return await self._cut_body(request, response)
            case "huge_body":
                return await self._huge_body(request, response, fault.size)
            case "slow":
                await self._clock.sleep(fault.delay)
                return _web_response(response)
            case _:
                raise AssertionError(f"the server has no implementation of the fault {fault.kind!r}")

    async def _reset(self, request: web.BaseRequest, response: Response) -> web.StreamResponse:
        transport = request.transport
        connection = transport.get_extra_info("socket") if transport is not None else None
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        return await self._hang_up(request, _web_response(response))

    async def _stall(
        self, request: web.BaseRequest, response: Response, *, headers_sent: bool
    ) -> web.StreamResponse:
        sent = web.StreamResponse(status=response.status, headers=response.headers)
        if headers_sent:
            sent.content_length = len(response.body)
            await sent.prepare(request)
        return await self._never(sent)

    async def _cut_body(self, request: web.BaseRequest, response: Response) -> web.StreamResponse:
        sent = web.StreamResponse(status=response.status, headers=response.headers)
        # At least one byte is missing, even from an empty body.
        sent.content_length = len(response.body) + 1
        await sent.prepare(request)
        await sent.write(response.body[: max(1, len(response.body) // 2)])
        if request.transport is not None:
            request.transport.close()  # unlike abort, this sends what is written
        return await self._hang_up(request, sent)

    async def _huge_body(self, request: web.BaseRequest, response: Response, size: int) -> web.StreamResponse:
        # Without a Content-Length, so that the client learns the size only by reading.
        sent = web.StreamResponse(status=response.status, headers=response.headers)
        await sent.prepare(request)
        with suppress(ConnectionError):  # the client has disconnected
            for chunk in huge_json(size):
                await sent.write(chunk)
        return sent

    async def _hang_up(self, request: web.BaseRequest, sent: web.StreamResponse) -> web.StreamResponse:
        # aiohttp would still write the returned response, so this handler never returns.
        if request.transport is not None and not request.transport.is_closing():
            request.transport.abort()
        return await self._never(sent)

    async def _never(self, sent: web.StreamResponse) -> web.StreamResponse:
        await asyncio.Event().wait()  # until `stop` or the end of the connection cancels this handler
        return sent


def _web_response(response: Response) -> web.Response:
    return web.Response(status=response.status, headers=response.headers, body=response.body)
