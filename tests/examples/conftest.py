"""Fixtures for the bots' tests."""

from types import ModuleType

import pytest

from builds_async.simulator import BuildsSimulator
from tests.examples.support import Webhook, on_clock


@pytest.fixture
def hook(bot: ModuleType, builds_simulator: BuildsSimulator, monkeypatch: pytest.MonkeyPatch) -> Webhook:
    """The webhook of a bot, in place of `aiohttp`."""
    on_clock(monkeypatch, builds_simulator)
    hook = Webhook()
    monkeypatch.setattr(bot, "aiohttp", hook)
    return hook
