"""Tests the command on a terminal: color, width, and lines that try to control the terminal."""

import re
import signal
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from builds_async import BuildOutcome
from builds_async.simulator import SimulatedBuild
from tests.cli.support import COMMAND, Run, Served
from tests.cli.terminals import running_on_terminal

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
    interrupt_at: str = "",
) -> Run:
    """Run the command on a terminal; send SIGINT after the output `interrupt_at`, if given."""
    names = {**served.environment, **variables}
    with running_on_terminal([*COMMAND, *words], names, columns=columns) as terminal:
        if interrupt_at:
            terminal.wait_until(lambda: interrupt_at in terminal.output)
            terminal.process.send_signal(signal.SIGINT)
        code = terminal.end()
    return Run(code, terminal.output.replace("\r\n", "\n"), "")


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
    """Controls are removed or made visible, colors end with their line, and markup is plain text."""
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
    """Lines start with the local time of day, and long ones have a hanging indent."""
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
    """A tail of a build without lines shows the state of the build."""
    build = served.do(lambda: served.sim.add_build([], branch="trunk"))
    run = on_terminal(served, "tail", build.build_uuid, interrupt_at="trunk")
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
    run = on_terminal(served, "list", build.external_script_id, columns=100, variables=ascii_only)
    assert (run.code, "\\xe9\\u2728" in run.out) == (0, True)


def test_narrow_terminal(served: Served, hostile: SimulatedBuild) -> None:
    """A table fits a narrow terminal and keeps the UUID of each build whole."""
    run = on_terminal(served, "list", hostile.external_script_id, columns=46, variables={"NO_COLOR": "1"})
    lines = run.out.splitlines()
    assert max(map(len, lines)) <= 46
    assert lines[0].split() == ["Build", "State"]
    assert lines[1].split() == [hostile.build_uuid, "fail"]


def test_suspended_and_continued(served: Served) -> None:
    """Ctrl-Z shows the cursor; `fg` hides it again and continues the display."""
    build = served.do(served.sim.add_build)
    with running_on_terminal([*COMMAND, "wait", build.build_uuid], served.environment) as terminal:
        screen = terminal.screen
        for _ in range(2):
            terminal.wait_until(lambda: screen.is_cursor_hidden and build.build_uuid in terminal.text)
            terminal.process.send_signal(signal.SIGTSTP)
            terminal.wait_until(lambda: not screen.is_cursor_hidden)
            time.sleep(0.2)  # the process stops right after that
            terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_until(lambda: screen.is_cursor_hidden)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 143
        assert not screen.is_cursor_hidden
