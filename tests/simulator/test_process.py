"""Real processes as builds."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from builds_async.models import BuildOutcome, BuildStatus
from builds_async.simulator import BuildsSimulator, SimulatedBuild, VirtualClock
from builds_async.simulator.process import LineSplitter
from tests.support.case import cases

FAILED = "Failed: error occurred while running build command"


@pytest.fixture
async def sim() -> AsyncIterator[BuildsSimulator]:
    """A started simulator on real time that kills processes early."""
    async with BuildsSimulator(kill_after=0.05) as simulator:
        yield simulator


def python(code: str) -> list[str]:
    """A command that runs Python code, unbuffered."""
    return [sys.executable, "-S", "-u", "-c", code]


def output(build: SimulatedBuild) -> list[str]:
    """The output of the command itself."""
    texts = [line.message for line in build.lines]
    begin = next(
        number for number, text in enumerate(texts) if text.startswith("Executing user build command")
    )
    return texts[begin + 1 :]


async def until(condition: Any) -> None:
    """Let the loop turn until a condition holds, for at most ten seconds."""
    deadline = time.monotonic() + 10.0
    while not condition():
        await asyncio.sleep(0.002)
        assert time.monotonic() < deadline


def is_alive(pid: int) -> bool:
    """Whether a process exists; a zombie does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_lines_arrive_while_the_process_runs(sim: BuildsSimulator, door: Any, tmp_path: Path) -> None:
    """Lines arrive over the API while the process still runs."""
    go = tmp_path / "go"
    os.mkfifo(go)
    code = f"import pathlib; print('first'); pathlib.Path({str(go)!r}).read_text(); print('second')"
    build = await sim.run_build(python(code))
    path = f"builds/{build.build_uuid}"
    await until(lambda: "first" in output(build))
    page = door(sim).result(f"{path}/logs")
    assert page["lines"][-1][1] == "first"
    assert door(sim).result(path)["status"] == "running"
    await asyncio.to_thread(go.write_text, "go")
    await until(lambda: build.outcome is not None)
    newer = door(sim).result(f"{path}/logs", cursor=page["cursor"])
    assert [text for _, text in newer["lines"]] == ["second", "Success: Build command completed"]
    assert door(sim).result(path)["build_outcome"] == "success"


async def test_output_and_errors_are_one_stream_and_the_exit_code_decides(sim: BuildsSimulator) -> None:
    """Output and errors are one stream in the order of writing, and the exit code decides the outcome."""
    code = "import sys; print('out'); print('err', file=sys.stderr); print('out again'); sys.exit(3)"
    build = await sim.run_build(python(code))
    await until(lambda: build.outcome is not None)
    assert output(build) == ["out", "err", "out again", FAILED]
    assert (build.outcome, build.status) == ("fail", "stopped")


async def test_a_command_that_cannot_start_is_a_failed_build(sim: BuildsSimulator) -> None:
    """A command that can't be started is a failed build with the reason in its log, and raises nothing."""
    for command in (["/does/not/exist"], ["nul\0byte"]):
        build = await sim.run_build(command)
        assert build.outcome == "fail"
        why, last = output(build)
        assert why.startswith("✘ [ERROR] The command could not be started: ")
        assert last == FAILED


async def test_a_command_is_a_list_of_words(sim: BuildsSimulator) -> None:
    """A command is a sequence of words; a single string would need a shell and is a ValueError."""
    commands: tuple[str | list[str], ...] = ("npm run build", [])
    for command in commands:
        with pytest.raises(ValueError, match="sequence of words"):
            await sim.run_build(command)
    with pytest.raises(RuntimeError, match="not started"):
        await BuildsSimulator().run_build(["true"])


