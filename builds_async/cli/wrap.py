"""Breaks long lines at spaces and indents what follows, so that the prefixes of lines stay a column."""

from collections.abc import Iterator
from unicodedata import combining, east_asian_width

from builds_async.cli.text import SGR

_MIN_WIDTH = 20
"""With less room for text than this, an indent makes a line harder to read."""


def hanging(text: str, indent: int, columns: int) -> str:
    """The text, which begins in column `indent`, with each row after the first indented as well.

    It breaks at spaces only: a longer word, such as a URL, is left to the terminal, where it can still be
    selected and copied. Colors take no room.
    """
    room = columns - indent
    if room < _MIN_WIDTH or (len(text) <= room and text.isascii()):
        return text
    return f"\n{' ' * indent}".join(_rows(text, room))


def _rows(text: str, room: int) -> Iterator[str]:
    row: list[str] = []
    used, is_blank = 0, True
    for word in text.split(" "):
        width = _width(word)
        # A row is never empty: spaces at the start of a line belong to its first word.
        if used + len(row) + width > room and not is_blank:
            yield " ".join(row)
            row, used, is_blank = [], 0, True
        row.append(word)
        used += width
        is_blank = is_blank and not word
    yield " ".join(row)


def _width(word: str) -> int:
    visible = SGR.sub("", word)
    if visible.isascii():
        return len(visible)
    return sum(
        0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1
        for character in visible
    )
