"""Tests the commands of `--exec`: their input, their concurrency, and their end."""

import asyncio
import json
import shlex
import signal
import sys
from pathlib import Path

import pytest

from builds_async import Build, BuildOutcome, BuildsClient, BuildStatus, BuildTriggerMetadata
from builds_async.cli import executing
from builds_async.cli.executing import VARIABLES, Commands, Finished
from builds_async.cli.exits import CommandError
from builds_async.cli.options import ExecOptions
from builds_async.simulator import BuildsSimulator, VirtualClock
from tests.cli.support import UUID

HOSTILE = "$(touch owned)`id`;\x00\x1b[2J\nBUILDS_ASYNC_URL=x"
TELL = """
import json, os, sys
variables = {name: value for name, value in os.environ.items() if name.startswith("BUILDS_ASYNC_")}
with open(sys.argv[1], "w") as file:
    json.dump([variables, sys.stdin.read(), sys.argv[2:]], file)
"""


def client() -> BuildsClient:
    return BuildsSimulator(clock=VirtualClock()).client()


def build(outcome: BuildOutcome = BuildOutcome.SUCCESS, uuid: str = UUID, branch: str = "main") -> Build:
    metadata = BuildTriggerMetadata(branch=branch, commit_hash="c0ffee", commit_message=HOSTILE)
    return Build(
        build_uuid=uuid,
        status=BuildStatus.STOPPED,
        build_outcome=outcome,
        build_trigger_metadata=metadata,
    )


def python(script: str, *words: object) -> str:
    """A command line that runs a script."""
    return shlex.join([sys.executable, "-c", script, *map(str, words)])


def commands(command: str, *, jobs: int = 4, timeout: str = "10m") -> Commands:
    made = Commands.of(client(), ExecOptions(command=command, jobs=jobs, timeout=timeout))
    assert made is not None
    return made


async def run(command: str, finished: Finished, *, timeout: str = "10m") -> Commands:
    async with commands(command, timeout=timeout) as running:
        running.add(finished)
        await running.drain()
    return running


async def test_input_of_a_command(tmp_path: Path) -> None:
    """The facts are in variables, all of which are set, and the build is on standard input."""
    file = tmp_path / "told"
    running = await run(python(TELL, file), Finished(build(BuildOutcome.FAIL), "shop", "Error: a"))
    variables, text, _ = json.loads(file.read_text())
    assert variables.keys() >= VARIABLES.keys()
    facts = {name.removeprefix("BUILDS_ASYNC_"): value for name, value in variables.items()}
    assert (facts["BUILD"], facts["WORKER"], facts["OUTCOME"]) == (UUID, "shop", "fail")
    assert (facts["BRANCH"], facts["COMMIT"], facts["REASON"]) == ("main", "c0ffee", "Error: a")
    assert facts["URL"].endswith(f"/view/shop/production/builds/{UUID}")
    assert facts["DURATION"] == ""
    record = json.loads(text)
    assert (record["build_uuid"], record["worker"], record["reason"]) == (UUID, "shop", "Error: a")
    assert record["dashboard_url"] == facts["URL"]
    assert not running.pending


