"""A client of a real server, and chunked responses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from builds_async import (
    BuildsClient,
)
from tests.support import (
    ACCOUNT,
    TOKEN,
    FakeClock,
    head,
    nothing_left,
)


@asynccontextmanager
async def a_client(url: str, **arguments: Any) -> AsyncIterator[BuildsClient]:
    """A client of the server at `url` that does not pause and leaves nothing behind."""
    arguments = {"clock": FakeClock()} | arguments
    async with (
        nothing_left(),
        BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=url, **arguments) as client,
    ):
        yield client


def chunked(*chunks: bytes, end: bool = True, **headers: str) -> bytes:
    """A chunked response."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head(200, {"Transfer-Encoding": "chunked", **headers}) + body + (b"0\r\n\r\n" if end else b"")
