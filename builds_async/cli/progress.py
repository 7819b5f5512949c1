"""A sign of life on standard error, for people who wait at a terminal. Never seen by a program."""

from types import TracebackType
from typing import Self

from builds_async.cli.out import Screen
from builds_async.cli.safe import plain


class Waiting:
    """A spinner with a text and the time that has passed. Shown on a terminal only, and gone at the end."""

    def __init__(self, screen: Screen, text: str, *, shown: bool = True) -> None:
        self._progress = None
        if shown and screen.is_tty:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._progress = Progress(*columns, console=screen.console, transient=True)
            self._task = self._progress.add_task(plain(text))

    def tell(self, text: str) -> None:
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
