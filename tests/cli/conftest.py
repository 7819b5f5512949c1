"""Fixtures of the tests of the command."""

from collections.abc import Callable, Iterator

import pytest

from builds_async.cli.app import run
from builds_async.simulator import SimulatedBuild
from tests.cli.support import Run, Served


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """A simulator for all tests: each adds its own Workers and builds."""
    made = Served()
    yield made
    made.close()


@pytest.fixture
def account(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The simulator, which the environment names."""
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    return served


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """`cli("logs", uuid)` runs the command in this process."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: str) -> Run:
        capsys.readouterr()
        code = run(words)
        return Run(code, *capsys.readouterr())

    return call


@pytest.fixture
def failed(account: Served) -> SimulatedBuild:
    """A build of some lines that failed an hour ago."""
    lines = ["first", "second", "Error: no such module", "Failed: error occurred while running build command"]
    return account.do(lambda: account.sim.add_finished_build(lines, "fail"))  # type: ignore[arg-type]
