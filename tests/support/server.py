"""A real server on loopback with scripted responses, including ones that no HTTP library would send."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support.bodies import ACCOUNT
from tests.support.clock import settle


class Request(NamedTuple):
    """A request as received on the wire."""

    method: str
    target: str
    headers: Mapping[str, str]  # by lowercase name


class Exchange(NamedTuple):
    """A request that waits for its response."""

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


Reply = Callable[[Exchange], Awaitable[None]]

TASK = "RawServer connection"


class RawServer:
    """Sends one reply per request; the last one repeats for all that follow.

    `requests` are the received requests, and `url` is the address: `async with RawServer(reply, ...) as
    server:`.
    """

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await settle()  # a connection may just have arrived
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        await settle()  # sockets are closed one turn of the loop after their writers

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        """The requested targets, below the account."""
        return [request.target.removeprefix(f"/accounts/{ACCOUNT}") for request in self.requests]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name=TASK)
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(
            lambda _: writer.close()
        )  # a task that is canceled before it starts closes nothing

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                request = await _read_request(reader)
                self.requests.append(request)
                reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
                await reply(Exchange(request, reader, writer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left, which is allowed
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers)


def answer(body: Any = b"", *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A complete, valid response; `body` is bytes, or is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return raw(head(status, {"Content-Length": str(len(data)), **(headers or {})}) + data, close=False)


def cut(body: bytes, *, missing: int = 10) -> Reply:
    """A response whose connection ends `missing` bytes before its body does."""
    return raw(head(200, {"Content-Length": str(len(body) + missing)}) + body)


def raw(data: bytes, *, close: bool = True) -> Reply:
    """Exactly these bytes."""

    async def reply(exchange: Exchange) -> None:
        exchange.writer.write(data)
        await exchange.writer.drain()
        if close:
            exchange.writer.close()

    return reply


def reset(*, after: bytes = b"") -> Reply:
    """A connection that ends with a TCP reset after these bytes."""

    async def reply(exchange: Exchange) -> None:
        exchange.writer.write(after)
        await exchange.writer.drain()
        connection: socket.socket = exchange.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.writer.transport.abort()

    return reply


def stall(*, after: bytes = b"") -> Reply:
    """A connection that stays silent after these bytes until the client leaves."""

    async def reply(exchange: Exchange) -> None:
        exchange.writer.write(after)
        await exchange.writer.drain()
        await exchange.reader.read()
        exchange.writer.close()

    return reply


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """The start of a response, up to its body."""
    lines = [f"HTTP/1.1 {status} Because", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
