"""Secrets passed to a method stay out of tracebacks."""

import re
import traceback
from collections.abc import Awaitable, Callable

import pytest

from builds_async import BuildsClient, BuildsError, BuildSettingsUpdate, NewVariable
from tests.support import TAG, MockApi, refusal

UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"
SECRET = "cfut_a-secret-that-no-traceback-shows"
HOOK = "7d1f3b5a-90c2-4e64-8b1d-c0ffee123456"

Call = Callable[[BuildsClient], Awaitable[object]]


def _settings() -> BuildSettingsUpdate:
    return BuildSettingsUpdate(environment_variables={"A": NewVariable(value=SECRET, is_secret=True)})


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.tokens.create(build_token_name="n", build_token_secret=SECRET, cloudflare_token_id="i"),
        lambda c: c.triggers.set_variables(UUID, {"A": NewVariable(value=SECRET, is_secret=True)}),
        lambda c: c.workers.update(TAG, production_settings=_settings()),
        lambda c: c.deploy_hooks.get("shop", HOOK),
        lambda c: c.deploy_hooks.trigger(HOOK),
    ],
    ids=["token", "variable", "settings", "hook", "trigger"],
)
async def test_local_variables_show_no_secret(call: Call, api: MockApi, client: BuildsClient) -> None:
    """A traceback with local variables shows no secret in the package's frames."""
    for method in ("GET", "POST", "PATCH"):
        api.add(re.compile(".*"), method=method, status=400, payload=refusal(12002, "Invalid request body"))
    with pytest.raises(BuildsError) as caught:
        await call(client)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "builds_async/" in frame.filename.partition("tests")[0]]
    assert [
        f"{frame.name}: {name}"
        for frame in ours
        for name, it in (frame.locals or {}).items()
        if SECRET in it or HOOK in it
    ] == []
