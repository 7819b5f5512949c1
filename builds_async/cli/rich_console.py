"""A console of rich that writes by way of a screen, and leaves its errors to the command."""

from typing import NoReturn

from rich.console import Console

from builds_async.cli.out import Screen
from builds_async.cli.suspending import Suspending

_SHOW, _HIDE = "\x1b[?25h", "\x1b[?25l"


class QuietConsole(Console):
    """Raises BrokenPipeError when the reader is gone, where rich would end the process by itself.

    While something is redrawn, for which the cursor is hidden, `Suspending` is on.
    """

    _suspending: Suspending | None = None

    def on_broken_pipe(self) -> NoReturn:
        """Called by rich while it handles the error."""
        raise BrokenPipeError

    def show_cursor(self, show: bool = True) -> bool:
        """Called by rich before and after it redraws."""
        done = super().show_cursor(show)
        if done:
            self._suspending = self._suspending or Suspending(self._write_cursor)
            if show:
                self._suspending.off()
            else:
                self._suspending.on()
        return done

    def _write_cursor(self, show: bool) -> None:
        """Write at once: whoever was interrupted by the signal may hold what rich locks."""
        self.file.write(_SHOW if show else _HIDE)


class ScreenFile:
    """What rich needs of a file, so that its writes fail as those of the screen do."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.encoding = screen.encoding

    def write(self, text: str) -> int:
        """Write it at once."""
        self._screen.write(text, trusted=True)  # it moves the cursor
        return len(text)

    def flush(self) -> None:
        """Nothing is left to be written."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._screen.is_tty
