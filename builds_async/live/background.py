"""Requests that go on when nobody waits for them any more."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


def take_note(request: "asyncio.Future[T]") -> None:
    """Look at the error of a request that nobody may come back for, or asyncio complains."""
    if not request.cancelled():
        request.exception()
