"""Fixtures for tests of event streams."""

import gc
from collections.abc import Iterator

import pytest

from builds_async.simulator import (
    BuildsSimulator,
    VirtualClock,
)
from tests.live.events.support import Source


@pytest.fixture
def clock() -> VirtualClock:
    """A clock on which many tasks may sleep."""
    return VirtualClock()


@pytest.fixture
def sim(clock: VirtualClock) -> BuildsSimulator:
    return BuildsSimulator(clock=clock)


@pytest.fixture
def source(sim: BuildsSimulator) -> Source:
    """A queue that is subscribed to the builds of `sim`."""
    return Source(sim, sim.add_queue())


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """Only reference counting frees memory."""
    gc.disable()
    yield
    gc.enable()
