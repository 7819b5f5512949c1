"""Checks for leaked tasks and resources."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.clock import settle
from tests.support.server import TASK


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Assert that the block leaves no task behind, and nothing that warns when it is collected."""
    gc.collect()
    before = tasks()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        await settle()
        gc.collect()
        await settle()
    assert [str(warning.message) for warning in caught] == []
    assert tasks() == before


def tasks() -> set[asyncio.Task[object]]:
    """The tasks of the loop, except those of a `RawServer`, which ends them itself."""
    return {task for task in asyncio.all_tasks() if task.get_name() != TASK}
