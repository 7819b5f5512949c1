"""Shows builds of Workers as they change, on the whole screen of a terminal."""

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import NamedTuple

from rich.text import Text

from builds_async.cli.full_screen import FullScreen
from builds_async.cli.tables import BuildTable
from builds_async.cli.terminal import Screen

_NO_BREAK = "\N{NO-BREAK SPACE}"
_REDRAW_SECONDS = 1.0
"""Ages grow even if nothing changes."""


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
            # It breaks only between two states.
            text = self.summary.replace(" ", _NO_BREAK).replace(f",{_NO_BREAK}", ", ")
            out.write(out.drawn(Text(text)).replace(_NO_BREAK, " "))


async def draw_changes(
    changes: AsyncIterable[object],
    view: Callable[[int | None], View],
    out: Screen,
    *,
    wide: bool = False,
    hint: str,
) -> None:
    """Draw the view again and again while the changes last; then leave it on the normal screen.

    `view` gives the table with at most so many rows: of thousands, the screen shows few. The hint stands
    behind the summary, where there is room.
    """
    try:
        with FullScreen(out) as screen:
            await _draw(changes, view, screen, wide=wide, hint=hint)
    finally:
        view(None).print(out, wide=wide)


async def _draw(
    changes: AsyncIterable[object],
    view: Callable[[int | None], View],
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
