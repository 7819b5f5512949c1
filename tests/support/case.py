"""One test for a whole table, for cases that cost less than pytest adds to each test."""

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from types import TracebackType
from typing import Any

import pytest

Test = Callable[..., Any]


class Case:
    """A case of a table: a failure inside the block names it."""

    def __init__(self, *name: object, failures: "list[BaseException] | None" = None) -> None:
        self._name = ", ".join(map(str, name))
        self._failures = failures

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Name the case; with `failures`, collect the failure there and do not raise it."""
        if error is None:
            return False
        error.add_note(f"in the case: {self._name}")
        if self._failures is None or not isinstance(error, (Exception, pytest.fail.Exception)):
            return False
        self._failures.append(error)
        return True


def cases(
    names: str | Sequence[str],
    rows: Iterable[Any],
    *,
    ids: Iterable[object] | Callable[[Any], object] | None = None,
) -> Callable[[Test], Test]:
    """Like `pytest.mark.parametrize`, but one test runs the whole table. Each failure names its case.

    For cases that cost less than a test does, about 2 ms, and need no fixtures of their own: they share them.
    """
    columns = [it.strip() for it in names.split(",")] if isinstance(names, str) else list(names)
    given = itertools.repeat(ids) if ids is None or callable(ids) else ids
    table = [_row(row, columns, name) for row, name in zip(rows, given, strict=False)]

    def decorate(test: Test) -> Test:
        @wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            for case, row in _checked(table):
                with case:
                    test(*args, **kwargs, **row)

        @wraps(test)
        async def run_async(*args: Any, **kwargs: Any) -> None:
            for case, row in _checked(table):
                with case:
                    await test(*args, **kwargs, **row)

        shown: Any = run_async if inspect.iscoroutinefunction(test) else run
        signature = inspect.signature(test)
        # Pytest treats each remaining argument as a fixture.
        left = [it for name, it in signature.parameters.items() if name not in columns]
        shown.__signature__ = signature.replace(parameters=left)
        return shown  # type: ignore[no-any-return]

    return decorate


def _checked(table: list[tuple[object, dict[str, Any]]]) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Each row with its name, and the failures at the end."""
    assert table, "no case, no test"
    failures: list[BaseException] = []
    for name, row in table:
        yield Case(name, failures=failures), row
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} of {len(table)} cases failed", failures)


def _row(row: Any, columns: list[str], given: object) -> tuple[object, dict[str, Any]]:
    """The id of a row, and its values by column."""
    name: object = None
    values = (row,) if len(columns) == 1 else row
    if isinstance(row, type(pytest.param())):
        assert not row.marks, "a case with a mark is a test of its own"
        name, values = row.id, row.values
    if name is None:
        name = ", ".join(str(given(value)) for value in values) if callable(given) else given
    return name or ", ".join(repr(value)[:80] for value in values), dict(zip(columns, values, strict=True))
