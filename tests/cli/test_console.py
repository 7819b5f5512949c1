"""Tests live displays of rich: lines above them, and the cursor of a suspended process."""

import io
import re
import signal
import sys

import pytest
from rich.live import Live
from rich.text import Text

from builds_async.cli import console
from builds_async.cli.terminal import Screen, stdout
from tests.cli.support import Terminal


def test_lines_above_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are written once, above the live display."""
    data = io.BytesIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal(data, "utf-8"))
    counts: list[int] = []
    with Live(Text("table"), console=stdout().console, auto_refresh=False):
        stdout().write_records(["one\n", "two\n"], counts.append)
    shown = data.getvalue()
    assert (shown.count(b"one"), shown.count(b"two"), sum(counts)) == (1, 1, 2)
    assert re.search(rb"one\s*\n.*two\s*\n.*table", shown, re.DOTALL)


needs_suspending = pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="needs a process group")


@needs_suspending
def test_handlers_while_the_cursor_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handlers are installed only while the cursor is hidden, and not if Ctrl-Z is ignored."""
    monkeypatch.setenv("TERM", "xterm")
    console = Screen(Terminal(io.BytesIO(), "utf-8")).console

    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)]

    before = handlers()
    console.show_cursor(False)
    assert all(map(callable, handlers()))
    console.show_cursor(True)
    assert handlers() == before
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)
    installed: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda number, _: installed.append(number))
    console.show_cursor(False)
    console.show_cursor(True)
    assert not installed


@needs_suspending
def test_continued_before_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process does not stop if SIGCONT arrives while the cursor is being shown."""
    shown: list[bool] = []
    kills: list[tuple[int, int]] = []

    def show_cursor(show: bool) -> None:
        shown.append(show)
        if show:
            signal.raise_signal(signal.SIGCONT)

    monkeypatch.setattr("os.kill", lambda *call: kills.append(call))
    suspension = console.Suspension(show_cursor)
    suspension.on()
    signal.raise_signal(signal.SIGTSTP)
    suspension.off()
    assert (shown, kills) == ([True, False], [])


def test_without_suspension(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor is hidden and shown on Windows too, which lacks the signals."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(console, "_STOP", None)
    monkeypatch.setattr(console, "_CONTINUE", None)
    data = io.BytesIO()
    drawing = Screen(Terminal(data, "utf-8")).console
    drawing.show_cursor(False)
    drawing.show_cursor(True)
    assert data.getvalue() == b"\x1b[?25l\x1b[?25h"
