"""Lets one task at a time read a stream."""

from types import TracebackType


class SingleReader:
    """A context in which a stream is read. A second task that enters it gets a RuntimeError.

    Otherwise two tasks would each get a part of the items, which is never what was meant.
    """

    def __init__(self, what: str) -> None:
        self._what = what

        self.is_reading: bool = False
        """Whether a task is in the context."""

    def __enter__(self) -> None:
        if self.is_reading:
            raise RuntimeError(f"another task is already reading {self._what}; give each task its own")
        self.is_reading = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.is_reading = False
