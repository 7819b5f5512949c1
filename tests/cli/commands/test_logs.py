"""Tests `builds-async logs`, and that it prints the same lines as `tail`."""

from datetime import datetime

import pytest

from builds_async.simulator import Behavior, SimulatedBuild
from tests.cli.support import Cli, Run, Served, serving

KEYS = ["build_uuid", "external_script_id", "worker", "timestamp", "time", "message"]


@pytest.mark.parametrize("command", ["tail", "logs"])
def test_json(command: str, failed: SimulatedBuild, cli: Cli) -> None:
    """Each line is an object with the same keys in the same order, and nothing else is printed."""
    records = cli(command, failed.build_uuid, "-o", "json").records
    assert [list(record) for record in records] == [KEYS] * 4
    assert [record["message"] for record in records] == [line.message for line in failed.lines]
    first = records[0]
    assert first["build_uuid"] == failed.build_uuid
    assert first["external_script_id"] == failed.external_script_id
    assert first["worker"].startswith("worker-")
    assert datetime.fromisoformat(first["time"]).timestamp() == pytest.approx(first["timestamp"] / 1000)


CHOICES: list[tuple[list[str], str]] = [
    ([], "first\nsecond\nError: no such module\nFailed: error occurred while running build command\n"),
    (["--tail", "1"], "Failed: error occurred while running build command\n"),
    (["--tail", "0"], ""),
    (["--include", "rst$", "--include", "no such"], "first\nError: no such module\n"),
    (["--include", "^.i", "--exclude", "F"], "first\n"),
    (["--tail", "2", "--include", "Error"], "Error: no such module\n"),
    (["--since", "10m"], ""),
    (["--since", "2h", "--include", "first"], "first\n"),
    (["-o", "raw", "--timestamps", "--include", "first"], "first\n"),
    (["--highlight", "first", "--include", "first"], "first\n"),
]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["tail", "logs"])
@pytest.mark.parametrize(("options", "out"), CHOICES, ids=[" ".join(words) or "all" for words, _ in CHOICES])
def test_choice(command: str, options: list[str], out: str, failed: SimulatedBuild, cli: Cli) -> None:
    """The options select the same lines in both commands."""
    assert cli(command, failed.build_uuid, *options).out == out


@pytest.mark.parametrize("words", [["-n", "1"], ["-n1"], ["--lines", "1"], ["--lines=1"]], ids=" ".join)
@pytest.mark.parametrize("command", ["tail", "logs"])
def test_last_lines(command: str, words: list[str], failed: SimulatedBuild, cli: Cli) -> None:
    """`-n` and `--lines` are short for `--tail`."""
    assert cli(command, failed.build_uuid, *words).out == CHOICES[1][1]


@pytest.mark.parametrize("flag", ["-f", "--follow"])
@pytest.mark.parametrize("options", [[], ["-n", "2"], ["-o", "json"]], ids=["all", "the last two", "json"])
def test_follow(flag: str, options: list[str], failed: SimulatedBuild, cli: Cli) -> None:
    """With `--follow`, `logs` has the same output, outcome and exit code as `tail`."""
    run = cli("logs", flag, failed.build_uuid[:8], *options)
    assert run.code == 1
    assert run == cli("tail", failed.build_uuid, *options)


def test_follow_of_a_worker(account: Served, cli: Cli) -> None:
    """With the name of a Worker, `logs -f` follows its latest build."""
    worker = account.do(lambda: account.sim.add_worker("shop"))
    account.do(lambda: account.sim.add_finished_build(["old"], external_script_id=worker))
    build = account.do(lambda: account.sim.add_finished_build(["new"], external_script_id=worker))
    assert cli("logs", "-f", "shop") == Run(0, "new\n", f"build {build.build_uuid}: success\n")


def test_timestamps(failed: SimulatedBuild, cli: Cli) -> None:
    """Each line starts with its time in the given zone."""
    utc = cli("logs", failed.build_uuid, "--timestamps").out.splitlines()[0]
    berlin = cli("logs", failed.build_uuid, "--timestamps", "--timezone", "Asia/Tokyo").out.splitlines()[0]
    moments = [datetime.fromisoformat(line.partition(" ")[0]) for line in (utc, berlin)]
    assert moments[0] == moments[1]
    assert utc.endswith("Z first")
    assert berlin.endswith("+09:00 first")


def test_forced_color(failed: SimulatedBuild, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR also highlights in a pipe, and matches of several patterns may overlap."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    words = ("--include", "first", "--highlight", "ir", "--highlight", "rs", "--highlight", "x*")
    run = cli("logs", failed.build_uuid, *words)
    assert run.out == "f\x1b[1;7mir\x1b[0m\x1b[1;7ms\x1b[0mt\n"


def test_a_pipe_gets_unchanged_messages(account: Served, cli: Cli) -> None:
    """Raw output in a pipe has the messages byte for byte, including colors and control characters."""
    lines = ["\x1b[31mred", "\x1b]0;title\x07", "a\rb", "\u202e", "✨"]
    build = account.do(lambda: account.sim.add_finished_build(lines))
    assert cli("logs", build.build_uuid, "-o", "raw").out == "".join(f"{line}\n" for line in lines)


def test_long_log_in_pages(account: Served, cli: Cli) -> None:
    """All pages of a log are fetched, and `--tail` counts from the end of the last one."""
    build = account.do(lambda: account.sim.add_finished_build(1234))
    assert cli("logs", build.build_uuid).out.splitlines() == [line.message for line in build.lines]
    assert cli("logs", build.build_uuid, "--tail", "1").out == "line 1234 of 1234\n"


def test_logs_do_not_wait(account: Served, cli: Cli) -> None:
    """The current log of a running build is printed without waiting; a build without a log has no lines."""
    build = account.do(account.sim.add_build)
    assert cli("logs", build.build_uuid) == Run(0, "", "")
    account.do(lambda: build.emit("so far"))
    assert cli("logs", build.build_uuid) == Run(0, "so far\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "behavior", [Behavior(truncated_hollow=3), Behavior(behind_the_end="last_page")], ids=str
)
def test_logs_and_tail_read_alike(behavior: Behavior, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the service pages the log of a finished build, `logs` and `tail` print the same lines."""
    with serving(behavior=behavior, page_size=2) as it:
        for name, value in it.environment.items():
            monkeypatch.setenv(name, value)
        build = it.do(lambda: it.sim.add_finished_build(5))
        assert cli("logs", build.build_uuid).out == cli("tail", build.build_uuid).out
        assert cli("logs", build.build_uuid).out.count("\n") == 5


@pytest.mark.slow
@pytest.mark.parametrize("command", ["tail", "logs"])
def test_deleted_log_is_no_success(command: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that the service has deleted is reported as incomplete, unlike a log without lines."""
    with serving(behavior=Behavior(logs_kept=60.0)) as it:
        for name, value in it.environment.items():
            monkeypatch.setenv(name, value)
        build = it.do(lambda: it.sim.add_finished_build(5))
        run = cli(command, build.build_uuid)
        assert (run.code, run.out) == (4, "")
        assert "the log may be incomplete" in run.err
