"""Tests tails that are stopped, suspended or cut off at an awkward moment, and then restarted."""

import array
import fcntl
import json
import os
import re
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from builds_async.simulator import SimulatedBuild
from tests.cli.support import COMMAND, FULL, Served, emit, ended, environment, eventually, read_lines, started

pytestmark = pytest.mark.slow


def lines_of(number: int, length: int) -> list[str]:
    """Lines that start and end with their number."""
    return [f"{at:05} {'x' * length} {at:05}" for at in range(number)]


def stalled(reading: int) -> None:
    """Wait until the pipe is full: nothing is added for a while."""
    size = array.array("i", [0])
    before = -1

    def unchanged() -> bool:
        nonlocal before
        fcntl.ioctl(reading, termios.FIONREAD, size)
        was, before = before, size[0]
        time.sleep(0.2)
        return before > 30_000 and was == before

    eventually(unchanged)


def all_of(reading: int) -> bytes:
    data = b""
    while more := os.read(reading, 65536):
        data += more
    return data


def rest_of(served: Served, words: list[str], count: int) -> list[str]:
    """The next `count` lines of a second run, which prints nothing else."""
    with started(served.environment, *words) as process:
        lines = read_lines(process, count)
        if words[1].startswith("worker"):
            process.send_signal(signal.SIGTERM)
        assert ended(process).out == ""
    return lines


UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
STOPS: list[tuple[str, list[signal.Signals], dict[str, str], int]] = [
    ("build", [signal.SIGTERM], UNBUFFERED, 100),
    ("build", [signal.SIGTERM], {}, 9000),
    ("worker", [signal.SIGTERM], UNBUFFERED, 9000),
    ("worker", [signal.SIGTERM], {}, 100),
    ("build", [signal.SIGINT, signal.SIGINT], UNBUFFERED, 9000),
    ("worker", [signal.SIGINT, signal.SIGTERM], {}, 9000),
    ("worker", [signal.SIGHUP], UNBUFFERED, 100),
]
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


def _name(value: object) -> str | None:
    return "-".join(number.name for number in value) if isinstance(value, list) else None


@pytest.mark.parametrize(("of", "signals", "variables", "length"), STOPS, ids=_name)
def test_stopped_without_a_reader(  # noqa: PLR0917  # fixtures
    of: str,
    signals: list[signal.Signals],
    variables: dict[str, str],
    length: int,
    served: Served,
    tmp_path: Path,
) -> None:
    """A command that is stopped without a reader ends soon, and a second run prints exactly the rest."""
    said = lines_of(2000 if length < 1000 else 200, length)
    build: SimulatedBuild = served.do(served.sim.add_build)
    emit(served, build, *said)
    name = {tag: name for name, tag in served.sim.workers.items()}[build.external_script_id]
    what = build.build_uuid if of == "build" else name
    words = ["tail", what, "-o", "raw", "--resume", str(tmp_path / "position")]
    reading, writing = os.pipe()
    with started({**served.environment, **variables}, *words, stdout=writing) as process:
        os.close(writing)
        stalled(reading)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        assert process.wait(5) == CODES[signals[-1]]
        assert process.stderr is not None
        assert process.stderr.read() == b""
    out = all_of(reading).decode().split("\n")
    os.close(reading)
    printed = out[:-1]  # after the last line end, there is nothing or an abandoned line
    assert printed == said[: len(printed)]
    served.do(lambda: build.finish("success"))  # type: ignore[arg-type]
    assert rest_of(served, words, len(said) - len(printed)) == said[len(printed) :]


@pytest.mark.parametrize("variables", [UNBUFFERED, {}], ids=["unbuffered", "buffered"])
def test_stopped_and_continued(variables: dict[str, str], served: Served) -> None:
    """A process that is suspended during a write continues with the rest."""
    said = lines_of(5000, 100)
    build = served.do(lambda: served.sim.add_finished_build(said))
    reading, writing = os.pipe()
    with started({**served.environment, **variables}, "tail", build.build_uuid, stdout=writing) as process:
        os.close(writing)
        stalled(reading)
        for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP, signal.SIGCONT):
            process.send_signal(number)
            time.sleep(0.1)
        out = all_of(reading).decode().splitlines()
        assert process.wait(20) == 0
    os.close(reading)
    assert out == said


