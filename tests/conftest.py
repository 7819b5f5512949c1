"""Fixtures that all tests share."""

import gc
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from builds_async import BuildsClient
from tests.support import ACCOUNT, TOKEN, FakeClock, MockApi
from tests.support.needs import MISSING

ROOT = Path(__file__).parent.parent

if sys.dont_write_bytecode:
    # Without byte code, each worker rewrites the asserts of all files in each run: that takes longer than the
    # fast tests. So it is kept in the folder of pytest's caches, and not next to the sources.
    sys.pycache_prefix = str(ROOT / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False

SLOW_FIXTURES = {
    "served": "whole commands, and an account behind a socket",
    "engine": "a server of Redis",
    "each_engine": "several servers of Redis",
}
"""What makes a test slow, so that the fast run has one test of each file with it: the first."""

SLOW_FILES = {
    "dashboard/test_build_pane.py": "a server behind a socket, and real pauses",
    "dashboard/test_table.py": "the same",
    "examples/test_costs.py": "whole programs, and hours of them",
    "examples/test_events_bot.py": "whole programs",
    "examples/test_notify_bot.py": "whole programs",
    "examples/test_wait_in_ci.py": "whole programs",
    "fleet/test_fleet.py": "fleets over hours",
    "test_simulated.py": "a server behind a socket",
}
"""Files whose tests are slow altogether: again, the fast run has the first."""

STOP_SIGNALS: dict[signal.Signals, Any] = {
    getattr(signal, name): handler
    for name, handler in {
        "SIGINT": signal.default_int_handler,
        "SIGTERM": signal.SIG_DFL,
        "SIGHUP": signal.SIG_DFL,
    }.items()
    if hasattr(signal, name)
}


@pytest.fixture(scope="session", autouse=True)
def _stop_signals() -> Iterator[None]:
    """Signals stop what they should, here and in every child, even if whoever started the tests ignores them.

    A shell without job control starts its background jobs with SIGINT ignored, `nohup` everything with
    SIGHUP ignored, and children inherit that.
    """
    ignored = [it for it in STOP_SIGNALS if signal.getsignal(it) is signal.SIG_IGN]
    for it in ignored:
        signal.signal(it, STOP_SIGNALS[it])
    yield
    for it in ignored:
        signal.signal(it, signal.SIG_IGN)


@pytest.fixture(scope="module", autouse=True)
def _set_aside() -> None:
    """Keep the garbage collector from going through what earlier modules left: that took a fifth of a run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _bare_environment() -> Iterator[None]:
    """No account, credential, address, shared budget or proxy from the machine that runs the tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("ACCOUNT_ID", "API_TOKEN", "API_KEY", "EMAIL", "BASE_URL"):
            monkeypatch.delenv(f"CLOUDFLARE_{name}", raising=False)
        monkeypatch.delenv("BUILDS_ASYNC_SHARED", raising=False)
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        yield


@pytest.fixture
def clock() -> FakeClock:
    """A clock that nobody has to wait for."""
    return FakeClock()


@pytest.fixture
def api() -> Iterator[MockApi]:
    """The API at its usual address, mocked below the transport."""
    with MockApi() as mock:
        yield mock


@pytest.fixture
async def client(clock: FakeClock) -> AsyncIterator[BuildsClient]:
    """A client with its own session and no jitter to wait for."""
    async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, clock=clock) as made:
        yield made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by rule. One test of each file stays in the fast run, so that no module lacks one."""
    kept: dict[Path, pytest.Item] = {}
    for item in items:
        if item.get_closest_marker("slow") or not isinstance(item, pytest.Function):
            continue
        by_file = str(item.path.relative_to(ROOT / "tests").as_posix()) in SLOW_FILES
        if (by_file or SLOW_FIXTURES.keys() & set(item.fixturenames)) and item is not kept.setdefault(
            item.path, item
        ):
            item.add_marker("slow")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what the run had to do without, and why."""
    reasons = {
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
    }
    missing = sorted(it.removeprefix(MISSING) for it in reasons if it.startswith(MISSING))
    if missing:
        terminalreporter.write_line(f"Some tests were not run. Missing: {'; '.join(missing)}")
