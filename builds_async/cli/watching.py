"""Shows builds of Workers as they change, on the whole screen of a terminal."""

import asyncio
import shutil
from collections.abc import AsyncIterable, Callable
from typing import NamedTuple

from rich.text import Text

from builds_async.cli.full_screen import FullScreen, fitted
from builds_async.cli.tables import BuildTable
from builds_async.cli.terminal import Screen

_NO_BREAK = "\N{NO-BREAK SPACE}"
_REDRAW_SECONDS = 1.0
"""Ages grow even if nothing changes."""
_LEAST_ROWS = 5


class View(NamedTuple):
    """A table and the line below it."""

    table: BuildTable
    summary: str
    more: int = 0
    """How many rows the table lacks."""

    def print(self, out: Screen, *, wide: bool = False) -> None:
        """Print the table, on a terminal with its summary.

        Elsewhere the output is for a script, for which the summary is one more line that is not a Worker. It
        is not written to standard error either: a job that mails what it finds there would mail each time.
        """
        out.print(self.table, wide=wide)
        if out.is_tty:
            print_summary(self.summary, out)


def print_summary(summary: str, out: Screen) -> None:
    """Print the summary, which breaks only between two states."""
    text = summary.replace(" ", _NO_BREAK).replace(f",{_NO_BREAK}", ", ")
    out.write(out.drawn(Text(text)).replace(_NO_BREAK, " "))


async def draw_changes(
    changes: AsyncIterable[object],
    view: Callable[[int], View],
    out: Screen,
    *,
    wide: bool = False,
    hint: str,
) -> None:
    """Draw the view again after each change; after the last one, leave what fits on the normal screen.

    `view` gives the table with at most the number of rows that it is passed. The hint comes after the
    summary, if there is room.
    """
    try:
        with FullScreen(out) as screen:
            await _draw(changes, view, screen, wide=wide, hint=hint)
    finally:
        _leave(view, out, wide=wide)


def _leave(view: Callable[[int], View], out: Screen, *, wide: bool) -> None:
    """Print the last view. Its first rows are the ones that matter, so they must not scroll away."""
    columns, rows = shutil.get_terminal_size()
    table, summary, more = view(rows)
    lines = table.lines(None if wide else columns, out.encoding)
    room = max(_LEAST_ROWS, rows - 2)  # the summary, and the prompt of the shell
    out.print(Text("\n").join(fitted(lines, (), room, more)), wide=wide)
    print_summary(summary, out)


async def _draw(
    changes: AsyncIterable[object],
    view: Callable[[int], View],
    screen: FullScreen,
    *,
    wide: bool,
    hint: str,
) -> None:
    async def read() -> None:
        async for _ in changes:
            screen.wake()

    reader = asyncio.ensure_future(read())
    reader.add_done_callback(lambda _: screen.wake())
    try:
        while not reader.done():
            columns, rows = screen.size
            table, summary, more = view(rows)
            lines = table.lines(None if wide else columns, screen.encoding)
            has_room = len(f"{summary}  {hint}") <= columns
            below = Text.assemble(summary, (f"  {hint}" if has_room else "", "dim"))
            screen.draw(lines, (below,), more=more)
            await screen.pause(_REDRAW_SECONDS)
        await reader
    finally:
        reader.cancel()
        await asyncio.wait((reader,))
