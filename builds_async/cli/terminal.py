"""Standard output and standard error: what they can show, and how text gets there safely."""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO, cast

from builds_async.cli.exits import CommandError
from builds_async.cli.running import WriteAbandoned, mark_stop_delivered
from builds_async.cli.sink import Sink
from builds_async.cli.text import plain
from builds_async.models.text import inert, visible_but_colors

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_UNLIMITED_WIDTH = 10_000


class Screen:
    """One of the two streams: whether it is a terminal, whether it has color, and how to write to it.

    Text is made safe here for the place where it goes, whatever was done to it before: every control
    character but tabs, line breaks and colors becomes visible, and off a terminal, in what may be the log of
    a CI job, no line is a command of GitHub Actions or Azure Pipelines. Only `trusted` text is written
    unchanged: what rich draws, JSON that was escaped, and raw output.

    A write returns when every byte is out, see `Sink`. No text makes it fail: a character that the encoding
    lacks is written as an escape. BrokenPipeError means that the reader is gone. Any other failure is a
    CommandError, also for a stream that was closed when the command started (`stream` is then None). On an
    `optional` stream a failed write is not an error.
    """

    def __init__(self, stream: TextIO | None, *, optional: bool = False) -> None:
        self._stream = stream
        self._optional = optional
        self.is_tty: bool = stream is not None and stream.isatty()
        """Whether it is a terminal."""
        self.color: bool = wants_color(is_tty=self.is_tty, environ=os.environ)
        """Whether to write in color."""
        # A program gets what the API sent, in UTF-8 whatever the locale; a terminal has its own encoding.
        known = stream.encoding if stream is not None and self.is_tty else None
        self.encoding: str = known or "utf-8"

    def write(self, text: str, *, trusted: bool = False) -> None:
        """Write the text in one piece, above anything that rich is redrawing."""
        self.write_records((text,), trusted=trusted)

    def write_records(
        self,
        texts: Iterable[str],
        wrote: Callable[[int], None] = lambda _count: None,
        *,
        trusted: bool = False,
    ) -> None:
        """Write the texts in order; `wrote` is called with the number of those that have just gone out.

        The numbers add up to what is out, also when this fails or a stop signal ends it.
        """
        texts = tuple(texts) if trusted else tuple(map(self._guarded, texts))
        if self.is_tty and hasattr(self._stream, "rich_proxied_file"):
            # rich redraws something and has put its proxy in place of the stream: it writes text above that.
            cast("TextIO", self._stream).write("".join(texts))
            wrote(len(texts))
            return
        if not any(texts):  # so that a closed stream is no error when there is nothing to write
            wrote(len(texts))
            return
        try:
            self._sink.write([text.encode(self.encoding, "backslashreplace") for text in texts], wrote)
        except WriteAbandoned:
            # In a thread of rich's nobody would catch it; the main thread is cancelled anyway.
            if not self._optional and threading.current_thread() is threading.main_thread():
                mark_stop_delivered()
                raise
        except OSError as error:
            silence(self._stream)  # or the interpreter would try again at its exit, and complain
            if not self._optional:
                raise _output_error(error) from error

    def _guarded(self, text: str) -> str:
        # Text of the API has been made safe once already, where its line or cell was made: only there is it
        # known where a message ends, so that it can't add lines of its own. This second time is for what
        # was forgotten there: no caller can bypass it by mistake.
        safe = visible_but_colors(text, colors=self.color or not self.is_tty, lines=True)
        return safe if self.is_tty else inert(safe)

    @cached_property
    def _sink(self) -> Sink:
        if self._stream is None:
            raise OSError(errno.EBADF, "it is closed")
        return Sink(self._stream)

    def print(self, what: "RenderableType") -> None:
        """Write something that rich can draw; in a file or a pipe as wide as it needs."""
        console = self.console if self.is_tty else self._console(_UNLIMITED_WIDTH)
        with console.capture() as drawn:
            console.print(what)
        # rich pads all lines of a table to the width of the widest.
        self.write("\n".join(line.rstrip(" ") for line in drawn.get().split("\n")))

    @cached_property
    def console(self) -> "Console":
        """A console for what redraws itself. It reads no markup in text."""
        return self._console(None)

    def _console(self, width: int | None) -> "Console":
        from builds_async.cli.console import QuietConsole  # noqa: PLC0415  # rich is slow to load

        return QuietConsole(
            file=cast("TextIO", _ScreenFile(self)),
            color_system="auto" if self.color else None,  # None turns off bold print too
            force_terminal=True if self.color else None,
            width=width,
            highlight=False,
            markup=False,
            emoji=False,
        )


class _ScreenFile:
    """The screen as rich's output file: so its writes fail in the same way as those of the screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.encoding = screen.encoding

    def write(self, text: str) -> int:
        """Write it at once."""
        self._screen.write(text, trusted=True)  # it moves the cursor
        return len(text)

    def flush(self) -> None:
        """Do nothing: every write is complete."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._screen.is_tty


class Spinner:
    """Shows on a terminal that the command is waiting: a text and the elapsed time, erased at the end."""

    def __init__(self, screen: Screen, text: str, *, shown: bool = True) -> None:
        self._progress = None
        if shown and screen.is_tty:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._progress = Progress(*columns, console=screen.console, transient=True)
            self._task = self._progress.add_task(plain(text))  # what rich draws is trusted

    def update(self, text: str) -> None:
        """Show another text."""
        if self._progress is not None:
            self._progress.update(self._task, description=plain(text))

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def stdout() -> Screen:
    """Standard output, for results."""
    return Screen(_with_escapes(sys.stdout))


def stderr() -> Screen:
    """Standard error, for messages: a command does not fail because nobody reads them."""
    return Screen(_with_escapes(sys.stderr), optional=True)


def wants_color(*, is_tty: bool, environ: Mapping[str, str]) -> bool:
    """NO_COLOR turns color off, otherwise FORCE_COLOR on (empty is unset), otherwise a capable terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return is_tty and environ.get("TERM") != "dumb"


def silence(stream: TextIO | None) -> None:
    """Send the rest of a stream nowhere, also what the interpreter flushes at its exit."""
    if stream is None:
        return
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # not a file: nothing is flushed
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _with_escapes(stream: TextIO | None) -> TextIO | None:
    """The stream, which from now on writes an escape for a character that its encoding lacks."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


def _output_error(error: OSError) -> Exception:
    # Windows reports a broken pipe as "invalid argument".
    if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
        return BrokenPipeError()
    return CommandError(f"can't write the output: {error.strerror}")
