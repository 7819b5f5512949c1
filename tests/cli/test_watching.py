"""Tests `builds-async status --watch` on real terminals."""

import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from builds_async import BuildOutcome
from builds_async.simulator import BuildsSimulator, Fault
from tests.cli.support import COMMAND, Served, read_lines, serving, started
from tests.cli.terminals import OnTerminal, running_on_terminal
from tests.support.needs import needs_program

pytestmark = pytest.mark.slow

WATCH = ["status", "--watch", "--interval", "0.1"]
NO_TICKS = (
    "from builds_async.cli import watching\n"
    "from builds_async.__main__ import main\n"
    "watching._REDRAW_SECONDS = 600.0\n"
    "main()\n"
)
"""The command without its redraw every second: it draws only after a change."""


def add_workers(sim: BuildsSimulator) -> None:
    """Twelve Workers: one without builds, the last one failed, the others successful."""
    for number in range(12):
        tag = sim.add_worker(f"worker-{number:02}")
        outcome = BuildOutcome.FAIL if number == 11 else BuildOutcome.SUCCESS
        if number:
            sim.add_finished_build(["a"], outcome, external_script_id=tag)


@pytest.fixture(scope="module")
def dozen() -> Iterator[Served]:
    """An account with twelve Workers that no test changes."""
    with serving() as made:
        made.do(lambda: add_workers(made.sim))
        yield made


SUMMARY = "12 Workers: 1 failed, 10 successful, 1 never built"


@contextmanager
def watching(
    served: Served,
    *words: str,
    command: Sequence[str] = COMMAND,
    rows: int = 24,
    columns: int = 80,
    variables: dict[str, str] | None = None,
) -> Iterator[OnTerminal]:
    """The command on a terminal, once it has drawn everything."""
    names = {**served.environment, **(variables or {})}
    with running_on_terminal([*command, *WATCH, *words], names, rows=rows, columns=columns) as terminal:
        terminal.wait_until(lambda: "Worker" in terminal.text and "not known yet" not in terminal.text)
        yield terminal


def assert_restored(terminal: OnTerminal) -> None:
    """The normal screen and the cursor are back."""
    assert not terminal.screen.is_alternate
    assert not terminal.screen.is_cursor_hidden


def test_the_alternate_screen(dozen: Served) -> None:
    """The table is drawn on the alternate screen, with failures first and the summary below."""
    with watching(dozen) as terminal:
        assert terminal.screen.is_alternate
        assert terminal.screen.is_cursor_hidden
        assert re.match(r"[0-9a-f]{8}  worker-11  fail", terminal.lines[1])
        assert terminal.lines[-1] == f"{SUMMARY}  every 0.1s, until Ctrl-C"
        assert len(terminal.lines) == 1 + 12 + 1


STOPS = [
    pytest.param(signal.SIGINT, 130, id="SIGINT"),
    pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
    pytest.param(signal.SIGHUP, 129, id="SIGHUP"),
]


@pytest.mark.parametrize(("number", "code"), STOPS)
def test_the_last_table_stays(number: signal.Signals, code: int, dozen: Served) -> None:
    """A stop signal restores the normal screen, with the last table on it."""
    with watching(dozen) as terminal:
        drawn = terminal.lines
        terminal.process.send_signal(number)
        assert terminal.end() == code
        assert_restored(terminal)
        assert terminal.lines[:14] == [*drawn[:13], SUMMARY]
        assert "Traceback" not in terminal.output


def test_ctrl_c_twice(dozen: Served) -> None:
    """Two immediate stop signals restore the terminal, too."""
    with watching(dozen) as terminal:
        for _ in range(2):
            terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 143
        assert_restored(terminal)


def test_an_error_comes_after_the_table(dozen: Served) -> None:
    """An error ends the watch, restores the screen and is the last line."""
    tag = dozen.sim.workers["worker-01"]
    names = {**dozen.environment, "CLOUDFLARE_API_TOKEN": "cfut_" + "x" * 35}
    with running_on_terminal([*COMMAND, *WATCH, tag], names) as terminal:
        assert terminal.end() == 3
        assert_restored(terminal)
        table, message = terminal.text.split("builds-async: ")
        assert "not known yet" in table
        assert "token" in message


def test_rows_that_do_not_fit_are_counted(dozen: Served) -> None:
    """On a low screen, the remaining rows are counted and nothing scrolls away, not even at the end."""
    with watching(dozen, rows=8) as terminal:
        assert terminal.lines[0].startswith("Build")
        assert "worker-11" in terminal.lines[1]
        assert terminal.lines[6] == "... and 7 more"
        assert terminal.lines[7].startswith(SUMMARY)
        terminal.process.send_signal(signal.SIGTERM)
        terminal.end()
        assert terminal.lines[-1] == SUMMARY
        assert "worker-11" in terminal.lines[1]
        assert terminal.lines[-2] == "... and 8 more"