def test_an_output_that_does_not_block(served: Served) -> None:
    """A pipe that another program made non-blocking gets every line, even with a slow reader."""
    said = lines_of(3000, 100)
    build = served.do(lambda: served.sim.add_finished_build(said))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with started({**served.environment, **UNBUFFERED}, "logs", build.build_uuid, stdout=writing) as process:
        os.close(writing)
        stalled(reading)
        assert all_of(reading).decode().splitlines() == said
        assert process.wait(20) == 0
    os.close(reading)


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("variables", [UNBUFFERED, {}], ids=["unbuffered", "buffered"])
def test_a_full_disk_loses_nothing(variables: dict[str, str], served: Served, tmp_path: Path) -> None:
    """Lines that could not be written to a full disk do not count as printed."""
    build = served.do(lambda: served.sim.add_finished_build(lines_of(20, 10)))
    words = ["tail", build.build_uuid, "--resume", str(tmp_path / "position")]
    with (
        FULL.open("wb") as full,
        started({**served.environment, **variables}, *words, stdout=full) as process,
    ):
        run = ended(process)
    assert (run.code, run.err) == (2, "builds-async: can't write the output: No space left on device\n")
    assert rest_of(served, words, 20) == lines_of(20, 10)


@pytest.mark.parametrize(
    ("closed", "code", "said"),
    [
        (">&-", 2, "builds-async: can't write the output: it is closed\n"),
        ("1</dev/null", 2, "builds-async: can't write the output: Bad file descriptor\n"),
        ("2>&-", 0, ""),
    ],
)
def test_streams_that_the_shell_has_closed(closed: str, code: int, said: str, served: Served) -> None:
    """A result that can't be written is a failure; a message that can't be written is not."""
    build = served.do(lambda: served.sim.add_finished_build(["a line"]))
    command = f"exec builds-async logs {build.build_uuid} {closed}"
    variables = environment(served.environment)
    done = subprocess.run(  # noqa: S603  # ourselves
        ["/bin/sh", "-c", command.replace("builds-async", " ".join(COMMAND), 1)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (code, said)
    assert done.stdout == ("" if code else "a line\n")


def test_the_start_is_saved_before_the_first_line(served: Served, tmp_path: Path) -> None:
    """A build between two tails is printed by the second, even if the first printed nothing."""
    name = f"quiet-{len(served.sim.workers)}"
    tag = served.do(lambda: served.sim.add_worker(name))
    file = tmp_path / "position"
    file.touch()
    words = ["tail", name, "-o", "raw", "--resume", str(file)]
    with started(served.environment, *words) as process:
        eventually(file.read_bytes)
        process.send_signal(signal.SIGKILL)
        assert ended(process).out == ""
    assert json.loads(file.read_bytes())["position"]["workers"] == {tag: None}
    served.do(lambda: served.sim.add_finished_build(["while away"], external_script_id=tag))
    with started(served.environment, *words) as process:
        assert read_lines(process, 1) == ["while away"]


def test_a_worker_is_added_and_left_out(served: Served, tmp_path: Path) -> None:
    """Each Worker resumes at its own position, even if it was omitted in between."""
    builds = [served.do(served.sim.add_build) for _ in range(3)]
    names = {tag: name for name, tag in served.sim.workers.items()}
    workers = [names[build.external_script_id] for build in builds]
    file = tmp_path / "position"

    def run(*which: int, count: int) -> list[str]:
        words = ["tail", *(workers[at] for at in which), "-o", "raw", "--resume", str(file)]
        with started(served.environment, *words) as process:
            lines = read_lines(process, count)
            process.send_signal(signal.SIGTERM)
            assert ended(process).out == ""
        return sorted(lines)

    for at, build in enumerate(builds):
        emit(served, build, f"first of {at}")
    assert run(0, 1, count=2) == ["first of 0", "first of 1"]
    for at, build in enumerate(builds):
        emit(served, build, f"second of {at}")
    assert run(1, 2, count=3) == ["first of 2", "second of 1", "second of 2"]
    for at, build in enumerate(builds):
        emit(served, build, f"third of {at}")
    assert run(0, 2, count=3) == ["second of 0", "third of 0", "third of 2"]
    with started(served.environment, "tail", workers[0], "--resume", str(file)) as process:
        process.send_signal(signal.SIGTERM)
        ended(process)
    assert len(re.findall("[0-9a-f]{32}", json.dumps(json.loads(file.read_bytes())["workers"]))) == 3


@pytest.mark.parametrize("command", ["logs", "tail"])
def test_one_ctrl_c_ends_a_slow_pattern(command: str, served: Served) -> None:
    """One Ctrl-C ends a regular expression that backtracks forever."""
    build = served.do(lambda: served.sim.add_finished_build(["start", "a" * 60 + "!"]))
    words = [command, build.build_uuid, "--include", "^(a+)+$"]
    with started(served.environment, *words) as process:
        path = f"/{build.build_uuid}/logs"
        eventually(lambda: any(path in it.path for it in served.do(lambda: list(served.sim.requests))))
        time.sleep(0.5)  # the pattern is matching now
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
