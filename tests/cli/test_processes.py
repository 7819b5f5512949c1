"""Tests the command as a process: signals, pipes, full disks, kills and restarts."""

import signal
from pathlib import Path

import pytest

from builds_async.simulator import SimulatedBuild
from tests.cli.support import FULL, NOBODY, SECRET, Served, emit, ended, eventually, read_lines, started

pytestmark = pytest.mark.slow


@pytest.fixture
def running(served: Served) -> SimulatedBuild:
    """A running build whose log the test writes."""
    return served.do(served.sim.add_build)


def wait_for_the_next_poll(served: Served, build: SimulatedBuild) -> None:
    """Wait for the next read of the log; before it, the command has recorded its output."""

    def polls() -> int:
        paths = [request.path for request in served.do(lambda: list(served.sim.requests))]
        return sum(path.endswith(f"{build.build_uuid}/logs") for path in paths)

    before = polls()
    eventually(lambda: polls() > before)


STOPS = [(signal.SIGKILL, False), (signal.SIGINT, False), (signal.SIGTERM, True)]


@pytest.mark.parametrize(
    ("number", "of_worker"),
    STOPS,
    ids=[f"{number.name}-{'worker' if it else 'build'}" for number, it in STOPS],
)
def test_resume(
    number: signal.Signals, of_worker: bool, served: Served, running: SimulatedBuild, tmp_path: Path
) -> None:
    """A tail that was killed or stopped resumes at its position, and prints each line once and whole."""
    what = served.do(lambda: {tag: name for name, tag in served.sim.workers.items()})[
        running.external_script_id
    ]
    words = [
        "tail",
        what if of_worker else running.build_uuid,
        "--resume",
        str(tmp_path / "position"),
        "-o",
        "raw",
    ]
    said = [f"line {number}" for number in range(150)]
    emit(served, running, *said)
    with started(served.environment, *words) as process:
        assert read_lines(process, 150) == said
        wait_for_the_next_poll(served, running)
        process.send_signal(number)
        rest = ended(process)
    codes = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130, signal.SIGTERM: 143}
    assert rest == (codes[number], "", "")
    emit(served, running, "meanwhile")
    with started(served.environment, *words) as process:
        assert read_lines(process, 1) == ["meanwhile"]


def test_interrupted_in_a_wait(served: Served, running: SimulatedBuild) -> None:
    """Ctrl-C during a wait gives exit code 130 and no message."""
    with started(served.environment, "wait", running.build_uuid) as process:
        path = f"builds/{running.build_uuid}"
        eventually(lambda: any(request.path.endswith(path) for request in tuple(served.sim.requests)))
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, "", "")


def test_a_broken_pipe(served: Served) -> None:
    """A command whose pipe is closed ends quietly, during a log or a table."""
    build = served.do(lambda: served.sim.add_finished_build(["x" * 1000] * 500))
    for words in (("logs", build.build_uuid), ("status",)):
        with started(served.environment, *words) as process:
            assert process.stdout is not None
            if words[0] == "logs":
                assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr is not None
            assert (process.stderr.read(), process.wait(20)) == (b"", 141), words


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_full_disk(served: Served) -> None:
    """A full disk is reported in one line."""
    build = served.do(served.sim.add_finished_build)
    with (
        FULL.open("wb") as full,
        started(served.environment, "show", build.build_uuid, stdout=full) as process,
    ):
        run = ended(process)
    assert (run.code, run.err) == (2, "builds-async: can't write the output: No space left on device\n")


def test_any_locale(served: Served) -> None:
    """Output to a pipe is UTF-8 in any locale."""
    build = served.do(lambda: served.sim.add_finished_build(["✨ é"], "fail", branch="é✨"))  # type: ignore[arg-type]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with started({**served.environment, **ascii_only}, "tail", build.build_uuid) as process:
        run = ended(process)
    assert (run.code, run.out) == (1, "✨ é\n")
    assert run.err.startswith("reason: ✨ é\n")


def test_traceback_has_no_token() -> None:
    """The traceback of --debug shows neither the token nor local variables."""
    names = {
        "CLOUDFLARE_API_TOKEN": SECRET,
        "CLOUDFLARE_ACCOUNT_ID": "a" * 32,
        "CLOUDFLARE_BASE_URL": NOBODY,
    }
    with started(names, "wait", "shop", "--branch", "x", "--debug") as process:
        usage = ended(process)
    assert usage.code == 2
    assert usage.err.startswith("Traceback")
    assert SECRET[5:25] not in usage.out + usage.err
