"""Helpers for the command's tests: a simulator in a thread, and the command as a process."""

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from builds_async import BuildOutcome, BuildStatus
from builds_async.simulator import BuildsSimulator, Moment, SimulatedBuild

T = TypeVar("T")

_INSTALLED = Path(sys.executable).with_name("builds-async")
COMMAND = [
    sys.executable,
    "-W",
    "error",
    *([str(_INSTALLED)] if _INSTALLED.exists() else ["-m", "builds_async"]),
]
_TERMINAL = {"NO_COLOR", "FORCE_COLOR", "FORCE_HYPERLINK", "VTE_VERSION", "WT_SESSION"}
DEADLINE = 20.0
NOBODY = "http://127.0.0.1:9/client/v4"
"""An address on which nothing listens."""
UUID = "8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e"
"""A build that does not exist."""
SECRET = "cfut_" + "s" * 35
FULL = Path("/dev/full")
"""A device that is always full, if the system has one."""


class Run(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        """The JSON objects on standard output, one per line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> str:
        """The last line on standard error."""
        return self.err.splitlines()[-1]


Cli = Callable[..., Run]
"""The fixture `cli`."""


class Terminal(io.TextIOWrapper):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


class Served:
    """A simulator in its own thread, so that a command may block this one."""

    def __init__(self, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.sim = BuildsSimulator(started_builds=_at_once, rate_limit=None, **options)
        asyncio.run_coroutine_threadsafe(self.sim.start(), self._loop).result(DEADLINE)

    def close(self) -> None:
        """Stop the server and its thread."""
        asyncio.run_coroutine_threadsafe(self.sim.stop(), self._loop).result(DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()

    def do(self, what: Callable[[], T]) -> T:
        """Call a function in the thread of the simulator."""

        async def call() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(DEADLINE)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with its address and credentials."""
        return {
            "CLOUDFLARE_BASE_URL": self.sim.url,
            "CLOUDFLARE_ACCOUNT_ID": self.sim.account_id,
            "CLOUDFLARE_API_TOKEN": self.sim.api_token,
        }


@contextmanager
def serving(**options: Any) -> Iterator[Served]:
    """A simulator with these options, for one test."""
    made = Served(**options)
    try:
        yield made
    finally:
        made.close()


def _at_once(_build: SimulatedBuild) -> list[Moment]:
    """The script of a build that was started over the API: it ends at once."""
    return [(0.0, "built"), (0.0, BuildStatus.STOPPED), (0.0, BuildOutcome.SUCCESS)]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process plus these variables, without settings of terminals and encodings."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLOUDFLARE_", "LC_", "PYTHON", "TERM_PROGRAM")) and name not in _TERMINAL
    }
    return {**plain, "LANG": "C.UTF-8", "TERM": "xterm-256color", "COLUMNS": "80", **variables}


@contextmanager
def started(variables: Mapping[str, str], *words: str, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process, with pipes for its output; killed at the end if still running."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **how}
    with subprocess.Popen([*COMMAND, *words], env=environment(variables), **how) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[bytes]) -> Run:
    """Wait until the process has ended, and return the rest of its output."""
    out, err = process.communicate(timeout=DEADLINE)
    return Run(process.returncode, (out or b"").decode(), (err or b"").decode())


def eventually(true: Callable[[], object]) -> None:
    """Wait until a condition is true; fail after a deadline."""
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def emit(served: Served, build: SimulatedBuild, *lines: str) -> None:
    """Add lines to the log of a build."""
    served.do(lambda: build.emit(*lines))


def read_lines(process: subprocess.Popen[bytes], count: int) -> list[str]:
    """The next lines that the process prints."""
    assert process.stdout is not None
    return [process.stdout.readline().decode().removesuffix("\n") for _ in range(count)]


def builds_of(account: Served, name: str) -> list[SimulatedBuild]:
    """The builds of a Worker, oldest first."""
    tag = account.sim.workers[name]
    return [build for build in account.sim.builds.values() if build.external_script_id == tag]
