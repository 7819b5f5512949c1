"""Draws on the whole screen of a terminal, and gives the terminal back however the command ends."""

import asyncio
import io
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from types import FrameType, TracebackType
from typing import Final, Self, TextIO, cast

from rich.text import Text

from builds_async.cli.console import Suspension
from builds_async.cli.exits import CommandError
from builds_async.cli.layout import ellipsis_in, shortened, writable
from builds_async.cli.running import shielded, signal_handlers
from builds_async.cli.terminal import Screen, stderr
from builds_async.cli.text import without_colors
from builds_async.cli.times import format_clock

# A terminal without an alternate screen ignores 1049. So the screen is cleared both ways.
_TAKE: Final = "\x1b[?1049h\x1b[?25l\x1b[2J\x1b[H"
_RESTORE: Final = "\x1b[0m\x1b[2J\x1b[H\x1b[?1049l\x1b[?25h"

_HOME: Final = "\x1b[H"
_CLEAR_LINE: Final = "\x1b[K"
_CLEAR_REST: Final = "\x1b[J"

_MIN_PAUSE: Final = 0.1
"""The minimum number of seconds between two frames, because many changes may come at once."""

_MAX_NOTES: Final = 100
_NOTE_SECONDS: Final = 60.0

# Windows has no such signal: there, the next frame has the new size.
_RESIZED: Final = getattr(signal, "SIGWINCH", None)


class FullScreen:
    """The whole screen of a terminal, as long as the context is open.

    It is the alternate screen if the terminal has one, so that the former content comes back at the end.
    Ctrl-Z gives it back until the process continues in the foreground. Messages on standard error, if that is
    a terminal, are kept: the last one is shown below each frame, and all are printed at the end.

    A frame fits the size that the terminal has when it is drawn. It is drawn whole each time, because keys
    that are pressed leave their echo.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._is_taken = False
        self._was_suspended = False
        self._suspension = Suspension(self._suspend)
        self._notes = Notes(cast("TextIO", sys.stderr))
        self._handlers = ExitStack()
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        if stderr().is_tty:
            sys.stderr = cast("TextIO", self._notes)
        if _RESIZED is not None:
            self._handlers.enter_context(signal_handlers({_RESIZED: self._wake}))
        self._suspension.on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with shielded():
            try:
                # The terminal may be gone.
                with suppress(CommandError, BrokenPipeError), self._suspension.held():
                    self._restore()
            finally:
                self._suspension.off()
                self._handlers.close()
                if sys.stderr is cast("TextIO", self._notes):
                    sys.stderr = self._notes.rich_proxied_file
                    stderr().write(self._notes.text)

    @property
    def size(self) -> os.terminal_size:
        """The columns and the rows that the terminal has now."""
        return shutil.get_terminal_size()

    @property
    def encoding(self) -> str:
        """The encoding of the terminal."""
        return self._screen.encoding

    def draw(self, lines: Sequence[Text], below: Sequence[Text] = (), *, more: int = 0) -> None:
        """Draw a header, rows and a footer (`below`). Rows that do not fit are only counted.

        `more` is the number of further rows that `lines` lacks; then `lines` must fill the screen.
        Draws nothing while a shell has the process in the background.
        """
        if self._is_away:
            return
        columns, rows = self.size
        note = self._notes.latest
        frame = fitted(lines, (*below, Text(note, "yellow")) if note else below, rows, more)
        mark = ellipsis_in(self.encoding)
        frame = [shortened(writable(line, self.encoding), columns, mark=mark) for line in frame]
        drawn = self._screen.drawn(Text("\n").join(frame), wide=True).split("\n")
        parts = [_HOME]
        for number, (line, text) in enumerate(zip(frame, drawn, strict=False), 1):
            # In the last column, the cursor still stands on the last character, which this would clear.
            rest = _CLEAR_LINE if line.cell_len < columns else ""
            parts.append(f"\x1b[{number};1H{text}{rest}")
        if len(frame) < rows:
            parts.append(f"\x1b[{len(frame) + 1};1H{_CLEAR_REST}")
        # At the top, where a line break that is typed does not scroll.
        parts.append(_HOME)
        # Otherwise the rest of a frame could land on the former content, after Ctrl-Z and `fg`.
        with self._suspension.held():
            self._take()
            self._screen.write("".join(parts), trusted=True)

    async def pause(self, seconds: float) -> None:
        """Wait for `wake`, for a resize of the terminal, or for `seconds`; then for another 0.1 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        await asyncio.sleep(_MIN_PAUSE)

    def wake(self) -> None:
        """End the pause."""
        self._news.set()

    def _wake(self, _number: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._news.set)

    @property
    def _is_away(self) -> bool:
        """Whether a shell has the process in the background.

        In a script, timeout(1) makes a process group that is never in front: not a reason to draw nothing.
        """
        if self._screen.is_in_front:
            return False
        return self._was_suspended or os.getpgid(os.getppid()) != os.getpgrp()

    def _take(self) -> None:
        if not self._is_taken:
            self._is_taken = True
            self._screen.write(_TAKE, trusted=True)

    def _restore(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._screen.write(_RESTORE, trusted=True)

    def _suspend(self, stops: bool) -> None:
        if stops:
            self._was_suspended = True
            self._restore()
        else:
            self._loop.call_soon_threadsafe(self._news.set)  # the next frame takes the screen


class Notes(io.TextIOBase):
    """Takes the place of standard error while the terminal shows something else, and keeps what is written.

    Only the last 100 lines are kept.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.rich_proxied_file: TextIO = stream
        """The stream itself. A `Screen` knows from this name that the stream is a proxy."""
        self._lines: deque[tuple[datetime, str]] = deque(maxlen=_MAX_NOTES)
        self._count = 0
        self._rest = ""  # the beginning of a line whose end is yet to come

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only, as it is in fact
        """The encoding of the stream."""
        return self.rich_proxied_file.encoding

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self.rich_proxied_file.isatty()

    def write(self, text: str) -> int:
        """Keep the lines of a text."""
        *lines, self._rest = (self._rest + text).split("\n")
        self._count += len(lines)
        self._lines.extend((datetime.now(UTC), line) for line in lines)
        return len(text)

    @property
    def latest(self) -> str:
        """The last line with its time of day; "" if it is older than a minute."""
        if not self._lines:
            return ""
        time, line = self._lines[-1]
        if (datetime.now(UTC) - time).total_seconds() > _NOTE_SECONDS:
            return ""
        return f"{format_clock(time, None)} {without_colors(line)}"

    @property
    def text(self) -> str:
        """All lines that were kept."""
        lost = self._count - len(self._lines)
        first = [f"... {lost} earlier lines\n"] if lost else []
        return "".join((*first, *(f"{line}\n" for _, line in self._lines), self._rest))


def fitted(lines: Sequence[Text], below: Sequence[Text], rows: int, more: int = 0) -> list[Text]:
    """A header, rows and a footer (`below`), in `rows` lines of the screen.

    Rows that do not fit are only counted. If even the footer does not fit, its last lines are dropped first.
    """
    room = rows - len(below)
    if len(lines) <= room and not more:
        return [*lines, *below]
    shown = max(1, room - 1)  # the last line counts the others
    rest = Text(f"... and {more + len(lines[shown:])} more", "dim")
    return [*[*lines[:shown], rest][: max(0, room)], *below][:rows]
