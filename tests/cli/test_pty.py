"""Tests the command on a terminal: color, width, and lines that try to control the terminal."""

import fcntl
import os
import pty
import re
import signal
import struct
import termios
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from builds_async import BuildOutcome
from builds_async.simulator import SimulatedBuild
from tests.cli.support import Run, Served, started

pytestmark = pytest.mark.slow

HOSTILE = [
    "\x1b[31mred",
    "\x1b]0;title\x07osc",
    "\x1b[2Jclear",
    "over\rwrite\x08",
    "c1 \x9b2J",
    "bidi \u202e\u2066",
    "[bold]no markup[/bold] :smile:",
    "✘ [ERROR] \x1b[2J \x1b]0;x\x07[end",
]


def on_terminal(
    served: Served,
    *words: str,
    variables: Mapping[str, str] = {},
    columns: int = 80,
    interrupt_at: bytes = b"",
) -> Run:
    """Run the command on a terminal; send SIGINT after the output `interrupt_at`, if given."""
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        names = {**served.environment, "COLUMNS": "", **variables}
        with started(
            names, *words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        ) as process:
            os.close(slave)
            data = b""
            while piece := _read(master):
                data += piece
                if interrupt_at and interrupt_at in data:
                    os.kill(process.pid, signal.SIGINT)
                    interrupt_at = b""
            return Run(process.wait(20), data.decode().replace("\r\n", "\n"), "")
    finally:
        os.close(master)


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # how Linux reports that the other end is closed
        return b""


@pytest.fixture
def hostile(served: Served) -> SimulatedBuild:
    """A failed build whose log, branch and commit message attack the terminal."""
    how = {
        "branch": "\x1b[2J[red]x[/red]\u202e",
        "commit_message": "a\n\x1b]0;y\x07",
        "commit_hash": "c0ffee00",
    }
    return served.do(lambda: served.sim.add_finished_build(HOSTILE, "fail", **how))  # type: ignore[arg-type]


def controls(text: str) -> set[str]:
    """The control characters in this text, except line breaks and colors."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return set(re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text))


def test_hostile_lines(served: Served, hostile: SimulatedBuild) -> None:
    """Controls are dropped or made visible, colors end with their line, and markup is text."""
    run = on_terminal(served, "tail", hostile.build_uuid, "--no-timestamps", columns=120)
    assert run.code == 1
    log = run.out[run.out.index(f"build {hostile.build_uuid}") :]  # before it, the state was shown
    assert controls(log) == set()
    assert log.splitlines() == [
        f"build {hostile.build_uuid}: ^[[2J[red]x[/red]\\u202e c0ffee00 a",
        "\x1b[31mred\x1b[0m",
        "osc",
        "clear",
        "write",
        "c1 \\u009b2J",
        "bidi \\u202e\\u2066",
        "[bold]no markup[/bold] :smile:",
        "✘ [ERROR]  [end",
        "reason: ✘ [ERROR] [end",
        f"build {hostile.build_uuid}: fail",
    ]


def test_times_on_a_terminal(served: Served) -> None:
    """Lines begin with the local time of day, and long ones have a hanging indent."""
    words = "the quick brown fox jumps over the lazy dog and runs away"
    build = served.do(lambda: served.sim.add_finished_build([words], BuildOutcome.SUCCESS, age=0))
    began = datetime.now(UTC)
    variables = {"TZ": "Asia/Tokyo", "NO_COLOR": "1"}
    run = on_terminal(served, "tail", build.build_uuid, columns=50, variables=variables)
    first, second = run.out.splitlines()[-3:-1]
    shown = time.strptime(first[:8], "%H:%M:%S")
    tokyo = began.astimezone(ZoneInfo("Asia/Tokyo"))
    assert abs((shown.tm_hour * 60 + shown.tm_min) - (tokyo.hour * 60 + tokyo.minute)) % 1438 <= 3
    assert (first[8:], second) == (f" {words[:40].rstrip()}", f"         {words[40:]}")


def test_a_queued_build_shows_its_state(served: Served) -> None:
    """A tail of a build without a line yet shows the state of the build."""
    build = served.do(lambda: served.sim.add_build([], branch="trunk"))
    run = on_terminal(served, "tail", build.build_uuid, interrupt_at=b"trunk")
    assert run.code == 130
    assert f"build {build.build_uuid[:8]} queued trunk" in run.out


def test_no_color(served: Served, hostile: SimulatedBuild) -> None:
    """NO_COLOR removes all styles, and controls are still made visible."""
    run = on_terminal(served, "show", hostile.build_uuid, variables={"NO_COLOR": "1"})
    assert run.code == 0
    assert "\x1b" not in run.out
    assert controls(run.out) == set()
    assert "^[[2J[red]x[/red]\\u202e" in run.out


def test_terminal_with_a_small_encoding(served: Served) -> None:
    """A character that the terminal's encoding lacks is shown as an escape."""
    build = served.do(lambda: served.sim.add_finished_build(["✨ é"], branch="é✨"))
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "NO_COLOR": "1"}
    run = on_terminal(served, "list", build.external_script_id, variables=ascii_only)
    assert (run.code, "\\xe9\\u2728" in run.out) == (0, True)


def test_narrow_terminal(served: Served, hostile: SimulatedBuild) -> None:
    """A table fits a narrow terminal, with the UUID of each build still whole."""
    run = on_terminal(served, "list", hostile.external_script_id, columns=46, variables={"NO_COLOR": "1"})
    lines = run.out.splitlines()
    assert max(map(len, lines)) <= 46
    assert lines[0].split() == ["State", "Build"]
    assert lines[1].split() == ["fail", hostile.build_uuid]


def test_watch_and_interrupt(served: Served, hostile: SimulatedBuild) -> None:
    """Ctrl-C ends a live table, shows the cursor and leaves the prompt on a new line."""
    words = ("status", hostile.external_script_id, "--watch")
    run = on_terminal(served, *words, interrupt_at=hostile.build_uuid[:8].encode())
    assert run.code == 130
    assert run.out.endswith("\n")
    assert run.out.rindex("\x1b[?25h") > run.out.rindex("\x1b[?25l")
    assert "Traceback" not in run.out


@pytest.mark.parametrize("words", [["wait"], ["status", "--watch"]], ids=" ".join)
def test_suspended_and_continued(words: list[str], served: Served) -> None:
    """Ctrl-Z shows the cursor; `fg` hides it again and continues the display."""
    build = served.do(served.sim.add_build)
    what = build.build_uuid if words == ["wait"] else build.external_script_id
    master, slave = pty.openpty()
    with started(
        served.environment, *words, what, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as process:
        os.close(slave)
        shown = ""

        def wait_for(text: str) -> None:
            nonlocal shown
            while text not in shown:
                data = _read(master).decode(errors="replace")
                assert data, shown
                shown += data
            shown = shown.partition(text)[2]

        wait_for("\x1b[?25l")
        for _ in range(2):
            wait_for(build.build_uuid)
            process.send_signal(signal.SIGTSTP)
            wait_for("\x1b[?25h")
            time.sleep(0.2)  # the process stops right after that
            process.send_signal(signal.SIGCONT)
            wait_for("\x1b[?25l")
        process.send_signal(signal.SIGTERM)
        wait_for("\x1b[?25h")
        while _read(master):
            pass
        assert process.wait(10) == 143
    os.close(master)
