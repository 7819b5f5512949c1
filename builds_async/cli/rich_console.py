"""A console of rich that writes by way of a screen, and leaves its errors to the command."""

from typing import NoReturn

from rich.console import Console

from builds_async.cli.out import Screen


class QuietConsole(Console):
    """Raises BrokenPipeError when the reader is gone, where rich would end the process by itself."""

    def on_broken_pipe(self) -> NoReturn:
        """Called by rich while it handles the error."""
        raise BrokenPipeError


class ScreenFile:
    """What rich needs of a file, so that its writes fail as those of the screen do."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.encoding = screen.encoding

    def write(self, text: str) -> int:
        """Write it at once."""
        self._screen.write(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is left to be written."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._screen.is_tty