@pytest.mark.parametrize(("rows", "columns"), [(6, 80), (40, 80), (24, 40), (24, 200), (1, 20)], ids=str)
def test_another_size(rows: int, columns: int, dozen: Served) -> None:
    """A new size of the terminal takes effect at once, and the table fits it."""
    with watching(dozen, command=[sys.executable, "-c", NO_TICKS]) as terminal:
        terminal.resize(rows, columns)
        terminal.output = ""
        terminal.wait_until(lambda: terminal.output.endswith("\x1b[H") and "\x1b[1;1H" in terminal.output)
        assert len(terminal.lines) <= rows
        assert terminal.lines[-1].startswith(SUMMARY[:15])
        assert terminal.text.count("worker-") == max(0, min(12, rows - 3))
        assert ("Branch" in terminal.text, "Subject" in terminal.text) == (
            columns >= 80 and rows > 1,
            columns == 200,
        )


def test_suspended_by_a_shell(dozen: Served) -> None:
    """Ctrl-Z returns the screen to the shell, `bg` does not take it back, and `fg` resumes the display."""
    needs_program("bash")
    shell = ["bash", "--noediting", "--norc", "--noprofile", "-i"]
    names = {**dozen.environment, "PS1": "READY> "}
    with running_on_terminal(shell, names) as terminal:
        terminal.wait_for("READY>")
        terminal.type(f"{' '.join(COMMAND)} {' '.join(WATCH)}\n")
        for back in ("fg\n", "fg\n", "bg; sleep 1.5; echo still''here; fg\n"):
            terminal.wait_until(lambda: terminal.screen.is_alternate and SUMMARY in terminal.text)
            terminal.type("\x1a")
            terminal.wait_until(lambda: not terminal.screen.is_alternate)
            terminal.wait_until(lambda: terminal.lines[-1].startswith("READY>"))
            assert "Stopped" in terminal.text
            assert not terminal.screen.is_cursor_hidden
            terminal.output = ""
            terminal.type(back)
        terminal.wait_until(lambda: "stillhere" in terminal.output)
        assert "\x1b[?1049h" not in terminal.output.partition("stillhere")[0]
        terminal.wait_until(lambda: terminal.screen.is_alternate and SUMMARY in terminal.text)
        terminal.type("\x03")
        terminal.wait_until(lambda: not terminal.screen.is_alternate)
        terminal.wait_until(lambda: terminal.lines[-1].startswith("READY>"))
        assert SUMMARY in terminal.lines
        terminal.type("echo code $?; exit\n")
        terminal.end()
        assert "code 130" in terminal.text


def test_started_in_the_background(dozen: Served) -> None:
    """A watch that is started with `&` does not draw over the shell until `fg`."""
    needs_program("bash")
    shell = ["bash", "--noediting", "--norc", "--noprofile", "-i"]
    with running_on_terminal(shell, {**dozen.environment, "PS1": "READY> "}) as terminal:
        terminal.wait_for("READY>")
        terminal.type(f"{' '.join(COMMAND)} {' '.join(WATCH)} & sleep 3; echo still''here; fg\n")
        terminal.wait_until(lambda: "stillhere" in terminal.output)
        assert "\x1b[?1049h" not in terminal.output.partition("stillhere")[0]
        terminal.wait_until(lambda: terminal.screen.is_alternate and SUMMARY in terminal.text)


def test_in_a_process_group_of_a_script(dozen: Served) -> None:
    """In a script, the command still draws when timeout(1) has taken the foreground from it."""
    needs_program("timeout")
    script = ["sh", "-c", f"timeout 60 {' '.join(COMMAND)} {' '.join(WATCH)}; exit"]
    with running_on_terminal(script, dozen.environment) as terminal:
        terminal.wait_until(lambda: terminal.screen.is_alternate and SUMMARY in terminal.text)


def test_typed_keys_disappear(dozen: Served) -> None:
    """Typed keys are echoed by the terminal and disappear with the next frame."""
    with watching(dozen) as terminal:
        before = terminal.lines
        terminal.type("oops\n\n\n")
        terminal.wait_until(lambda: "oops" in terminal.output)
        terminal.wait_until(
            lambda: re.sub(r"\d+m|\d+s", "", terminal.text) == re.sub(r"\d+m|\d+s", "", "\n".join(before))
        )


