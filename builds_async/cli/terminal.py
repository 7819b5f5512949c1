"""Writes to standard output and standard error: finds their abilities and makes text safe for them."""

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO, cast

from builds_async.cli.exits import CommandError
from builds_async.cli.hyperlinks import around_links, drawn, hyperlink, is_address, wants_links
from builds_async.cli.running import WriteAbandoned, mark_stop_delivered
from builds_async.cli.sink import Sink
from builds_async.cli.text import visible_text, without_colors
from builds_async.models.text import inert, visible_but_colors

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

UNLIMITED_WIDTH = 10_000
"""The width at which something is drawn that is not for a terminal."""


class Screen:
    """One of the two streams: knows whether it is a terminal and has color, and writes to it.

    All text is made safe for its destination here, even if it was before: every control character except
    tabs, line breaks, colors and what `link` has made becomes visible, and outside a terminal, where the
    output may be the log of a CI job, no line is a command of GitHub Actions or Azure Pipelines. Only
    `trusted` text is written unchanged: drawings of rich, escaped JSON, and raw output.

    A write returns when every byte is out (see `Sink`). No text makes it fail: a character that the encoding
    lacks is written as an escape. BrokenPipeError means that the reader is gone. Any other failure is a
    CommandError, including a stream that was closed before the command started (`stream` is then None). On an
    `optional` stream, a failed write is not an error.
    """

    def __init__(self, stream: TextIO | None, *, optional: bool = False) -> None:
        self._stream = stream
        self._optional = optional
        self.is_tty: bool = stream is not None and stream.isatty()
        """Whether it is a terminal."""
        self.color: bool = wants_color(is_tty=self.is_tty, environ=os.environ)
        """Whether to write in color."""
        self.links: bool = wants_links(is_tty=self.is_tty, environ=os.environ)
        """Whether to write links, of which the terminal shows only the text."""
        # A terminal has an encoding of its own; anything else gets UTF-8, whatever the locale.
        known = stream.encoding if stream is not None and self.is_tty else None
        self.encoding: str = known or "utf-8"

    @property
    def can_redraw(self) -> bool:
        """Whether it is a terminal on which the cursor can be moved."""
        return self.is_tty and not (self.console.is_dumb_terminal or self.console.legacy_windows)

    @property
    def is_in_front(self) -> bool:
        """Whether the process is in the foreground of the terminal; True if that is not known."""
        try:
            return self._stream is None or os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except (OSError, ValueError, AttributeError):
            return True  # not the controlling terminal, or a system without job control

    @property
    def columns(self) -> int | None:
        """The current width of the terminal in columns; None if this is not a terminal."""
        return shutil.get_terminal_size().columns if self.is_tty else None

    def link(self, text: str, address: str | None) -> str:
        """The text as a link if this terminal has links and the address is one; else the text alone."""
        return hyperlink(text, address) if address and self.links and is_address(address) else text

    def write(self, text: str, *, trusted: bool = False) -> None:
        """Write the text in one piece, above any live display of rich."""
        self.write_records((text,), trusted=trusted)

    def write_records(
        self,
        texts: Iterable[str],
        wrote: Callable[[int], None] = lambda _count: None,
        *,
        trusted: bool = False,
    ) -> None:
        """Write the texts in order; call `wrote` with the number of texts that each write completes.

        The sum of these numbers is exact even if this fails or is ended by a stop signal.
        """
        texts = tuple(texts) if trusted else tuple(around_links(text, self._guarded) for text in texts)
        if self.is_tty and hasattr(self._stream, "rich_proxied_file"):
            # A proxy: rich's live display writes the text above itself, and a full screen keeps it.
            cast("TextIO", self._stream).write("".join(texts))
            wrote(len(texts))
            return
        if not any(texts):  # so that a closed stream is no error if there is nothing to write
            wrote(len(texts))
            return
        try:
            self._sink.write([text.encode(self.encoding, "backslashreplace") for text in texts], wrote)
        except WriteAbandoned:
            # In a thread of rich, nothing would catch it, and the main thread is canceled anyway.
            if not self._optional and threading.current_thread() is threading.main_thread():
                mark_stop_delivered()
                raise
        except OSError as error:
            silence(self._stream)  # otherwise the interpreter would flush it at exit, and complain
            if not self._optional:
                raise _output_error(error) from error

    def _guarded(self, text: str) -> str:
        # Text of the API was made safe once already, when its line or cell was made: only there is the end of
        # a message known, so that it can't add lines. This second pass catches any text that a caller forgot.
        safe = visible_but_colors(text, colors=self.color or not self.is_tty, lines=True)
        return safe if self.is_tty else inert(safe)

    @cached_property
    def _sink(self) -> Sink:
        if self._stream is None:
            raise OSError(errno.EBADF, "it is closed")
        return Sink(self._stream)

    def print(self, what: "RenderableType", *, wide: bool = False) -> None:
        """Write something that rich can draw; at full width if `wide`, or if this is not a terminal."""
        self.write(self.drawn(what, wide=wide))

    def drawn(self, what: "RenderableType", *, wide: bool = False) -> str:
        """The text that `print` writes."""
        console = self._console(UNLIMITED_WIDTH) if wide or not self.is_tty else self.console
        with console.capture() as captured:
            console.print(what)
        # rich pads all lines of a table to the width of the widest line.
        return "\n".join(line.rstrip(" ") for line in self.adapted(captured.get()).split("\n"))

    def adapted(self, text: str) -> str:
        """Text that rich has drawn, with links and colors only if this screen has them."""
        text = drawn(text, links=self.links)
        return text if self.color else without_colors(text)

    @cached_property
    def console(self) -> "Console":
        """A console for live displays, which interprets no markup."""
        return self._console(None)

    def _console(self, width: int | None) -> "Console":
        from builds_async.cli.console import QuietConsole  # noqa: PLC0415  # rich is slow to load

        return QuietConsole(
            file=cast("TextIO", _ScreenFile(self)),
            # None turns off bold text too, but also links: then `adapted` takes the colors out.
            color_system="auto" if self.color else "standard" if self.links else None,
            force_terminal=True if self.color else None,
            width=width,
            highlight=False,
            markup=False,
            emoji=False,
        )


