"""Tests the screen: safe text, and the effects of failed writes."""

import io
import os
import re
import sys

import pytest

from builds_async.cli import running
from builds_async.cli.exits import CommandError
from builds_async.cli.running import WriteAbandoned
from builds_async.cli.terminal import Screen, Spinner, stderr, stdout, wants_color
from tests.cli.support import Terminal
from tests.support.case import cases


@cases(
    ("terminal", "color", "shown"),
    [
        pytest.param(True, True, "a\x1b[31mb\x1b[0m^[]0;t^G\n::c\n", id="terminal"),
        pytest.param(True, False, "ab^[]0;t^G\n::c\n", id="terminal without color"),
        pytest.param(False, False, "a\x1b[31mb\x1b[0m^[]0;t^G\n: :c\n", id="pipe"),
    ],
)
@cases("optional", [False, True], ids=["stdout", "stderr"])
def test_output_is_safe_for_its_place(terminal: bool, color: bool, shown: str, optional: bool) -> None:
    """The screen makes any text safe for its destination."""
    data = io.BytesIO()
    screen = Screen((Terminal if terminal else io.TextIOWrapper)(data, "utf-8"), optional=optional)
    screen.color = color
    screen.write("a\x1b[31mb\x1b[0m\x1b]0;t\x07\n::c\n")
    assert data.getvalue().decode() == shown


def test_trusted_output_is_unchanged() -> None:
    """Trusted text is written unchanged."""
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, "utf-8")
    Screen(stream).write("\x1b[2K::c\r", trusted=True)
    assert data.getvalue() == b"\x1b[2K::c\r"


def test_the_text_of_a_spinner_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of a spinner is made safe before rich draws it."""
    data = io.BytesIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal(data, "utf-8"))
    with Spinner(stderr(), "waiting for \x1b]0;pwned\x07") as waiting:
        waiting.update("and for \x9b2J")
    assert b"\x1b]0" not in data.getvalue()
    assert "\x9b".encode() not in data.getvalue()


class Broken(io.BytesIO):
    """A stream that can't be written to."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def write(self, _data: object, /) -> int:
        raise self._error


def broken(error: OSError) -> io.TextIOWrapper:
    return io.TextIOWrapper(Broken(error))


def test_output_without_a_reader() -> None:
    """A missing reader is an error on standard output, but not on standard error."""
    Screen(broken(BrokenPipeError()), optional=True).write("x")
    with pytest.raises(BrokenPipeError):
        Screen(broken(BrokenPipeError())).write("x")


def test_a_message_above_a_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message during a spinner gets its own line."""
    data = io.BytesIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal(data, "utf-8"))
    with Spinner(stderr(), "fetching"):
        stderr().write("text: [bold]\n")
    assert re.search(rb"fetching.*\r\x1b\[2Ktext: \[bold\] *\n.*fetching", data.getvalue(), re.DOTALL)


def test_an_optional_write_is_abandoned_without_an_error(stops: list[int]) -> None:
    """A standard error without a reader does not keep the command from ending."""
    stops.append(15)
    reading, writing = os.pipe()
    with io.TextIOWrapper(open(writing, "wb", 0), write_through=True) as stream:  # noqa: PTH123
        Screen(stream, optional=True).write("x" * 200_000)
        with pytest.raises(WriteAbandoned):
            Screen(stream).write("x" * 200_000)
    os.close(reading)
    assert running._stops.is_delivered


def test_closed_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing to a closed standard output is an error, but not to a closed standard error."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    stderr().write("lost")
    stdout().write_records([])
    for write in (stdout().write, stdout().print):
        with pytest.raises(CommandError, match="can't write the output: it is closed"):
            write("lost")


def test_a_broken_pipe_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, the error "invalid argument" counts as a broken pipe."""
    screen = Screen(broken(OSError(22, "Invalid argument")))
    with pytest.raises(CommandError):
        screen.write("x")
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(BrokenPipeError):
        screen.write("x")


@cases(
    ("environ", "on_tty", "elsewhere"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
    ids=str,
)
def test_wants_color(environ: dict[str, str], on_tty: bool, elsewhere: bool) -> None:
    """NO_COLOR overrides FORCE_COLOR, which overrides the terminal; empty is unset."""
    assert wants_color(is_tty=True, environ=environ) is on_tty
    assert wants_color(is_tty=False, environ=environ) is elsewhere