def test_a_dumb_terminal() -> None:
    """A terminal without cursor movement gets a line per change, without escape sequences."""
    with serving() as served:
        served.do(lambda: add_workers(served.sim))
        names = {**served.environment, "TERM": "dumb"}
        with running_on_terminal([*COMMAND, *WATCH], names, rows=60, columns=150) as terminal:
            terminal.wait_until(lambda: terminal.text.count("worker-") == 11)
            tag = served.sim.workers["worker-00"]
            build = served.do(lambda: served.sim.add_build(external_script_id=tag))
            terminal.wait_for(f"{build.build_uuid}  worker-00  queued")
            served.do(lambda: build.finish(BuildOutcome.FAIL))
            terminal.wait_for(f"{build.build_uuid}  worker-00  fail")
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.end() == 143
            assert "\x1b" not in terminal.output


def test_a_pipe_gets_lines(dozen: Served) -> None:
    """A pipe gets a whole line per change, filtered and without escape sequences."""
    with started(dozen.environment, *WATCH, "--failed") as process:
        [line] = read_lines(process, 1)
    assert re.match(r"[0-9a-f-]{36}  worker-11  fail  main  [0-9a-f]{8}  ", line)


def test_json_gets_objects(dozen: Served) -> None:
    """With JSON, each change that passes the filters is an object, even on a terminal."""
    names = dozen.environment
    with running_on_terminal([*COMMAND, *WATCH, "--failed", "-o", "json"], names, columns=5000) as terminal:
        terminal.wait_until(lambda: "\n" in terminal.output)
        record = json.loads(terminal.output.splitlines()[0])
        assert (record["worker"], record["build"]["build_outcome"]) == ("worker-11", "fail")
        assert "\x1b" not in terminal.output


def test_never_built_is_never_assumed() -> None:
    """No Worker is called "never built" before a response confirms it."""
    with serving() as served:
        served.do(lambda: add_workers(served.sim))
        served.do(lambda: served.sim.fault(Fault("stall", path="/latest", times=None)))
        with running_on_terminal([*COMMAND, *WATCH], served.environment) as terminal:
            terminal.wait_for("12 Workers: 12 not known yet")
            assert terminal.text.count("not known yet") == 13
            assert "never built" not in terminal.output
            served.do(served.sim.clear_faults)


def test_a_change_is_drawn_at_once() -> None:
    """A build that fails moves its Worker to the top."""
    with serving() as served:
        served.do(lambda: add_workers(served.sim))
        with watching(served, command=[sys.executable, "-c", NO_TICKS]) as terminal:
            terminal.wait_for(SUMMARY)
            tag = served.sim.workers["worker-05"]
            build = served.do(lambda: served.sim.add_build(external_script_id=tag))
            terminal.wait_for("12 Workers: 1 failed, 1 queued")
            assert "worker-05" in terminal.lines[2]
            served.do(lambda: build.finish(BuildOutcome.FAIL))
            terminal.wait_for("12 Workers: 2 failed")
            assert "worker-05" in terminal.lines[1]


def test_new_workers_join() -> None:
    """Without names, a new Worker joins the table under its name."""
    code = f"from builds_async.live import account_workers\naccount_workers.LIST_EVERY = 0.2\n{NO_TICKS}"
    with serving() as served:
        served.do(lambda: add_workers(served.sim))
        with watching(served, command=[sys.executable, "-c", code]) as terminal:
            terminal.wait_for(SUMMARY)
            tag = served.do(lambda: served.sim.add_worker("another"))
            served.do(lambda: served.sim.add_build(external_script_id=tag))
            terminal.wait_for("13 Workers: 1 failed, 1 queued")
            terminal.resize(25, 100)  # draws again, with the name
            terminal.wait_for("another")


def test_messages_are_shown_and_kept() -> None:
    """A warning is the last line of a frame, and is printed again at the end."""
    with serving() as served:
        served.do(lambda: add_workers(served.sim))
        with watching(served) as terminal:
            served.do(lambda: served.sim.fault(Fault("server_error", path="/latest", times=None)))
            terminal.wait_until(lambda: "builds-async: " in terminal.lines[-1])
            assert terminal.lines[-2].startswith(SUMMARY)
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.end() == 143
            assert_restored(terminal)
            lines = terminal.lines
            assert "builds-async: " in "\n".join(lines[: lines.index(SUMMARY)])


def test_filters_while_watching(dozen: Served) -> None:
    """Only Workers that pass the filters are drawn."""
    with watching(dozen, "--failed") as terminal:
        terminal.wait_for("1 of 12 Workers: 1 failed")
        assert len(terminal.lines) == 3
