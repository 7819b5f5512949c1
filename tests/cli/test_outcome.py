"""Tests the search for the reason of a failure: a best effort, bounded in time and requests."""

import time
from pathlib import Path

import pytest

from builds_async.cli import lookup
from builds_async.simulator import Fault
from tests.cli.support import Cli, Served

pytestmark = pytest.mark.usefixtures("brief")

ERROR = "Error: no such module"


def requests_for(account: Served, ending: str) -> int:
    """The number of requests whose path has this ending."""
    return sum(it.path.endswith(ending) for it in account.do(lambda: list(account.sim.requests)))


def failed(account: Served, lines: int) -> str:
    """A failed build with an error in its first line and `lines` lines after it."""
    said = [ERROR, *(f"line {number}" for number in range(lines))]
    return account.do(lambda: account.sim.add_finished_build(said, "fail")).build_uuid  # type: ignore[arg-type]


COMMANDS: list[tuple[str, ...]] = [("wait", "--timeout", "30"), ("wait",), ("show",), ("tail", "--tail", "1")]


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("trouble", ["stall", "server_error"])
def test_a_reason_that_is_not_found(trouble: str, words: tuple[str, ...], account: Served, cli: Cli) -> None:
    """A log that stalls or fails delays the command briefly and does not change the exit code."""
    uuid = failed(account, 3)
    after = 5 if words[0] == "tail" else 0  # requests of the tail itself
    account.do(lambda: account.sim.fault(Fault(trouble, path=f"{uuid}/logs", times=None, after=after)))  # type: ignore[arg-type]
    began = time.monotonic()
    run = cli(words[0], uuid, *words[1:])
    assert time.monotonic() - began < 3
    assert run.code == (0 if words[0] == "show" else 1)
    assert "fail" in run.out + run.err
    assert after or ERROR not in run.out + run.err


@pytest.mark.parametrize("words", COMMANDS[:3], ids=" ".join)
def test_a_long_log(words: tuple[str, ...], account: Served, cli: Cli) -> None:
    """At most 20 pages of a log are read, and an error in them is not reported if the end is missing."""
    uuid = failed(account, 10_000)
    run = cli(words[0], uuid, *words[1:])
    assert requests_for(account, f"{uuid}/logs") <= 25
    assert run.code == (0 if words[0] == "show" else 1)
    assert ERROR not in run.out + run.err
    assert "line 1" not in run.out + run.err


@pytest.mark.slow
def test_the_deadline_of_a_wait_bounds_the_reason(
    account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search for the reason ends with `--timeout`; the outcome is reported, not the timeout."""
    monkeypatch.setattr(lookup, "_BEST_EFFORT_SECONDS", 20.0)
    uuid = failed(account, 3)
    account.do(lambda: account.sim.fault(Fault("stall", path=f"{uuid}/logs", times=None)))
    began = time.monotonic()
    run = cli("wait", uuid, "--timeout", "0.7", "-o", "json")
    assert time.monotonic() - began < 3
    assert (run.code, run.err) == (1, f"build {uuid}: fail\n")
    assert run.records[0]["build_outcome"] == "fail"


def test_a_resumed_tail_reads_the_whole_log(account: Served, cli: Cli, tmp_path: Path) -> None:
    """A tail that printed only part of the log reads all of it to find the reason."""
    uuid = failed(account, 3)
    file = str(tmp_path / "position")
    runs = [cli("tail", uuid, "--tail", "2", "--resume", file) for _ in range(2)]
    assert [run.err.splitlines()[0] for run in runs] == [f"reason: {ERROR}"] * 2


def test_the_reason_is_rendered(account: Served, cli: Cli) -> None:
    """If a progress line is the reason, only its final state is printed."""
    lines = ["Compiling 10%\rCompiling 50%\r\x1b[KError: no such module\r"]
    build = account.do(lambda: account.sim.add_finished_build(lines, "fail"))  # type: ignore[arg-type]
    assert cli("wait", build.build_uuid).err.splitlines()[0] == f"reason: {ERROR}"
