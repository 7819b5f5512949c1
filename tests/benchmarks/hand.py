"""The baseline: the minimum that a careful engineer writes by hand."""

from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from builds_async.models.builds import Build
from builds_async.models.envelope import Envelope
from builds_async.models.logs import LogPage
from tests.benchmarks.answers import TOKEN, log_target

T = TypeVar("T")

# One typed decoder for all calls, with the library's own models.
BUILD = msgspec.json.Decoder(Envelope[Build])
LOGS = msgspec.json.Decoder(Envelope[LogPage])


def session() -> aiohttp.ClientSession:
    """A session tuned as far as aiohttp's documentation goes."""
    return aiohttp.ClientSession(
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "User-Agent": "benchmark/1.0",
            "Accept": "application/json",
        },
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=30),
    )


async def fetch(
    http: aiohttp.ClientSession, url: URL, decoder: msgspec.json.Decoder[Envelope[T]]
) -> Envelope[T]:
    """One call."""
    async with http.get(url) as response:
        return decoder.decode(await response.read())


async def count_log(http: aiohttp.ClientSession, origin: str, build_uuid: str) -> tuple[int, int]:
    """Count the lines and characters of a finished log, page by page until an empty one."""
    count = total = 0
    cursor: str | None = None
    while True:
        url = URL(origin + log_target(build_uuid, cursor), encoded=True)
        page = (await fetch(http, url, LOGS)).result
        if not isinstance(page, LogPage) or not page.lines:
            return count, total
        for line in page.lines:
            count += 1
            total += len(line.message)
        cursor = page.cursor
