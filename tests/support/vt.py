"""A minimal terminal, sufficient to read the screen of a full-screen command."""

import re
from typing import Final
from unicodedata import east_asian_width

_SEQUENCE: Final = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class VirtualTerminal:
    """Two screens, the normal and the alternate one, and a cursor. Colors are ignored.

    An unknown sequence is an error, because the test would see a different screen than a user.
    """

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.rows = rows
        self.columns = columns
        self.is_alternate = False
        """Whether the alternate screen is shown."""
        self.is_cursor_hidden = False
        """Whether the cursor is hidden."""
        self._row = self._column = 0
        self._saved = (0, 0)
        self._normal = self._blank()
        self._alternate = self._blank()
        self._rest = ""

    def resize(self, rows: int, columns: int) -> None:
        """Resize the terminal; lines keep the part that fits."""
        self.rows, self.columns = rows, columns
        for screen in (self._normal, self._alternate):
            screen[:] = [[*line[:columns], *" " * (columns - len(line))] for line in screen[-rows:]]
            screen.extend([" "] * columns for _ in range(rows - len(screen)))
        self._row, self._column = min(self._row, rows - 1), min(self._column, columns - 1)

    @property
    def lines(self) -> list[str]:
        """The visible lines, without trailing blanks."""
        lines = ["".join(line).rstrip() for line in self._screen]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def feed(self, text: str) -> None:
        """Process the output of a program."""
        text = self._rest + text
        self._rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = _SEQUENCE.match(text, at)
                if found is None:
                    assert len(text) - at < 20, f"unknown sequence {text[at : at + 20]!r}"
                    self._rest = text[at:]
                    return
                self._execute(found[1], found[2], found[3])
                at = found.end()
                continue
            self._put(text[at])
            at += 1

    @property
    def _screen(self) -> list[list[str]]:
        return self._alternate if self.is_alternate else self._normal

    def _blank(self) -> list[list[str]]:
        return [[" "] * self.columns for _ in range(self.rows)]

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._line_feed()
        elif character == "\x08":
            self._column = max(0, self._column - 1)
        elif character != "\x07":
            width = 2 if east_asian_width(character) in "WF" else 1
            if self._column + width > self.columns:
                self._column = 0
                self._line_feed()
            self._screen[self._row][self._column] = character
            if width == 2:
                self._screen[self._row][self._column + 1] = ""
            self._column += width

    def _line_feed(self) -> None:
        if self._row < self.rows - 1:
            self._row += 1
        else:
            self._screen[:] = [*self._screen[1:], [" "] * self.columns]

    def _execute(self, private: str, parameters: str, final: str) -> None:
        numbers = [int(it or 0) for it in parameters.split(";")]
        if private:
            self._switch(parameters, on=final == "h")
        elif final == "H":
            row, column = (*numbers, 0)[:2]
            self._row, self._column = max(1, row) - 1, max(1, column) - 1
            assert self._row < self.rows, "the cursor is moved below the screen"
        elif final == "K":
            # A full line has the cursor on its last character, which is cleared too.
            at = 0 if numbers == [2] else min(self._column, self.columns - 1)
            self._screen[self._row][at:] = [" "] * (self.columns - at)
        elif final == "J":
            if numbers == [2]:
                self._screen[:] = self._blank()
            else:
                self._execute("", "", "K")
                self._screen[self._row + 1 :] = self._blank()[self._row + 1 :]
        elif final == "A":
            self._row = max(0, self._row - max(1, numbers[0]))
        else:
            assert final == "m", f"unknown sequence {parameters}{final}"

    def _switch(self, parameters: str, *, on: bool) -> None:
        if parameters == "25":
            self.is_cursor_hidden = not on
        elif parameters == "1049":
            if on and not self.is_alternate:
                self._saved = (self._row, self._column)
                self._alternate = self._blank()
            elif not on and self.is_alternate:
                self._row, self._column = self._saved
            self.is_alternate = on
        else:
            assert parameters in {"2004", "1"}, f"unknown mode {parameters}"  # modes that a shell sets
