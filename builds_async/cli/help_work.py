"""What is good to have and not asked for: reasons, names. It may fail and it may take a moment, no more."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from builds_async import BuildsError

T = TypeVar("T")

SECONDS = 5.0
"""How long such work may take at most."""


async def help_work(work: Coroutine[object, object, T], seconds: float = SECONDS) -> T | None:
    """What the work gives; None if it fails with an error of the library or is not done in time."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except (BuildsError, TimeoutError):
        return None
