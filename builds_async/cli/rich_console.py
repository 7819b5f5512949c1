"""A console of rich that leaves a broken pipe to the command."""

from typing import NoReturn

from rich.console import Console


class QuietConsole(Console):
    """Raises BrokenPipeError when the reader is gone, where rich would end the process by itself."""

    def on_broken_pipe(self) -> NoReturn:
        """Called by rich while it handles the error."""
        raise BrokenPipeError
