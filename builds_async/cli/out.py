"""The two streams that people and programs read."""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, TextIO, cast

from builds_async.cli.colours import wants_colour
from builds_async.cli.exits import CommandError
from builds_async.cli.running import Interrupted, interrupted
from builds_async.cli.sink import Sink
from builds_async.models.text import inert, visible_but_colors

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_WIDE = 10_000


class Screen:
    """A stream, what it is, and how to write to it.

    What goes out here may hold the words of others, so it is made safe for the place where it goes, whatever
    was done to it before: at a terminal and in a pipe every control character but tabs, line breaks and
    colors is made visible, and where no terminal is, which may be the log of a CI job, nothing in it is a
    command of GitHub Actions or Azure Pipelines. Only what is `trusted` goes out as it is: what rich draws,
    JSON that was escaped, and raw output.

    A write returns when every byte is out, see `Sink`. No text makes it fail: what the encoding lacks is
    written as an escape. BrokenPipeError is the reader's end; any other failure to write, also to a stream
    that was closed when the command started (`stream` is then None), is a CommandError. What is `optional` is
    then not written, without an error.
    """

    def __init__(self, stream: TextIO | None, *, optional: bool = False) -> None:
        self._stream = stream
        self._optional = optional
        self.is_tty = stream is not None and stream.isatty()
        self.colour = wants_colour(is_tty=self.is_tty, environ=os.environ)
        # A program reads what the API sent, whatever the locale says; a terminal has an encoding.
        self.encoding = stream.encoding if stream is not None and self.is_tty and stream.encoding else "utf-8"

    def write(self, text: str, *, trusted: bool = False) -> None:
        """Write it as one piece, above what rich may be redrawing there."""
        self.write_records((text,), trusted=trusted)

    def write_records(
        self,
        texts: Iterable[str],
        wrote: Callable[[int], None] = lambda _count: None,
        *,
        trusted: bool = False,
    ) -> None:
        """Write the texts in order; `wrote` is called with the number of those that have just gone out.

        What it was called with adds up to what is out, also when this fails or a stop signal ends it.
        """
        texts = tuple(texts) if trusted else tuple(map(self._guarded, texts))
        if self.is_tty and hasattr(self._stream, "rich_proxied_file"):
            cast("TextIO", self._stream).write("".join(texts))
            wrote(len(texts))
            return
        if not any(texts):
            wrote(len(texts))
            return
        try:
            self._sink.write([text.encode(self.encoding, "backslashreplace") for text in texts], wrote)
        except Interrupted:
            if not self._optional and threading.current_thread() is threading.main_thread():
                raise interrupted() from None
        except OSError as error:
            silence(self._stream)  # what could not be written now is not tried again at the end
            if not self._optional:
                raise _output_error(error) from error

    def _guarded(self, text: str) -> str:
        safe = visible_but_colors(text, colors=self.colour or not self.is_tty, lines=True)
        return safe if self.is_tty else inert(safe)

    @cached_property
    def _sink(self) -> Sink:
        if self._stream is None:
            raise OSError(errno.EBADF, "it is closed")
        return Sink(self._stream)

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


def _usable(stream: TextIO | None) -> TextIO | None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


def _output_error(error: OSError) -> Exception:
    # Windows says "invalid argument" of a pipe that nobody reads.
    if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
        return BrokenPipeError()
    return CommandError(f"can't write the output: {error.strerror}")