async def test_the_environment_is_that_of_a_build(sim: BuildsSimulator, tmp_path: Path) -> None:
    """The environment is the given one plus the variables of a real build."""
    names = (
        "MINE",
        "CI",
        "WORKERS_CI",
        "WORKERS_CI_BUILD_UUID",
        "WORKERS_CI_COMMIT_SHA",
        "WORKERS_CI_BRANCH",
    )
    code = f"import os; print(os.getcwd(), *(os.environ.get(name) for name in {names}), 'HOME' in os.environ)"
    build = await sim.run_build(
        python(code), cwd=tmp_path, env={"MINE": "x"}, branch="dev", commit_hash="abc"
    )
    await until(lambda: build.outcome is not None)
    assert output(build)[0] == f"{tmp_path} x true 1 {build.build_uuid} abc dev False"


async def test_canceling_over_the_api_ends_the_process(sim: BuildsSimulator, tmp_path: Path) -> None:
    """Canceling sends SIGTERM, lets the process clean up, and drops its later output."""
    flag = tmp_path / "flag"
    code = (
        "import os, signal, sys, time\n"
        "def end(*_):\n"
        f"    print('goodbye'); open({str(flag)!r}, 'w').close(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print(os.getpid())\n"
        "time.sleep(60)\n"
    )
    build = await sim.run_build(python(code))
    await until(lambda: output(build))
    headers = {"Authorization": f"Bearer {sim.api_token}"}
    url = f"{sim.url}/accounts/{sim.account_id}/builds/builds/{build.build_uuid}/cancel"
    async with aiohttp.ClientSession(headers=headers) as session, session.put(url) as response:
        assert (await response.json())["result"]["build_outcome"] == "cancelled"
    pid = int(output(build)[0])
    await until(lambda: not is_alive(pid))
    assert flag.exists()
    assert (output(build), build.outcome) == ([str(pid)], "cancelled")


async def test_a_process_that_ignores_sigterm_is_killed(sim: BuildsSimulator) -> None:
    """A process that ignores SIGTERM is killed after the grace time, along with its children."""
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        "print(os.getpid(), child.pid)\n"
        "time.sleep(60)\n"
    )
    build = await sim.run_build(python(code))
    await until(lambda: output(build))
    pids = [int(pid) for pid in output(build)[0].split()]
    build.cancel()
    await until(lambda: not any(is_alive(pid) for pid in pids))


def children() -> set[int]:
    """The children of this process, zombies included."""
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True) as listing:  # noqa: S607
        out, _ = listing.communicate()
    pairs = (map(int, line.split()) for line in out.splitlines())
    return {pid for pid, parent in pairs if parent == os.getpid()} - {listing.pid}


async def test_stopping_ends_and_reaps_every_process() -> None:
    """Stopping cancels running builds and leaves no child, not even a zombie."""
    before = children()  # a server that other tests use, for example
    async with BuildsSimulator(kill_after=0.05) as sim:
        builds = [await sim.run_build(["sleep", "60"]) for _ in range(3)]
        starting = asyncio.create_task(sim.run_build(["sleep", "60"]))
        await asyncio.sleep(0)
    builds.append(await starting)
    assert [build.outcome for build in builds] == ["cancelled"] * 4
    assert children() == before


async def test_a_build_finished_by_hand_ends_its_process() -> None:
    """A build that is finished by hand keeps its given outcome, and stopping waits for no process."""
    async with BuildsSimulator(kill_after=0.05) as sim:
        finished, stopped = [await sim.run_build(["sleep", "60"]) for _ in range(2)]
        finished.finish(BuildOutcome.SKIPPED)
        stopped.set_status(BuildStatus.STOPPED)
    assert (finished.outcome, stopped.outcome) == ("skipped", None)


