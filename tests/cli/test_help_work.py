"""What is only help, the reason of a failure and the names of Workers, delays little and costs little."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builds_async.cli import help_work, outcome, workers
from builds_async.simulator import Fault
from tests.cli.support import Run, Served, environment, started
from tests.cli.test_processes import heard, say

Cli = Callable[..., Run]

LISTING = "/workers/scripts"
ERROR = "Error: no such module"


@pytest.fixture(autouse=True)
def _brief(account: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Half a second instead of five; and no fault is left behind."""
    monkeypatch.setattr(outcome, "SECONDS", 0.5)
    monkeypatch.setattr(help_work.help_work, "__defaults__", (0.5,))
    monkeypatch.setattr(workers, "_MOMENT", 0.2)
    yield
    account.do(account.sim.clear_faults)


def requests_for(account: Served, ending: str) -> int:
    """How often a path with this end was asked for."""
    return sum(it.path.endswith(ending) for it in account.do(lambda: list(account.sim.requests)))


def failed(account: Served, lines: int) -> str:
    """A failed build with an error in its first line and so many after it."""
    said = [ERROR, *(f"line {number}" for number in range(lines))]
    return account.do(lambda: account.sim.add_finished_build(said, "fail")).build_uuid  # type: ignore[arg-type]


COMMANDS: list[tuple[str, ...]] = [("wait", "--timeout", "30"), ("wait",), ("show",), ("tail", "--tail", "1")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("trouble", ["stall", "server_error"])
def test_a_reason_that_can_not_be_had(
    trouble: str, words: tuple[str, ...], account: Served, cli: Cli
) -> None:
    """A log that stalls or fails takes a moment, and the outcome is what it is."""
    uuid = failed(account, 3)
    after = 5 if words[0] == "tail" else 0  # its own requests
    account.do(lambda: account.sim.fault(Fault(trouble, path=f"{uuid}/logs", times=None, after=after)))  # type: ignore[arg-type]
    began = time.monotonic()
    run = cli(words[0], uuid, *words[1:])
    assert time.monotonic() - began < 3
    assert run.code == (0 if words[0] == "show" else 1)
    assert "fail" in run.out + run.err
    assert after or ERROR not in run.out + run.err


@pytest.mark.parametrize("words", COMMANDS[:3], ids=" ".join)
def test_a_log_that_is_long(words: tuple[str, ...], account: Served, cli: Cli) -> None:
    """Some pages of it are read, not all; and nothing is guessed from its beginning."""
    uuid = failed(account, 10_000)
    run = cli(words[0], uuid, *words[1:])
    assert requests_for(account, f"{uuid}/logs") <= 25
    assert run.code == (0 if words[0] == "show" else 1)
    assert ERROR not in run.out + run.err
    assert "line 1" not in run.out + run.err


def test_the_deadline_of_a_wait_bounds_the_reason(
    account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of `--timeout` is all that the reason gets; the outcome is told, not the time limit."""
    monkeypatch.setattr(outcome, "SECONDS", 20.0)
    uuid = failed(account, 3)
    account.do(lambda: account.sim.fault(Fault("stall", path=f"{uuid}/logs", times=None)))
    began = time.monotonic()
    run = cli("wait", uuid, "--timeout", "0.7", "-o", "json")
    assert time.monotonic() - began < 3
    assert (run.code, run.err) == (1, f"build {uuid}: fail\n")
    assert run.records[0]["build_outcome"] == "fail"


def test_a_resumed_tail_does_not_guess(account: Served, cli: Cli, tmp_path: Path) -> None:
    """What it has printed itself may be the wrong end of the log: the reason is looked for in all of it."""
    uuid = failed(account, 3)
    file = str(tmp_path / "position")
    runs = [cli("tail", uuid, "--tail", "2", "--resume", file) for _ in range(2)]
    assert [run.err.splitlines()[0] for run in runs] == [f"reason: {ERROR}"] * 2


def test_the_reason_is_what_a_terminal_would_leave(account: Served, cli: Cli) -> None:
    """Of a progress line only its end is told."""
    lines = ["Compiling 10%\rCompiling 50%\r\x1b[KError: no such module\r"]
    build = account.do(lambda: account.sim.add_finished_build(lines, "fail"))  # type: ignore[arg-type]
    assert cli("wait", build.build_uuid).err.splitlines()[0] == f"reason: {ERROR}"


@pytest.mark.parametrize("command", ["tail", "logs"])
@pytest.mark.parametrize("trouble", ["stall", "server_error"])
def test_lines_do_not_wait_for_a_name(trouble: str, command: str, account: Served, cli: Cli) -> None:
    """JSON lines come with a null where the name of the Worker is slow, or can't be had."""
    build = account.do(account.sim.add_finished_build)
    account.do(lambda: account.sim.fault(Fault(trouble, path=LISTING, times=None)))  # type: ignore[arg-type]
    began = time.monotonic()
    run = cli(command, build.build_uuid, "-o", "json")
    assert time.monotonic() - began < 3
    assert run.code == 0
    assert {record["worker"] for record in run.records} == {None}
    assert len(run.records) == len(build.lines)


def test_a_name_that_comes_late_is_told_from_then_on(account: Served) -> None:
    """The first lines of a tail are there before it."""
    build = account.do(account.sim.add_build)
    tag = build.external_script_id
    say(account, build, "first")
    account.do(lambda: account.sim.fault(Fault("slow", path=LISTING, delay=2.0)))
    with started(account.environment, "tail", tag, "-o", "json") as process:
        (first,) = heard(process, 1)
        assert '"worker":null' in first
        deadline = time.monotonic() + 15
        while '"worker":null' in first and time.monotonic() < deadline:
            say(account, build, "more")
            (first,) = heard(process, 1)
        assert '"worker":"worker-' in first


@pytest.mark.parametrize("words", [("status",), ("tail",)], ids=" ".join)
def test_workers_by_tag_do_not_wait_for_names(words: tuple[str, ...], account: Served) -> None:
    """What is asked for by tag is shown by tag while the list of names stalls."""
    build = account.do(account.sim.add_build)
    say(account, build, "a line")
    account.do(lambda: account.sim.fault(Fault("stall", path=LISTING, times=None)))
    tag = build.external_script_id
    began = time.monotonic()
    with started(account.environment, *words, tag) as process:
        lines = heard(process, 2 if words[0] == "status" else 1)
    assert time.monotonic() - began < 4
    assert lines[-1].startswith(tag[:30])


def test_a_name_server_that_does_not_answer() -> None:
    """The end of a command does not wait for a look-up of a host that goes on in a thread."""
    code = (
        "import socket, sys, time\n"
        "socket.getaddrinfo = lambda *_, **__: time.sleep(60)\n"
        "from builds_async.__main__ import main\n"
        "sys.argv = ['builds-async', 'wait', '8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e', '--timeout', '0.5']\n"
        "main()\n"
    )
    variables = {
        "CLOUDFLARE_API_TOKEN": "x" * 40,
        "CLOUDFLARE_ACCOUNT_ID": "a" * 32,
        "CLOUDFLARE_BASE_URL": "https://api.example/client/v4",
    }
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-W", "error", "-c", code],
        env=environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
    )
    assert (done.returncode, done.stderr) == (124, "builds-async: not finished after 0.5 s\n")
    assert time.monotonic() - began < 15
