"""Provides the fixtures of the bots' tests."""

from types import ModuleType

import pytest

from builds_async.simulator import BuildsSimulator
from tests.examples.support import Webhook, on_clock


@pytest.fixture
def hook(bot: ModuleType, builds_simulator: BuildsSimulator, monkeypatch: pytest.MonkeyPatch) -> Webhook:
    """What a bot posts to, in place of `aiohttp`."""
    on_clock(monkeypatch, builds_simulator)
    hook = Webhook()
    monkeypatch.setattr(bot, "aiohttp", hook)
    return hook
