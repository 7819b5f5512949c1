"""One build for any number of browsers: its facts and its log as events, and its raw log.

All browsers that read the same log share one broadcast, and so the requests of one. The id of an event has
the number of lines so far and a checksum of the last one. So a browser that lost its connection continues
exactly after that line, even after a restart of the server, and starts over if the log has changed.
"""

import zlib
from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from aiohttp import web

from builds_async import (
    Build,
    BuildsClient,
    BuildsError,
    LogBroadcast,
    LogLine,
    LogSubscription,
    NotFoundError,
)
from builds_async.dashboard.event_stream import EventStream
from builds_async.dashboard.facts import Outline, facts, web_url
from builds_async.dashboard.links import Links

POLL_INTERVAL, LOOK = 1.0, 1.0
"""Seconds between two requests for a growing log, and between two checks of a quiet build."""


class Place(NamedTuple):
    """The place in a log that a browser has reached: the `mark` of the last event that it got."""

    number: int
    """How many lines it has."""
    check: str
    """A checksum of the last one of them; empty if it is unknown."""

    @classmethod
    def read(cls, mark: str) -> "Place":
        """The place that a mark names; ValueError if it names none."""
        number, _, check = mark.partition("-")
        if not (number.isascii() and number.isdecimal() and len(number) <= 9):
            raise ValueError("the last event's id must be a number of lines")
        return cls(int(number), check)

    @classmethod
    def after(cls, number: int, last: LogLine) -> "Place":
        """The place after `number` lines, the last of which is `last`."""
        text = f"{last.timestamp} {last.message}"
        return cls(number, f"{zlib.crc32(text.encode(errors='replace')):08x}")

    def __str__(self) -> str:
        return f"{self.number}-{self.check}"

    def fits(self, log: LogBroadcast) -> bool:
        """Whether the log so far can be the one that the browser has read."""
        last = log.lines(self.number - 1, 1) if self.number and self.check else []
        return not last or Place.after(self.number, last[0]) == self


class BuildPane:
    """The builds that browsers look at. `names` are those of Workers, by tag."""

    def __init__(self, client: BuildsClient, names: Mapping[str, str], csrf: str | None = None) -> None:
        self._client = client
        self._names = names
        self._csrf = csrf
        self._outlines: WeakKeyDictionary[LogBroadcast, Outline] = WeakKeyDictionary()
        self.links: Links = Links(client)

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Send the facts and the log of a build, from the position of the browser's last event on."""
        last = request.headers.get("Last-Event-ID") or request.query.get("after") or "0"
        try:
            log, place = self._broadcast(request), Place.read(last)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        stream = await EventStream.open(request)
        await _Viewer(stream, log, self._outline(log), self).send(place)
        return stream

    async def raw(self, request: web.Request) -> web.StreamResponse:
        """Send the log as the build wrote it, as plain text, until its end."""
        try:
            reader = self._broadcast(request).subscribe()
            lines = await reader.read()
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        except NotFoundError:
            raise web.HTTPNotFound(text="there is no such build in this account") from None
        except BuildsError as error:
            raise web.HTTPBadGateway(text=str(error)) from None
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        try:
            while lines:
                await response.write("".join(f"{it.message}\n" for it in lines).encode(errors="replace"))
                lines = await reader.read()
        except BuildsError as error:
            await response.write(f"\nThe rest is missing: {error}\n".encode())
        return response

    def about(self, log: LogBroadcast, outline: Outline) -> dict[str, object] | None:
        """The facts of a build, with the CSRF token for changes; None before the first response."""
        while lines := log.lines(outline.number, 1000):
            outline.add(lines)
        try:
            build = log.build
        except RuntimeError:
            return None
        self.links.see(build)
        preview = {"preview_url": web_url(build.preview_url), "csrf": self._csrf}
        return facts(build, self._worker(build), log.steps, outline) | preview

    def _worker(self, build: Build) -> str | None:
        return self._names.get(((build.trigger and build.trigger.external_script_id) or "").lower())

    def _broadcast(self, request: web.Request) -> LogBroadcast:
        return self._client.broadcast(request.match_info["build_uuid"], poll_interval=POLL_INTERVAL)

    def _outline(self, log: LogBroadcast) -> Outline:
        return self._outlines.setdefault(log, Outline())


class _Viewer:
    """One browser that looks at a build."""

    def __init__(self, stream: EventStream, log: LogBroadcast, outline: Outline, pane: BuildPane) -> None:
        self._stream = stream
        self._log = log
        self._outline = outline
        self._pane = pane
        self._about: dict[str, object] | None = None
        self._problem = ""

    async def send(self, place: Place) -> None:
        """Send the build and its log to the end. A browser that has another log starts over."""
        reader = self._log.subscribe(after=place.number)
        try:
            while lines := await self._stream.beating(reader.read(), LOOK, self._news):
                if not place.fits(self._log):
                    break
                await self._send_lines(reader, lines)
            else:
                if place.number <= self._log.number and place.fits(self._log):
                    await self._end()
                    return
            await self._stream.send("reset", {"had": place.number}, "0")
            await self.send(Place(0, ""))
        except NotFoundError as error:
            await self._stream.send("failed", {"kind": "missing", "text": str(error)})
        except BuildsError as error:
            await self._stream.send("failed", {"kind": "error", "text": str(error)})

    async def _send_lines(self, reader: LogSubscription, lines: tuple[LogLine, ...]) -> None:
        await self._news()
        data = {
            "first": reader.number - len(lines),
            "total": self._log.number,
            "lines": [(it.time, it.message) for it in lines],
        }
        await self._stream.send("lines", data, str(Place.after(reader.number, lines[-1])))

    async def _end(self) -> None:
        await self._news()
        build = self._log.build
        end = {"state": build.state, "complete": self._log.complete, "lines": self._log.number}
        await self._stream.send("end", end)

    async def _news(self) -> bool:
        """Send the changes of the build, and any problem with reading it. True if anything was sent."""
        problem = str(self._log.outage or "")
        about = self._pane.about(self._log, self._outline)
        news = about is not None and about != self._about
        if news:
            self._about = about
            await self._stream.send("build", about)
        if problem != self._problem:
            self._problem = problem
            await self._stream.send("problem", problem)
            return True
        return news
