"""Arguments that are rejected before anything is sent."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from builds_async import BuildsClient, BuildSettingsUpdate, NewBuildSettings
from tests.support import TAG, MockApi, envelope
from tests.support.case import cases

UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"

Call = Callable[[BuildsClient], Awaitable[object]]

MISUSE: dict[str, Call] = {
    "a dict for a variable": lambda c: c.triggers.set_variables(
        UUID,
        {"A": {"value": "x", "is_secret": True}},  # type: ignore[dict-item]
    ),
    "a number for a variable": lambda c: c.triggers.set_variables(UUID, {"A": 1}),  # type: ignore[dict-item]
    "null for a variable": lambda c: c.triggers.set_variables(UUID, {"A": None}),  # type: ignore[dict-item]
    "a dict for settings": lambda c: c.workers.update(
        TAG,
        production_settings={"build_command": "x"},  # type: ignore[arg-type]
    ),
    "an empty branch of a Worker": lambda c: c.workers.update(TAG, branch=""),
    "an empty branch of a preview": lambda c: c.previews.update(TAG, TAG, branch=""),
    "a text for labels": lambda c: c.workers.list(tags="production:yes"),  # type: ignore[arg-type]
    "a text for patterns": lambda c: c.workers.update(
        TAG,
        production_settings=BuildSettingsUpdate(path_includes="src/*"),
    ),
    "a text for patterns of new settings": lambda _: asyncio.sleep(
        0,
        NewBuildSettings(
            build_command="a",
            deploy_command="b",
            build_token_uuid=UUID,
            path_includes="src/*",
        ),
    ),
}


@cases("what", MISUSE)
async def test_misuse_is_refused(what: str, api: MockApi, client: BuildsClient) -> None:
    """Misuse is a TypeError or ValueError before anything is sent, never an AttributeError or a bad body."""
    for method in ("GET", "PATCH"):
        api.add(re.compile(".*"), method=method, payload=envelope({}))
    with pytest.raises((TypeError, ValueError)):
        await MISUSE[what](client)
    assert api.sent == []
