"""The rendering of lines, also against a minimal model of a terminal."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds_async.cli.text import visible_text
from builds_async.models.render import render
from tests.support.case import cases

LINES = [
    ("a Windows line\r", "a Windows line"),
    ("several\r\r\n", "several"),
    ("npm 10%\r20%\r30% done\r", "30% done"),
    ("npm  10%\rnpm  20%\rnpm 100%", "npm 100%"),
    ("12345678\rab", "ab345678"),
    ("50 of 100\r\x1b[Kdone", "done"),
    ("50 of 100\r\x1b[0Jdone", "done"),
    ("a spinner that was cleared\r\x1b[K", ""),
    ("\x1b[2K\rdone", "done"),
    ("\x1b[2K\x1b[1G⠋ building\x1b[2K\x1b[1G✔ built", "✔ built"),
    ("\x1b[1A\x1b[2Kone row up", "one row up"),
    ("abc\x1b[2Kdef", "   def"),
    ("abc\x08\x08X", "aXc"),
    ("\x08\x08a", "a"),
    ("bo\x08o\x08old", "bold"),
    ("abc\x1b[2DX", "aXc"),
    ("abc\x1b[9DX", "Xbc"),
    ("abcdef\r\x1b[3C!", "abc!ef"),
    ("abc\x1b[6Gf", "abc  f"),
    ("abc\x1b[999999999Cd", "abcd"),
    ("a\tb\rX", "X       b"),
    ("日本\rx", "x 本"),
    ("日本語\rab", "ab本語"),
    ("日本\x1b[3G\x1b[K!", "日!"),
    ("日本\x1b[2G\x1b[K!", " !"),
    ("cafe\u0301s\rC", "Cafe\u0301s"),
    ("👩\u200d👧 10%\r👩\u200d👧 20%", "👩\u200d👧 20%"),
    ("\x1b]0;a title\x07after", "after"),
    ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x1b]52;c;cm0gLXJm\x07clipboard", "clipboard"),
    ("\x1bP1;2|data\x1b\\DCS", "DCS"),
    ("\x1b(B\x1b)0\x1b[?25l\x1b[?2004h\x1b7\x1b=text\x1b8\x1bc", "text"),
    ("before\x1b[2J\x1b[Hafter", "beforeafter"),
    ("\x1b[10;20Hplaced\x1b[3A\x1b[2L\x1b[1;5r", "placed"),
    ("\x1b[31", "\x1b[31"),
    ("\x1b]0;no end", "\x1b]0;no end"),
    ("\x1b", "\x1b"),
    ("\x1b\x1b[K", "\x1b"),
    ("a\x00b\x07\x9bc", "a\x00b\x07\x9bc"),
    ("first\r\nsecond", "first\nsecond"),
    ("tab\tand ✨ stay", "tab\tand ✨ stay"),
]


@cases(("text", "left"), LINES, ids=[ascii(text) for text, _ in LINES])
def test_render(text: str, left: str) -> None:
    """Carriage returns, backspaces, erasing and cursor moves take effect; other sequences are dropped."""
    assert render(text) == left


COLORS = [
    ("\x1b[1;31mred\x1b[0m!", "\x1b[1;31mred\x1b[0m!"),
    ("\x1b[31mred\x1b[2J", "\x1b[31mred"),
    ("\x1b[31mred\rX\x1b[0mY", "\x1b[31mX\x1b[0mY\x1b[31md"),
    ("\x1b[1m\x1b[32mbold\rX", "\x1b[1m\x1b[32mXold"),
    ("plain\r\x1b[32mgreen\x1b[m\r", "\x1b[32mgreen"),
]


@cases(("text", "left"), COLORS, ids=[ascii(text) for text, _ in COLORS])
def test_colors_stay_with_their_characters(text: str, left: str) -> None:
    """A color stays with its characters when some of them are overwritten."""
    assert render(text) == left


class Terminal:
    """A minimal terminal of one row, with one cell per column."""

    def __init__(self) -> None:
        self.cells: dict[int, str] = {}
        self.column = 0

    def execute(self, part: str) -> None:
        if part == "\r":
            self.column = 0
        elif part == "\b":
            self.column = max(0, self.column - 1)
        elif part == "\x1b[K":
            self.cells = {at: it for at, it in self.cells.items() if at < self.column}
        elif part == "\x1b[2K":
            self.cells = {}
        elif part == "\x1b[3C":
            self.column += 3
        elif part == "\x1b[2D":
            self.column = max(0, self.column - 2)
        elif part == "\x1b[5G":
            self.column = 4
        else:
            for character in part:
                self.cells[self.column] = character
                self.column += 1

    @property
    def text(self) -> str:
        return "".join(self.cells.get(at, " ") for at in range(max(self.cells, default=-1) + 1))


PARTS = st.sampled_from(["\r", "\b", "\x1b[K", "\x1b[2K", "\x1b[3C", "\x1b[2D", "\x1b[5G", "ab", "xyz", "é"])


@pytest.mark.slow
@given(st.lists(PARTS, max_size=30))
def test_it_agrees_with_a_terminal(parts: list[str]) -> None:
    """Any sequence of writes and moves renders as the terminal shows it."""
    terminal = Terminal()
    for part in parts:
        terminal.execute(part)
    assert render("".join(parts)).rstrip(" ") == terminal.text.rstrip(" ")


@given(st.text(st.sampled_from("\r\b\x1b[]0;?2KGm\x07\\a日\u0301\t\n "), max_size=60))
def test_no_control_character_is_left(text: str) -> None:
    """After rendering and escaping, no control character but the tab is left, and rendering is stable."""
    shown = visible_text(render(text))
    assert not any(character < " " and character != "\t" for character in shown)
    assert visible_text(render(shown)) == shown


MEGABYTE = 1 << 20
LARGE = {
    "one carriage return": "x" * MEGABYTE + "\r",
    "progress": "[=====>   ] 50%\r" * (MEGABYTE // 16),
    "erasing": "x" * (MEGABYTE // 2) + "\x1b[2Ky" * (MEGABYTE // 10),
    "backspaces": "x\b" * (MEGABYTE // 2),
    "sequences without an end": "\x1b]" * (MEGABYTE // 2),
    "parameters without an end": "\x1b[" + "1;" * (MEGABYTE // 2),
    "one long title": "\x1b]0;" + "x" * MEGABYTE,
    "colors": "\x1b[1mx" * (MEGABYTE // 5) + "\r",
    "accents": "e" + "\u0301" * MEGABYTE + "\r!",
    "far away": "\x1b[999Cx\x1b[2K\r!" * (MEGABYTE // 13),
    "wide": "日本" * (MEGABYTE // 2) + "\r!",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", LARGE.values(), ids=list(LARGE))
def test_a_large_line_is_fast(text: str) -> None:
    """Rendering takes linear time (quadratic would take minutes), and the result is not much longer."""
    began = time.process_time()
    left = render(text)
    assert time.process_time() - began < 20  # generous, because coverage may be on
    assert len(left) <= len(text) + 1000
