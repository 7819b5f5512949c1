"""Provides a rich console that leaves errors to the command and restores the cursor.

Separate from `terminal`, so that only commands that draw load rich.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from rich.console import Console

_SHOW, _HIDE = "\x1b[?25h", "\x1b[?25l"

# Windows has neither signal.
_STOP: Final = getattr(signal, "SIGTSTP", None)
_CONTINUE: Final = getattr(signal, "SIGCONT", None)


class QuietConsole(Console):
    """Raises BrokenPipeError when the reader is gone; rich itself would exit the process.

    Rich hides the cursor while it redraws something. Ctrl-Z shows the cursor until the process continues.
    """

    _suspension: "Suspension | None" = None

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error again; rich calls this when it has caught one."""
        raise BrokenPipeError

    def show_cursor(self, show: bool = True) -> bool:
        """Show or hide the cursor; rich calls this before and after it redraws."""
        done = super().show_cursor(show)
        if done:
            self._suspension = self._suspension or Suspension(self._write_cursor)
            if show:
                self._suspension.off()
            else:
                self._suspension.on()
        return done

    def _write_cursor(self, show: bool) -> None:
        # Bypasses rich: this runs in a signal handler, and the interrupted code may hold rich's lock.
        self.file.write(_SHOW if show else _HIDE)


class Suspension:
    """While on, makes Ctrl-Z restore the terminal before the process stops, and `fg` take it again.

    Calls `restore` in a signal handler, at any point of the interrupted code: with True before the process
    stops, and with False when it continues. For a display that only hides the cursor, `restore(True)` shows
    it.

    Does nothing where a process can't be suspended (Windows), or where Ctrl-Z was ignored at the start.
    """

    def __init__(self, restore: Callable[[bool], object]) -> None:
        self._restore = restore
        self._is_on = False
        self._is_held = False
        self._is_pending = False

    def on(self) -> None:
        """Install the handlers: the terminal is taken now."""
        if _STOP is None or _CONTINUE is None or signal.getsignal(_STOP) is not signal.SIG_DFL:
            return
        self._is_on = True
        signal.signal(_STOP, self._stop)
        signal.signal(_CONTINUE, self._continue)

    def off(self) -> None:
        """Remove the handlers: the terminal is restored."""
        if self._is_on and _STOP is not None and _CONTINUE is not None:
            self._is_on = False
            signal.signal(_STOP, signal.SIG_DFL)
            signal.signal(_CONTINUE, signal.SIG_DFL)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Delay Ctrl-Z until the end of the block, which must be short: it draws something whole."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_pending and _STOP is not None:
            self._is_pending = False
            self._stop(_STOP, None)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._is_held:
            self._is_pending = True
            return
        # Only the default action stops a process, so restore it and send the signal again. Restore it first:
        # SIGCONT may arrive at any point below, and its handler installs this one again.
        signal.signal(number, signal.SIG_DFL)
        self._restore(True)
        if signal.getsignal(number) is signal.SIG_DFL:  # no SIGCONT in between: the process has yet to stop
            os.kill(os.getpid(), number)

    def _continue(self, _number: int, _frame: FrameType | None) -> None:
        if _STOP is not None:
            signal.signal(_STOP, self._stop)
        self._restore(False)