class _ScreenFile:
    """The screen as the output file of rich, so that rich's writes have the guarantees of `Screen`."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.encoding = screen.encoding

    def write(self, text: str) -> int:
        """Write the text at once."""
        self._screen.write(self._screen.adapted(text), trusted=True)  # rich moves the cursor
        return len(text)

    def flush(self) -> None:
        """Do nothing: every write is complete."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._screen.is_tty


class Spinner:
    """Shows a text and the elapsed time on a terminal while the command waits; erased at the end."""

    def __init__(self, screen: Screen, text: str, *, shown: bool = True) -> None:
        self._progress = None
        if shown and screen.is_tty:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

            # A terminal without Unicode can't show the dots of the usual spinner.
            is_unicode = screen.encoding.lower().replace("-", "").startswith("utf")
            columns = (
                SpinnerColumn("dots" if is_unicode else "line"),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
            )
            self._progress = Progress(*columns, console=screen.console, transient=True)
            self._task = self._progress.add_task(visible_text(text))  # drawings of rich are trusted

    def update(self, text: str) -> None:
        """Show another text."""
        if self._progress is not None:
            self._progress.update(self._task, description=visible_text(text))

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
    """Standard error, for messages: a command does not fail if they can't be written."""
    return Screen(_with_escapes(sys.stderr), optional=True)


def wants_color(*, is_tty: bool, environ: Mapping[str, str]) -> bool:
    """Whether to use color: NO_COLOR decides, then FORCE_COLOR (if not empty), then the terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return is_tty and environ.get("TERM") != "dumb"


def silence(stream: TextIO | None) -> None:
    """Discard the rest of a stream's output, including the interpreter's flush at exit."""
    if stream is None:
        return
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # not a file, so nothing is flushed
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _with_escapes(stream: TextIO | None) -> TextIO | None:
    """Make the stream write an escape for any character that its encoding lacks, and return it."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


def _output_error(error: OSError) -> Exception:
    # Windows reports a broken pipe as "invalid argument".
    if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
        return BrokenPipeError()
    return CommandError(f"can't write the output: {error.strerror}")
