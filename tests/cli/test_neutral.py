"""Text of the API in the command's output: neither a terminal nor a CI job obeys it."""

import io
import sys
from collections.abc import Callable

import pytest

from builds_async import BuildOutcome
from builds_async.cli.out import Screen, stderr
from builds_async.cli.progress import Waiting
from tests.cli.support import Run, Served
from tests.cli.test_lines import Terminal

Cli = Callable[..., Run]

HOSTILE = [
    "::add-mask::e",
    "  ::stop-commands::x1y2",
    "Error: ##[set-output name=image;]evil",
    "fine\n::set-output name=uuid::$(id)",
    "fine\r##vso[task.setvariable variable=PATH]evil",
    "\x1b]0;pwned\x07\x1b[2J\x9b2J\u202e",
]
COMMANDS = ("logs", "tail", "wait", "show")


def obeyed(text: str) -> list[str]:
    """The lines that a CI job would obey."""
    return [
        line
        for line in text.replace("\r", "\n").split("\n")
        if line.lstrip().startswith("::") or "##[" in line or "##vso[" in line
    ]


@pytest.mark.parametrize("options", [(), ("--timestamps",), ("-o", "json")], ids=str)
@pytest.mark.parametrize("command", ["logs", "tail"])
def test_log_steers_no_ci_job(command: str, options: tuple[str, ...], account: Served, cli: Cli) -> None:
    """Each message is one line without anything that GitHub Actions or Azure Pipelines obeys."""
    build = account.do(lambda: account.sim.add_finished_build(HOSTILE, BuildOutcome.FAIL))
    run = cli(command, build.build_uuid, *options)
    assert obeyed(run.out) + obeyed(run.err) == []
    assert len(run.out.splitlines()) == len(HOSTILE)
    if options == ("-o", "json"):
        assert [record["message"] for record in run.records] == HOSTILE
    else:
        assert not set("\x07\x1b\x9b\u202e") & set(run.out)


@pytest.mark.parametrize("command", ["show", "wait"])
def test_reason_steers_no_ci_job(command: str, account: Served, cli: Cli) -> None:
    """Nor does the line of a log that is printed as the reason of a failure."""
    for message in HOSTILE:
        build = account.do(lambda text=message: account.sim.add_finished_build([text], BuildOutcome.FAIL))  # type: ignore[misc]
        run = cli(command, build.build_uuid)
        assert obeyed(run.out) + obeyed(run.err) == []
        assert "\x1b" not in run.out + run.err


@pytest.mark.parametrize(
    ("terminal", "colour", "shown"),
    [
        pytest.param(True, True, "a\x1b[31mb\x1b[0m^[]0;t^G\n::c\n", id="terminal"),
        pytest.param(True, False, "ab^[]0;t^G\n::c\n", id="terminal without color"),
        pytest.param(False, False, "a\x1b[31mb\x1b[0m^[]0;t^G\n: :c\n", id="pipe"),
    ],
)
@pytest.mark.parametrize("optional", [False, True], ids=["stdout", "stderr"])
def test_whatever_is_written_is_safe_for_its_place(
    terminal: bool, colour: bool, shown: str, optional: bool
) -> None:
    """The last word is where the output leaves: no caller can forget it."""
    data = io.BytesIO()
    screen = Screen((Terminal if terminal else io.TextIOWrapper)(data, "utf-8"), optional=optional)
    screen.colour = colour
    screen.write("a\x1b[31mb\x1b[0m\x1b]0;t\x07\n::c\n")
    assert data.getvalue().decode() == shown


def test_trusted_output_goes_out_as_it_is() -> None:
    """What rich draws, and raw output, are not touched."""
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, "utf-8")
    Screen(stream).write("\x1b[2K::c\r", trusted=True)
    assert data.getvalue() == b"\x1b[2K::c\r"


def test_text_of_a_sign_of_life_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rich draws is trusted, so what is given to it to draw is made safe before."""
    data = io.BytesIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal(data, "utf-8"))
    with Waiting(stderr(), "waiting for \x1b]0;pwned\x07") as waiting:
        waiting.tell("and for \x9b2J")
    assert b"\x1b]0" not in data.getvalue()
    assert "\x9b".encode() not in data.getvalue()
