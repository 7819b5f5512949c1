"""Fixtures for the command's tests."""

import itertools
import os
from collections.abc import Iterator

import pytest

from builds_async.cli import lookup, running, sink
from builds_async.cli.app import run
from builds_async.simulator import SimulatedBuild
from tests.cli.support import Cli, Run, Served

collect_ignore = (
    [] if os.name == "posix" else ["test_pty.py", "test_shells.py", "test_watching.py"]
)  # they need a pseudo-terminal


@pytest.fixture(scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Paths that nothing has written to."""
    folder = tmp_path_factory.mktemp("caches")
    return map(str, map(folder.joinpath, map(str, itertools.count())))


@pytest.fixture(autouse=True)
def _cache(_caches: Iterator[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", next(_caches))


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """A simulator for all tests; each test adds its own Workers and builds."""
    made = Served()
    yield made
    made.close()


@pytest.fixture
def account(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The simulator, with its address and credentials in the environment."""
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    return served


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """A function that runs the command in this process, as in `cli("logs", uuid)`."""
    for name in ("NO_COLOR", "FORCE_COLOR", "FORCE_HYPERLINK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: str) -> Run:
        capsys.readouterr()
        code = run(words)
        return Run(code, *capsys.readouterr())

    return call


@pytest.fixture
def failed(account: Served) -> SimulatedBuild:
    """A build of four lines that failed an hour ago."""
    lines = ["first", "second", "Error: no such module", "Failed: error occurred while running build command"]
    return account.do(lambda: account.sim.add_finished_build(lines, "fail"))  # type: ignore[arg-type]


@pytest.fixture
def shop(account: Served) -> str:
    """The name of a Worker with a failed build and a later, successful one."""
    name = f"shop-{len(account.sim.workers)}"

    def add() -> None:
        tag = account.sim.add_worker(name)
        account.sim.add_finished_build(["Error: a"], "fail", age=7200, external_script_id=tag)  # type: ignore[arg-type]
        account.sim.add_finished_build(external_script_id=tag, commit_hash="c0ffee" + "0" * 34)

    account.do(add)
    return name


@pytest.fixture
def brief(account: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limit optional work to half a second instead of five, and clear the test's faults at its end."""
    monkeypatch.setattr(lookup, "_BEST_EFFORT_SECONDS", 0.5)
    monkeypatch.setattr(lookup, "_NAME_DELAY", 0.2)
    yield
    account.do(account.sim.clear_faults)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The list of stop signals that have arrived; append to it to simulate one."""
    made = running._Stops()
    monkeypatch.setattr(running, "_stops", made)
    monkeypatch.setattr(sink, "_POLL", 0.001)
    return made.received  # type: ignore[return-value]
