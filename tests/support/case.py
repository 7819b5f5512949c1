"""One test for a table of cases, for tables whose cases cost less than pytest adds to each."""

from types import TracebackType


class Case:
    """A case of a table: a failure inside the block names it."""

    def __init__(self, *name: object) -> None:
        self._name = ", ".join(map(str, name))

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"in the case: {self._name}")
