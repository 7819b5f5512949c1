"""Renders a log line as a terminal would finally show it, since builds print progress bars and spinners."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final
from unicodedata import combining, east_asian_width

from builds_async.models.text import OTHER_SEQUENCES, RESET
from builds_async.models.text import SGR as SGR_PATTERN

SGR: Final = re.compile(SGR_PATTERN)
_TAB: Final = 8
_MAX_COLUMN: Final = 1000
"""The last column that the cursor jumps to: more than most terminals have, and a limit on blanks."""

# Limits per cell, so that time and size stay linear for a hostile line.
_MAX_MARKS: Final = 8
_MAX_STYLES: Final = 16
_MAX_STYLE_LENGTH: Final = 100

_JOINING: Final = "\u200d\ufe0e\ufe0f"  # the joiner and the variation selectors of emoji

_PARTS = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    rf"|{OTHER_SEQUENCES}"
    r"|(?P<control>[\r\b\t])"
    r"|(?P<text>[^\r\b\t\x1b]+|\x1b)"  # an ESC that begins no sequence is text
)
# Moves of the cursor and erasing. Most lines have none and need no row of cells.
_MOVING = re.compile(r"[\r\b]|\x1b\[(?:[0-?]*[ -/]*[CDGK`a]|0*J)")
_SPECIAL = re.compile(r"[\r\b\x1b]")


def render(text: str) -> str:
    """The text as a terminal of unlimited width would show it, with its colors but no other sequences.

    A carriage return or a backspace moves the cursor back, and later text overwrites column by column; other
    moves within the line are followed, and `ESC [ K` erases. All other escape sequences are dropped: moves
    between lines, titles, links, the clipboard, character sets. Incomplete sequences and other control
    characters stay: `models.text` makes them visible. The time is linear in the length.
    """
    if not _SPECIAL.search(text):
        return text
    text = text.rstrip("\r\n")
    if "\n" in text:  # unusual in a message; the lines must not overwrite each other
        return "\n".join(map(render, text.split("\n")))
    if _MOVING.search(text):
        return _Row().draw(text)
    return _PARTS.sub(lambda part: part[0] if _is_kept(part) else "", text)


def _is_kept(part: re.Match[str]) -> bool:
    return part.lastgroup in {"control", "text"} or SGR.fullmatch(part[0]) is not None


class _Row:
    """One row of a terminal: a character and a style for each column, and the cursor.

    A wide character is followed by an empty one for its second column. Columns before `_first` are blank and
    not stored: otherwise, repeated jumps to the right and erasing would take quadratic time.
    """

    def __init__(self) -> None:
        self._characters: list[str] = []
        self._styles: list[str] = []
        self._first = 0
        self._column = 0
        self._style = ""

    def draw(self, text: str) -> str:
        """Write the text and execute its sequences; return the content of the row."""
        for part in _PARTS.finditer(text):
            if part["text"]:
                self._write(part["text"])
            elif part["control"]:
                self._move(part["control"])
            elif SGR.fullmatch(part[0]):
                self._style = _styled(self._style, part[0])
            elif part["final"]:
                self._execute(part["final"], part["parameters"])
        return "".join(self._runs())

    def _write(self, text: str) -> None:
        """Overwrite the cells from the cursor on."""
        cells = list(text) if text.isascii() else _cells(text)
        start = self._at_cursor()
        end = start + len(cells)
        self._split(start)
        self._split(end)
        self._characters[start:end] = cells
        self._styles[start:end] = [self._style] * len(cells)
        self._column += len(cells)

    def _split(self, at: int) -> None:
        """Replace a wide character by blanks if one of its halves is about to be overwritten."""
        if at < len(self._characters) and not self._characters[at]:
            self._characters[at - 1 : at + 1] = "  "

    def _at_cursor(self) -> int:
        """The index of the cursor in the lists, extended to contain it."""
        if self._column < self._first:
            blank = self._first - self._column if self._characters else 0
            self._characters[:0], self._styles[:0] = [" "] * blank, [""] * blank
            self._first = self._column
        at = self._column - self._first
        if (blank := at - len(self._characters)) > 0:
            self._characters += [" "] * blank
            self._styles += [""] * blank
        return at

    def _move(self, control: str) -> None:
        if control == "\r":
            self._column = 0
        elif control == "\b":
            self._column = max(0, self._column - 1)
        else:
            self._column += _TAB - self._column % _TAB if self._column < _MAX_COLUMN else 1

    def _execute(self, final: str, parameters: str) -> None:
        # Six digits exceed any screen; converting a megabyte of digits would take minutes.
        number = int(parameters[:6]) if parameters[:6].isdecimal() else 0
        if final == "K" or (final == "J" and number == 0):  # other J erase beyond this line and are dropped
            self._erase(number)
        elif final in "Ca":
            self._go_to(self._column + max(1, number))
        elif final == "D":
            self._column = max(0, self._column - max(1, number))
        elif final in "G`":
            self._go_to(max(1, number) - 1)

    def _go_to(self, column: int) -> None:
        # Plain text may have moved the cursor past the limit: going back is always allowed.
        if column < self._column or column <= _MAX_COLUMN:
            self._column = column

    def _erase(self, mode: int) -> None:
        if mode == 0:  # to the end of the line
            at = max(0, self._column - self._first)
            self._split(at)
            del self._characters[at:], self._styles[at:]
        elif mode == 2:  # the whole line
            # The cursor stays; columns before it are blank and need not be stored.
            self._characters, self._styles, self._first = [], [], self._column

    def _runs(self) -> Iterator[str]:
        """Runs of one style each. The last style is not reset."""
        if self._characters:
            yield " " * self._first
        before = ""
        for style, pairs in groupby(zip(self._styles, self._characters, strict=True), lambda pair: pair[0]):
            yield (RESET if before else "") + style + "".join(character for _, character in pairs)
            before = style


def _cells(text: str) -> list[str]:
    """The text by column: a character with its accents, or "" for the second column of a wide character."""
    cells: list[str] = []
    base = -1
    for character in text:
        # A combining character takes no column, except at the start, where it has no base.
        if base >= 0 and (combining(character) or character in _JOINING):
            if len(cells[base]) < _MAX_MARKS:
                cells[base] += character
        else:
            base = len(cells)
            cells.append(character)
            if east_asian_width(character) in "WF":
                cells.append("")
    return cells


def _styled(style: str, change: str) -> str:
    """The style after the SGR sequence `change`. Of those since the last reset, only the last 16 count."""
    if re.fullmatch(r"\x1b\[[0;:]*m", change):  # a reset: `ESC [ m` or `ESC [ 0 m`
        return ""
    if len(change) > _MAX_STYLE_LENGTH:
        return style
    return "".join(SGR.findall(style + change)[-_MAX_STYLES:])