async def test_a_remaining_child_does_not_keep_the_build_running(
    sim: BuildsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build ends with its command, and the command's remaining children are killed."""
    monkeypatch.setattr("builds_async.simulator.process._LAST_OUTPUT", 0.05)
    began = time.monotonic()
    build = await sim.run_build(["sh", "-c", "sleep 60 & echo $!"])
    await until(lambda: build.outcome is not None)
    assert (build.outcome, time.monotonic() - began < 5.0) == ("success", True)
    pid = int(output(build)[0])
    await until(lambda: not is_alive(pid))


async def test_late_output_of_a_child_is_kept(sim: BuildsSimulator) -> None:
    """Output of a child just after its parent ended is kept, so that a pipeline loses no last lines."""
    build = await sim.run_build(["sh", "-c", "(sleep 0.02; echo late) & echo now"])
    await until(lambda: build.outcome is not None)
    assert output(build)[:2] == ["now", "late"]


def test_an_endless_line_is_not_held_back() -> None:
    """An endless line is split: at most one line of the maximum length stays in memory."""
    splitter, lines = LineSplitter(longest=10), list[str]()
    for number in range(1, 100):
        lines += splitter.feed(b"1234567")
        assert 7 * number - sum(map(len, lines)) <= 10


async def test_long_output_without_newlines_is_cut(sim: BuildsSimulator) -> None:
    """Long output without newlines is split into lines of at most 64 Ki characters, and none is lost."""
    build = await sim.run_build(python("import sys; sys.stdout.write('x' * 200_000 + '\\nlast')"))
    await until(lambda: build.outcome is not None)
    *pieces, last, _ = output(build)
    assert ("".join(pieces), last) == ("x" * 200_000, "last")
    assert [len(piece) for piece in pieces] == [65536, 65536, 65536, 200_000 - 3 * 65536]


async def test_time_is_real_while_a_process_runs_on_a_virtual_clock() -> None:
    """While a process runs, a virtual clock follows real time; afterwards it jumps again."""
    clock = VirtualClock()
    async with BuildsSimulator(clock=clock) as sim:
        began = time.monotonic()
        build = await sim.run_build(python("import time; print('a'); time.sleep(0.05); print('b')"))
        while build.outcome is None:
            await clock.sleep(0.005)
        assert 0.05 <= clock.now() <= time.monotonic() - began + 0.005
        await clock.sleep(3600.0)
        assert output(build)[:2] == ["a", "b"]


@cases(
    ("pieces", "expected"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a\r\n\r\n\nb"], ["a", "", "", "b"]),
        ([b"caf\xc3", b"\xa9\n"], ["caf\u00e9"]),
        ([b"\xff\xfe\n", b"end\xc3"], ["\ufffd\ufffd", "end\ufffd"]),
        ([b"abcdefghij", b"kl\n"], ["abcd", "efgh", "ijkl"]),
        ([b"abcd\n", b"\n"], ["abcd", ""]),
        ([b"progress 1\rprogress 2\n"], ["prog", "ress", " 1\rp", "rogr", "ess ", "2"]),
        ([], []),
    ],
    ids=["lines", "line ends", "split letter", "not utf-8", "long", "full", "carriage returns", "nothing"],
)
def test_bytes_become_lines(pieces: list[bytes], expected: list[str]) -> None:
    """Bytes become the same lines, however they are chunked."""
    for cut in (pieces, [bytes([byte]) for piece in pieces for byte in piece]):
        splitter = LineSplitter(longest=4)
        lines = [line for piece in cut for line in splitter.feed(piece)]
        lines += splitter.feed(b"", last=True)
        assert lines == (expected if max(map(len, expected), default=0) <= 4 else lines)
        assert "".join(lines) == "".join(expected)


async def test_command_gets_no_credentials_unless_they_are_passed(
    sim: BuildsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No `CLOUDFLARE_*` variable of this process reaches the command, unless `env` passes it."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "cfut_of-this-process")
    monkeypatch.setenv("OTHER", "other")
    code = "import os; print(os.environ.get('CLOUDFLARE_API_TOKEN'), os.environ.get('OTHER'))"
    inherited = await sim.run_build(python(code))
    passed = await sim.run_build(python(code), env={"CLOUDFLARE_API_TOKEN": "cfut_passed"})
    await until(lambda: inherited.outcome is not None and passed.outcome is not None)
    assert (output(inherited)[0], output(passed)[0]) == ("None other", "cfut_passed None")
