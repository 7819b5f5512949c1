"""Tests `tail --exec` and `events --exec`: the command runs at least once for each finished build."""

import json
import shlex
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from builds_async import BuildOutcome, BuildStatus
from tests.cli.support import Cli, Served, builds_of, emit, ended, eventually, read_lines, serving, started

NOTE = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(os.environ["BUILDS_ASYNC_BUILD"] + " " + os.environ["BUILDS_ASYNC_OUTCOME"] + "\\n")
print("said", flush=True)
time.sleep(float(sys.argv[2]))
sys.exit(int(sys.argv[3]))
"""


def note(file: Path, *, seconds: float = 0, code: int = 0) -> str:
    """A command that appends the build and its outcome to a file."""
    return shlex.join([sys.executable, "-c", NOTE, str(file), str(seconds), str(code)])


def noted(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("output", ["text", "json", "raw"])
def test_one_build(output: str, account: Served, shop: str, cli: Cli, tmp_path: Path) -> None:
    """A tail of one build runs the command at its end; its exit code is still that of the build."""
    uuid, file = builds_of(account, shop)[0].build_uuid, tmp_path / "noted"
    run = cli("tail", uuid, "--exec", note(file, code=3), "-o", output)
    assert run.code == 1
    assert noted(file) == [f"{uuid} fail"]
    assert f"has exit code 3, for build {uuid[:8]}" in run.last


def test_usage(account: Served, shop: str, cli: Cli) -> None:
    """A program that does not exist is a usage error, before anything is requested."""
    account.do(account.sim.requests.clear)
    for command, word in (("tail", shop), ("events", "0" * 32)):
        run = cli(command, word, "--exec", "no-such-program-at-all")
        assert (run.code, run.out) == (2, "")
        assert "--exec: program not found: 'no-such-program-at-all'" in run.err
    assert cli("tail", shop, "--exec", "echo", "--exec-jobs", "0").code == 2
    assert not account.sim.requests


def test_events(account: Served, cli: Cli, tmp_path: Path) -> None:
    """The command runs only for an event of a finished build, before its acknowledgement."""
    queue, file = account.do(account.sim.add_queue), tmp_path / "noted"
    build = account.do(account.sim.add_build)
    account.do(partial(build.set_status, BuildStatus.RUNNING))
    account.do(partial(build.finish, BuildOutcome.FAIL))
    words = ("events", queue, "--limit", "1", "--exec", note(file))
    assert " running " in cli(*words).out
    assert noted(file) == []
    assert " fail " in cli(*words).out
    assert noted(file) == [f"{build.build_uuid} fail"]


def is_behind_the_end(position: Path, build_uuid: str) -> bool:
    """Whether a tail that resumes at the position skips the end of the build."""
    log = json.loads(position.read_text())["position"]["logs"].get(build_uuid)
    return log is None or log["ended"]


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_command_that_was_interrupted_is_run_again(tmp_path: Path) -> None:
    """With --resume, the position passes an end only after its command, which Ctrl-C ends within seconds.

    A command that fails counts as run, and the tail continues.
    """
    file, position = tmp_path / "noted", tmp_path / "position"
    with serving() as alone:
        tag = alone.do(lambda: alone.sim.add_worker("shop"))
        build = alone.do(lambda: alone.sim.add_build([], external_script_id=tag))
        uuid = build.build_uuid
        emit(alone, build, "working")
        words = ("tail", "shop", "--resume", str(position))
        with started(alone.environment, *words) as process:
            read_lines(process, 1)
            process.send_signal(signal.SIGINT)
            ended(process)
        alone.do(partial(build.finish, BuildOutcome.FAIL))
        with started(alone.environment, *words, "--exec", note(file, seconds=60)) as process:
            eventually(lambda: noted(file))
            time.sleep(1.5)  # the position is saved in the meantime
            assert not is_behind_the_end(position, uuid)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert ended(process).code == 130
            assert time.monotonic() - began < 15
        assert not is_behind_the_end(position, uuid)
        with started(alone.environment, *words, "--exec", note(file, code=1)) as process:
            eventually(lambda: is_behind_the_end(position, uuid))
            process.send_signal(signal.SIGINT)
            run = ended(process)
    assert noted(file) == [f"{uuid} fail"] * 2
    assert (run.code, run.out) == (130, "")
    assert "said\n" in run.err
    assert f"has exit code 1, for build {uuid[:8]}" in run.err


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_event_with_an_interrupted_command_is_redelivered(tmp_path: Path) -> None:
    """An event is acknowledged only after its command, so an interrupted one is redelivered."""
    file = tmp_path / "noted"
    with serving() as alone:
        queue = alone.do(alone.sim.add_queue)
        build = alone.do(alone.sim.add_build)
        alone.do(partial(build.finish, BuildOutcome.SUCCESS))
        with started(alone.environment, "events", queue, "--exec", note(file, seconds=60)) as process:
            eventually(lambda: noted(file))
            process.send_signal(signal.SIGINT)
            assert ended(process).code == 130
        with started(alone.environment, "events", queue, "--exec", note(file)) as process:
            eventually(lambda: len(noted(file)) == 2)
            process.send_signal(signal.SIGINT)
            ended(process)
    assert noted(file) == [f"{build.build_uuid} success"] * 2
