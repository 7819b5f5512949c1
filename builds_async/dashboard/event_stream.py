"""Server-sent events to one browser."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

import msgspec
from aiohttp import web

HEARTBEAT, RETRY = 15.0, 1.0
"""Seconds of silence after which a comment is sent, and seconds until the browser reconnects."""

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

    async def send(self, event: str, data: object, mark: str | None = None) -> None:
        """Send an event. A browser that reconnects sends the `mark` of the last complete event."""
        line = b"" if mark is None else b"id: %s\n" % mark.encode()
        await self.write(b"event: %s\n%sdata: %s\n\n" % (event.encode(), line, msgspec.json.encode(data)))

    async def beating(self, result: Awaitable[T], look: float, news: Callable[[], Awaitable[bool]]) -> T:
        """Wait for `result`, and call `news`, which may send events, every `look` seconds.

        While nothing is sent, comments detect a browser that has disconnected.
        """
        task, quiet = asyncio.ensure_future(result), 0.0
        try:
            while not (await asyncio.wait({task}, timeout=look))[0]:
                quiet = 0.0 if await news() else quiet + look
                if quiet >= HEARTBEAT:
                    quiet = 0.0
                    await self.write(b":\n\n")
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})
