"""The two streams that people and programs read."""

import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, TextIO, cast

from builds_async.cli.colours import wants_colour
from builds_async.cli.exits import CommandError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_WIDE = 10_000


class Screen:
    """A stream, what it is, and how to write to it.

    Every write is flushed. No text makes it fail: what the encoding lacks is written as an escape.
    BrokenPipeError is the reader's end; any other failure to write is a CommandError. What is `optional` is
    then not written, without an error.
    """

    def __init__(self, stream: TextIO, *, optional: bool = False) -> None:
        self._stream = stream
        self._optional = optional
        self.is_tty = stream.isatty()
        self.colour = wants_colour(is_tty=self.is_tty, environ=os.environ)
        # A program reads what the API sent, whatever the locale says; a terminal has an encoding.
        self.encoding = stream.encoding if self.is_tty and stream.encoding else "utf-8"

    def write(self, text: str) -> None:
        """Write it at once, as one piece, above what rich may be redrawing there."""
        if self.is_tty and hasattr(self._stream, "rich_proxied_file"):
            self._stream.write(text)
            return
        data = text.encode(self.encoding, "backslashreplace")
        try:
            self._stream.buffer.write(data)
            self._stream.buffer.flush()
        except OSError as error:
            silence(self._stream)  # what could not be written now is not tried again at the end
            if self._optional:
                return
            if isinstance(error, BrokenPipeError):
                raise
            raise CommandError(f"can't write the output: {error.strerror}") from error

    def print(self, what: "RenderableType") -> None:
        """Write what rich can draw, to a file or a pipe as wide as it needs."""
        console = self.console if self.is_tty else self._console(_WIDE)
        with console.capture() as drawn:
            console.print(what)
        # rich makes all lines of a table as wide as the widest.
        self.write("\n".join(line.rstrip(" ") for line in drawn.get().split("\n")))

    @cached_property
    def console(self) -> "Console":
        """For what draws by itself. Text that is given to it is not read as markup."""
        return self._console(None)

    def _console(self, width: int | None) -> "Console":
        from builds_async.cli.rich_console import QuietConsole, ScreenFile  # noqa: PLC0415  # rich is slow to load

        return QuietConsole(
            file=cast("TextIO", ScreenFile(self)),
            color_system="auto" if self.colour else None,  # else not even bold
            force_terminal=True if self.colour else None,
            width=width,
            highlight=False,
            markup=False,
            emoji=False,
        )


def stdout() -> Screen:
    """Standard output."""
    return Screen(_usable(sys.stdout))


def stderr() -> Screen:
    """Standard error."""
    return Screen(_usable(sys.stderr), optional=True)


def silence(stream: TextIO | None) -> None:
    """Let nothing more come of a stream, also not when the interpreter flushes it at its end."""
    if stream is None:
        return
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # not a file: nothing will be flushed
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _usable(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed by the caller's shell
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # for the rest of the process
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
