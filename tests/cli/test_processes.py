"""The command as a process: signals, pipes, killed and started again."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builds_async import __main__ as entry
from builds_async.simulator import SimulatedBuild
from tests.cli.support import NOBODY, Run, Served, ended, environment, eventually, started

UUID = "00000000-0000-0000-0000-000000000000"
FULL = Path("/dev/full")
SECRET = "cfut_" + "s" * 35


@pytest.fixture
def running(served: Served) -> SimulatedBuild:
    """A build that runs, and says what the test lets it say."""
    return served.do(served.sim.add_build)


def say(served: Served, build: SimulatedBuild, *lines: str) -> None:
    """Let the build write these lines."""
    served.do(lambda: build.emit(*lines))


def heard(process: subprocess.Popen[bytes], count: int) -> list[str]:
    """The next lines that the process prints."""
    assert process.stdout is not None
    return [process.stdout.readline().decode().removesuffix("\n") for _ in range(count)]


def wait_for_the_next_poll(served: Served, build: SimulatedBuild) -> None:
    """Until the log is asked for once more: then all that was printed is behind the command."""

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
    """A tail that was killed, or told to stop, goes on where it was: each line once, and no half one."""
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
    say(served, running, *said)
    with started(served.environment, *words) as process:
        assert heard(process, 150) == said
        wait_for_the_next_poll(served, running)
        process.send_signal(number)
        rest = ended(process)
    codes = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130, signal.SIGTERM: 143}
    assert rest == (codes[number], "", "")
    say(served, running, "meanwhile")
    with started(served.environment, *words) as process:
        assert heard(process, 1) == ["meanwhile"]


def test_interrupted_in_a_wait(served: Served, running: SimulatedBuild) -> None:
    """Ctrl-C in a wait is exit code 130 and no word."""
    with started(served.environment, "wait", running.build_uuid) as process:
        asked = f"builds/{running.build_uuid}"
        eventually(lambda: any(request.path.endswith(asked) for request in tuple(served.sim.requests)))
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, "", "")


def test_nobody_reads_on(served: Served) -> None:
    """A reader that goes away ends the command quietly, in the middle of a log or of a table."""
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
    """An output that can't be written is an error of one line."""
    build = served.do(served.sim.add_finished_build)
    with (
        FULL.open("wb") as full,
        started(served.environment, "show", build.build_uuid, stdout=full) as process,
    ):
        run = ended(process)
    assert (run.code, run.err) == (2, "builds-async: can't write the output: No space left on device\n")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [["logs"], ["list", "--help"]], ids=" ".join)
def test_full_disk_in_process(
    words: list[str], account: Served, cli: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the same for a log, and for a help."""
    build = account.do(account.sim.add_finished_build)
    with FULL.open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        run = cli(*words, *([] if "--help" in words else [build.build_uuid]))
    assert (run.code, run.err) == (2, "builds-async: can't write the output: No space left on device\n")


def test_any_locale(served: Served) -> None:
    """A program gets UTF-8 whatever the locale is."""
    build = served.do(lambda: served.sim.add_finished_build(["✨ é"], "fail", branch="é✨"))  # type: ignore[arg-type]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with started({**served.environment, **ascii_only}, "tail", build.build_uuid) as process:
        run = ended(process)
    assert (run.code, run.out) == (1, "✨ é\n")
    assert run.err.startswith("reason: ✨ é\n")


def test_token_from_standard_input(served: Served) -> None:
    """`--token-file -` reads the token from a pipe, and it is seen nowhere."""
    names = {**served.environment, "CLOUDFLARE_API_TOKEN": "wrong"}
    words = ("status", "-o", "json", "--token-file", "-", "--debug")
    with started(names, *words, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(served.sim.api_token.encode() + b"\n", timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert served.sim.api_token.encode() not in out


def test_traceback_has_no_token() -> None:
    """--debug in a real process shows where an error came from, and neither token nor variables."""
    names = {
        "CLOUDFLARE_API_TOKEN": SECRET,
        "CLOUDFLARE_ACCOUNT_ID": "a" * 32,
        "CLOUDFLARE_BASE_URL": NOBODY,
    }
    with started(names, "wait", "shop", "--debug") as process:
        usage = ended(process)
    assert usage.code == 2
    assert usage.err.startswith("Traceback")
    assert SECRET[5:25] not in usage.out + usage.err


def test_simulate() -> None:
    """It prints lines for a shell, names what there is, and serves it with faults until Ctrl-C."""
    words = (
        "simulate",
        "--seed",
        "1",
        "--workers",
        "2",
        "--builds",
        "2",
        "--lines",
        "3",
        "--faults",
        "reset:2",
    )
    with started({}, *words) as server:
        told = heard(server, 11)
        variables = dict(re.findall(r"^export (\w+)=(\S+)$", "\n".join(told), re.MULTILINE))
        assert list(variables) == ["CLOUDFLARE_BASE_URL", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"]
        assert [line.split()[2] for line in told if line.startswith("# Worker")] == ["shop", "blog"]
        done, going = re.findall(r"^#   (\w+): +([-0-9a-f]{36})$", "\n".join(told), re.MULTILINE)[:2]
        assert (done[0], going[0]) == ("fail", "running")
        with started(variables, "logs", done[1]) as logs:
            assert ended(logs).out.startswith("line 1 of 3\nline 2 of 3\n")
        server.send_signal(signal.SIGINT)
        assert ended(server) == (130, "", "")


def test_interrupted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while modules load is exit code 130 as well."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_command", interrupted)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 130


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
def test_missing_extra(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra the command says what to install, in one line, and fails."""
    for name in [name for name in sys.modules if name.startswith(("builds_async.cli", missing))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(sys, "argv", ["builds-async", "--help"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == 'The command needs an extra: pip install "builds-async[cli]"\n'


def test_defects_are_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another module that is missing is a defect, and shows as one."""
    monkeypatch.delitem(sys.modules, "builds_async.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "builds_async.cli.texts", None)
    with pytest.raises(ModuleNotFoundError, match=r"builds_async\.cli\.texts"):
        entry.main()


def test_light_start() -> None:
    """The help of a command loads no simulator, no web server, and nothing that draws tables."""
    code = (
        "import sys, contextlib\nfrom builds_async.cli.app import run\n"
        "with contextlib.redirect_stdout(sys.stderr): run(['logs', 'x'])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment({})
    )
    loaded = set(done.stdout.split())
    assert "builds_async.cli.commands.logs" in loaded
    assert not loaded & {"builds_async.simulator", "aiohttp.web", "rich.table", "rich.console", "rich.live"}
