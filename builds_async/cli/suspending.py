"""Giving the terminal back with its cursor when the process is suspended."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

_STOP: Final = getattr(signal, "SIGTSTP", None)
_CONTINUE: Final = getattr(signal, "SIGCONT", None)


class Suspending:
    """While it is `on`, Ctrl-Z shows the cursor before the process stops, and `fg` hides it again.

    What is redrawn goes on by itself then. Does nothing where a process can't be suspended (Windows), or
    where Ctrl-Z was ignored when it started.
    """

    def __init__(self, show_cursor: Callable[[bool], object]) -> None:
        self._show_cursor = show_cursor
        self._is_on = False

    def on(self) -> None:
        """The cursor has been hidden."""
        if _STOP is None or _CONTINUE is None or signal.getsignal(_STOP) is not signal.SIG_DFL:
            return
        self._is_on = True
        signal.signal(_STOP, self._stop)
        signal.signal(_CONTINUE, self._continue)

    def off(self) -> None:
        """The cursor is shown again."""
        if self._is_on and _STOP is not None and _CONTINUE is not None:
            self._is_on = False
            signal.signal(_STOP, signal.SIG_DFL)
            signal.signal(_CONTINUE, signal.SIG_DFL)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        # First this: a signal to continue may come at any time, and sets this handler again.
        signal.signal(number, signal.SIG_DFL)
        self._show_cursor(True)
        if signal.getsignal(number) is signal.SIG_DFL:  # it has not come
            os.kill(os.getpid(), number)

    def _continue(self, _number: int, _frame: FrameType | None) -> None:
        if _STOP is not None:
            signal.signal(_STOP, self._stop)
        self._show_cursor(False)
