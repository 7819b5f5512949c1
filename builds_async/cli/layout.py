"""Fits a table into the width of a terminal: shortens what can be shortened, then drops columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from builds_async.cli.facts import DIGITS
from builds_async.session.ids import is_uuid

GAP: Final = 2
"""The number of blanks between two columns."""


class Column(NamedTuple):
    """How a column is shortened if the table is too wide."""

    name: str
    least: int | None = None
    """The width down to which its cells are shortened; None if they are shown whole."""
    enough: int | None = None
    """The width down to which they are shortened to make room for the `EXTRA` columns; None if not at all."""
    in_middle: bool = False
    """Whether the ellipsis replaces the middle of a cell instead of its end."""


_SHORTENED: Final[Mapping[str, Column]] = {
    column.name: column
    for column in (
        # The ends of such names differ most: `acme-shop-staging`, `acme-shop-production`.
        Column("Worker", 14, 24, in_middle=True),
        Column("Branch", 8, 16),
        Column("Live", 12, 24),
        Column("State", 10, 16),
        Column("Author", 8, 16),
        Column("Subject", 20, 40),
    )
}
_DISPENSABLE: Final = ("Took", "Version", "Commit", "Branch", "Age", "Since")
"""Which columns to drop where even shortened cells are too wide, in this order."""

_TINY: Final = 6
"""The least width of cells that can be shortened, on a screen that is too narrow for anything else."""

EXTRA: Final = ("Author", "Subject")
"""Which columns are shown only where there is room after all others; this is the order of dropping them."""


def column(name: str) -> Column:
    """The column with this name."""
    return _SHORTENED.get(name, Column(name))


def fit(needed: Mapping[str, int], width: int) -> dict[str, int]:
    """The columns to show, in the same order, and their widths; `needed` has the widths of their contents.

    A column that needs nothing is left out. If the table is too wide even without the columns that can be
    dropped, the UUIDs of builds are cut to their first digits, which leaves room for some of these columns.
    If nothing fits, the table is wider than `width`.
    """
    choices = _choices({name: it for name, it in needed.items() if it})
    widths, leasts = next(choices)
    while _total(leasts) > width and (choice := next(choices, None)):
        widths, leasts = choice
    return _narrowed(widths, leasts, width)


def shortened(text: Text, width: int, *, in_middle: bool = False, mark: str = "…") -> Text:
    """The text in at most this width; `mark` replaces what is left out. Wide characters count twice."""
    if text.cell_len <= width:
        return text
    room = max(0, width - cell_len(mark))
    tail = room // 2 if in_middle else 0
    last = len(text) - _fitting(reversed(text.plain), tail)
    first = _fitting(text.plain, room - tail)
    return Text.assemble(text[:first], (mark, text.style), text[last:])


def writable(text: Text, encoding: str) -> Text:
    """The text with an escape for each character that the encoding lacks, so that its width is known."""
    plain = text.plain.encode(encoding, "backslashreplace").decode(encoding)
    return text if plain == text.plain else Text(plain, text.style)


def ellipsis_in(encoding: str) -> str:
    """The ellipsis for a terminal with this encoding."""
    return "…" if encoding.lower().startswith("utf") else "..."


def laid_out(columns: Iterable[tuple[Column, int]], cells: Sequence[Text], mark: str) -> Text:
    """One row of the table, without blanks at its end. `mark` is the ellipsis."""
    row = Text(no_wrap=True, overflow="ignore")
    for (rule, width), text in zip(columns, cells, strict=True):
        short = text[:DIGITS] if width < text.cell_len and is_uuid(text.plain) else text
        shown = shortened(short, width, in_middle=rule.in_middle, mark=mark)
        row.append_text(shown)
        row.append(" " * (width - shown.cell_len + GAP))
    row.rstrip()
    return row


def _choices(needed: dict[str, int]) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """Choices of columns with their widths and their least widths, the most columns first."""
    columns = needed
    if "Subject" in needed:
        yield columns, _leasts(columns, for_extra=True)
        columns = _without(columns, "Author")
        yield columns, {**_leasts(columns, for_extra=True), **_leasts({"Subject": needed["Subject"]})}
    whole = _without(needed, *EXTRA)
    for columns in (whole, {name: min(it, DIGITS) if name == "Build" else it for name, it in whole.items()}):
        yield columns, _leasts(columns)
        for at in range(len(_DISPENSABLE)):
            fewer = _without(columns, *_DISPENSABLE[: at + 1])
            yield fewer, _leasts(fewer)
    yield fewer, {name: min(it, _TINY) if column(name).least else it for name, it in fewer.items()}


def _without(needed: Mapping[str, int], *names: str) -> dict[str, int]:
    return {name: it for name, it in needed.items() if name not in names}


def _leasts(needed: Mapping[str, int], *, for_extra: bool = False) -> dict[str, int]:
    leasts = {}
    for name, it in needed.items():
        rule = column(name)
        leasts[name] = min(it, (rule.enough if for_extra else rule.least) or it)
    return leasts


def _narrowed(widths: Mapping[str, int], leasts: Mapping[str, int], width: int) -> dict[str, int]:
    """The widths with which the table fits, if it can: the columns with the most to spare give first."""
    # One column never needs more than the whole width: this bounds the loop for a cell of a megabyte.
    narrowed = {name: min(it, max(width, leasts[name])) for name, it in widths.items()}
    for _ in range(_total(narrowed) - width):
        roomiest = max(narrowed, key=lambda name: narrowed[name] - leasts[name])
        if narrowed[roomiest] <= leasts[roomiest]:
            break
        narrowed[roomiest] -= 1
    return narrowed


def _total(widths: Mapping[str, int]) -> int:
    # No gap after the last column.
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _fitting(characters: Iterable[str], room: int) -> int:
    """How many of the characters fit into this room."""
    used = count = 0
    for character in characters:
        used += cell_len(character)
        if used > room:
            break
        count += 1
    return count