async def test_hostile_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text of a build is never part of the command, has no control characters, and is cut if too long."""
    monkeypatch.chdir(tmp_path)
    long = HOSTILE + "x" * 300_000
    await run(
        python(TELL, "told", "$BUILDS_ASYNC_BRANCH", ";", "|"), Finished(build(branch=long), HOSTILE, long)
    )
    variables, text, words = json.loads((tmp_path / "told").read_text())
    assert words == ["$BUILDS_ASYNC_BRANCH", ";", "|"]
    assert variables["BUILDS_ASYNC_BRANCH"].startswith("$(touch owned)`id`;^@^[[2J^JBUILDS_ASYNC_URL=xx")
    assert max(map(len, variables.values())) < 50_000
    assert not [value for value in variables.values() if set(value) & set("\x00\x1b\n")]
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["told"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("", "the command is empty"),
        ("  ", "the command is empty"),
        ("echo 'x", "No closing quotation"),
        ("no-such-program-at-all x", "program not found: 'no-such-program-at-all'; --exec uses no shell"),
        ("/nowhere/notify", "program not found"),
        ("echo \0", "program not found"),
    ],
    ids=repr,
)
def test_invalid_command(command: str, problem: str) -> None:
    """A command that can't be run is an error at the start, not at the end of the first build."""
    with pytest.raises(CommandError, match=problem):
        commands(command)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("echo a | cat", "|"),
        ("echo a && echo b", "&&"),
        ('echo "$BUILDS_ASYNC_OUTCOME"', "$BUILDS_ASYNC_OUTCOME"),
        ("sh -c 'echo $BUILDS_ASYNC_OUTCOME | cat'", None),
        ("echo $HOME", None),
    ],
)
def test_shell_syntax(command: str, word: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A word that only a shell would interpret is reported at the start, and the command still runs."""
    commands(command)
    told = capsys.readouterr().err
    assert (f"there is no shell: {word} is passed on unchanged" in told) is (word is not None)


def test_invalid_timeout() -> None:
    """The error for an invalid timeout names the option."""
    with pytest.raises(CommandError, match="--exec-timeout: 'soon' is not a duration"):
        commands("echo", timeout="soon")


def test_without_a_command() -> None:
    """Without --exec, there are no commands, and its other options are an error."""
    assert Commands.of(client(), ExecOptions()) is None
    with pytest.raises(CommandError, match="--exec-jobs and --exec-timeout go with --exec"):
        Commands.of(client(), ExecOptions(jobs=2))


@pytest.mark.parametrize(
    ("script", "timeout", "problem"),
    [
        ("raise SystemExit(3)", "10m", "has exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "10m", "was ended by signal 9"),
        ("import time; time.sleep(60)", "0.2", "was stopped after 0s"),
    ],
    ids=["code", "signal", "timeout"],
)
async def test_a_command_that_fails(
    script: str, timeout: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure is one line on standard error, and the command counts as run."""
    running = await run(python(script), Finished(build()), timeout=timeout)
    told = capsys.readouterr().err
    assert told == f"builds-async: --exec: {sys.executable} {problem}, for build {UUID[:8]}\n"
    assert not running.pending


async def test_a_command_that_fails_to_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that has disappeared is reported, and the next build still runs its command."""
    program = tmp_path / "notify"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    async with commands(str(program)) as running:
        program.unlink()
        for uuid in ("a" * 8, "b" * 8):
            running.add(Finished(build(uuid=uuid)))
        await running.drain()
    told = capsys.readouterr().err.splitlines()
    assert [line.endswith(f"for build {letter * 8}") for line, letter in zip(told, "ab", strict=True)]
    assert "can't be started: No such file or directory" in told[0]


async def test_a_command_that_reads_nothing() -> None:
    """A command may ignore its standard input."""
    big = build(branch="x" * 500_000)
    assert not (await run(python("pass"), Finished(big))).pending


async def test_concurrency(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most `jobs` commands run concurrently, in order, and reading pauses while a hundred are waiting."""
    running, most, order, go = 0, 0, list[str](), asyncio.Event()

    async def executed(_self: Commands, environ: dict[str, str], _data: bytes) -> None:
        nonlocal running, most
        order.append(environ["BUILDS_ASYNC_BUILD"])
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1

    monkeypatch.setattr(Commands, "_executed", executed)
    async with commands("echo", jobs=3) as them:
        for number in range(executing.MAX_WAITING - 1):
            them.add(Finished(build(uuid=f"{number:08}")))
        await them.room()
        them.add(Finished(build(uuid="last")))
        room = asyncio.ensure_future(them.room())
        await asyncio.sleep(0)
        assert (most, room.done()) == (3, False)
        go.set()
        await room
        await them.drain()
    assert most == 3
    assert order == [*(f"{number:08}" for number in range(executing.MAX_WAITING - 1)), "last"]


STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(60)
"""


async def test_the_end_of_running_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that does not end is killed with its children, and a waiting one never starts."""
    monkeypatch.setattr(executing, "_FINISH_SECONDS", 0.0)
    monkeypatch.setattr(executing, "_TERMINATE_SECONDS", 0.1)
    sent = list[int]()
    send = executing._send

    def noted(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        sent.append(number)
        send(process, number)

    monkeypatch.setattr(executing, "_send", noted)
    file = tmp_path / "pid"
    async with commands(python(STUBBORN, file), jobs=1) as running:
        for uuid in ("first", "second"):
            running.add(Finished(build(uuid=uuid)))
        while not (file.exists() and file.read_text()):  # in another process
            await asyncio.sleep(0.01)
    assert running.pending == {"first", "second"}
    assert sent == [signal.SIGTERM, signal.SIGKILL]
    child = Path(f"/proc/{file.read_text()}/stat")
    if child.parent.parent.is_dir():
        while child.exists() and child.read_text().rpartition(")")[2].split()[0] not in "ZX":
            await asyncio.sleep(0.01)  # the signal is sent, but the kernel may not have ended it yet


async def test_a_command_may_finish(tmp_path: Path) -> None:
    """A command that is about to end when the others are stopped may end, and counts as run."""
    file = tmp_path / "done"
    script = f"open({str(file)!r}, 'w').close()"
    async with commands(python(script)) as running:
        running.add(Finished(build()))
        await asyncio.sleep(0)  # it starts
    assert file.exists()
    assert not running.pending


async def test_the_reason_comes_from_the_log(tmp_path: Path) -> None:
    """A missing reason for a failure is read from the log."""
    sim = BuildsSimulator(clock=VirtualClock())
    failed = sim.add_finished_build(["Error: no such module"], BuildOutcome.FAIL)
    file = tmp_path / "told"
    async with sim.client() as connected:
        found = await connected.builds.get(failed.build_uuid)
        made = Commands.of(connected, ExecOptions(command=python(TELL, file)))
        assert made is not None
        async with made:
            made.add(Finished(found))
            await made.drain()
    assert json.loads(file.read_text())[0]["BUILDS_ASYNC_REASON"] == "Error: no such module"
