"""Tests the content of a full screen, in process; `test_watching` runs it on a terminal."""

import io
import os
import signal

import pytest
from rich.text import Text

from builds_async.cli.console import Suspension
from builds_async.cli.full_screen import FullScreen, Notes, fitted
from builds_async.cli.terminal import Screen
from tests.cli.support import Terminal
from tests.support.vt import VirtualTerminal


@pytest.mark.parametrize(
    ("below", "rows", "more", "shown"),
    [
        (1, 9, 0, ["header", "row 0", "row 1", "row 2", "row 3", "row 4", "below 0"]),
        (1, 7, 0, ["header", "row 0", "row 1", "row 2", "row 3", "row 4", "below 0"]),
        (1, 6, 0, ["header", "row 0", "row 1", "row 2", "... and 2 more", "below 0"]),
        (2, 6, 0, ["header", "row 0", "row 1", "... and 3 more", "below 0", "below 1"]),
        (1, 3, 0, ["header", "... and 5 more", "below 0"]),
        (1, 2, 0, ["header", "below 0"]),
        (1, 1, 0, ["below 0"]),
        (2, 1, 0, ["below 0"]),
        (1, 6, 40, ["header", "row 0", "row 1", "row 2", "... and 42 more", "below 0"]),
        (1, 7, 40, ["header", "row 0", "row 1", "row 2", "row 3", "... and 41 more", "below 0"]),
        (1, 3, 40, ["header", "... and 45 more", "below 0"]),
    ],
    ids=str,
)
def test_fitted(below: int, rows: int, more: int, shown: list[str]) -> None:
    """Rows that do not fit are counted, and the summary is dropped last."""
    lines = [Text("header"), *(Text(f"row {number}") for number in range(5))]
    under = [Text(f"below {number}") for number in range(below)]
    assert [line.plain for line in fitted(lines, under, rows, more)] == shown


FRAMES = [
    (["0123456789", "abcdef", "rows"], ["0123456789", "abcdef", "rows"]),
    (["x", "y"], ["x", "y"]),
    (["0123456789a"], ["012345678…"]),
    (["日本語日本語", "y"], ["日本語日…", "y"]),
]
"""The lines of successive frames, and the resulting lines of the terminal."""


async def test_a_frame_replaces_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame replaces everything on the screen, including typed keys, and full lines stay whole."""
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setenv("LINES", "3")
    monkeypatch.setenv("TERM", "xterm")
    data, terminal, seen = io.BytesIO(), VirtualTerminal(3, 10), 0
    with FullScreen(Screen(Terminal(data, "utf-8"))) as screen:
        for lines, shown in [*FRAMES, *reversed(FRAMES)]:
            screen.draw([Text(line) for line in lines])
            terminal.feed(data.getvalue()[seen:].decode())
            seen = len(data.getvalue())
            assert terminal.lines == shown
            terminal.feed("typed")


def test_notes_are_kept_and_bounded() -> None:
    """The last 100 lines of standard error are kept, with the number of lost lines."""
    notes = Notes(Terminal(io.BytesIO(), "utf-8"))
    assert (notes.text, notes.latest) == ("", "")
    for number in range(102):
        notes.write(f"line {number}\n")
    assert notes.text.startswith("... 2 earlier lines\nline 2\n")
    assert notes.text.endswith("line 101\n")
    assert notes.latest.endswith(" line 101")
    assert notes.isatty()


def test_a_line_may_arrive_in_pieces() -> None:
    """Pieces of a line, as `print` and tracebacks write them, form one line."""
    notes = Notes(Terminal(io.BytesIO(), "utf-8"))
    for piece in ("Trace", "back", "\nError", "\nlast"):
        notes.write(piece)
    assert notes.latest.endswith(" Error")
    assert notes.text == "Traceback\nError\nlast"


def test_an_old_note_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note is shown for only a minute, and is still printed at the end."""
    notes = Notes(Terminal(io.BytesIO(), "utf-8"))
    notes.write("retrying\n")
    monkeypatch.setattr("builds_async.cli.full_screen._NOTE_SECONDS", -1.0)
    assert (notes.latest, notes.text) == ("", "retrying\n")


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="needs a process group")
def test_ctrl_z_waits_for_the_end_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-Z during the write of a frame takes effect once, after the frame."""
    steps: list[object] = []
    suspension = Suspension(steps.append)
    monkeypatch.setattr(os, "kill", lambda _, number: steps.append(number))
    suspension.on()
    try:
        with suspension.held():
            signal.raise_signal(signal.SIGTSTP)
            signal.raise_signal(signal.SIGTSTP)
            steps.append("frame")
        assert steps == ["frame", True, signal.SIGTSTP]
    finally:
        suspension.off()
