"""A table of cases as one test."""

import inspect
from typing import NoReturn

import pytest

from tests.support.case import Case, cases


def failing(number: int) -> None:
    assert number % 2, number


def test_all_failures_are_named() -> None:
    """The rows after a failure still run, and each failure names its row."""
    table = cases("number", [1, pytest.param(2, id="two"), 3, 4])(failing)
    with pytest.raises(BaseExceptionGroup, match="2 of 4 cases failed") as caught:
        table()
    assert [it.__notes__ for it in caught.value.exceptions] == [["in the case: two"], ["in the case: 4"]]


def test_one_failure_is_raised_itself() -> None:
    """A single failure is raised as it is, outside of a group, with a note of its row."""
    with pytest.raises(AssertionError, match="6") as caught:
        cases("number", [5, 6, 7], ids=["a", "b", "c"])(failing)()
    assert caught.value.__notes__ == ["in the case: b"]


async def test_coroutines() -> None:
    """An async case fails like any other, also through a `pytest.raises` without an exception."""

    async def nothing(left: int, right: int) -> None:
        with pytest.raises(ZeroDivisionError):
            left // right

    with pytest.raises(pytest.fail.Exception) as caught:
        await cases("left, right", [(1, 0), (0, 1)], ids=str)(nothing)()
    assert caught.value.__notes__ == ["in the case: 0, 1"]


def test_stop() -> None:
    """An exception that is not a failure ends the test."""
    seen = []

    @cases("number", range(3))
    def stopped(number: int) -> NoReturn:
        seen.append(number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert seen == [0]


def test_fixtures_are_left() -> None:
    """Arguments that the table does not supply remain fixtures."""

    @cases("a, b", [(1, 2)])
    def three(a: int, b: int, clock: int) -> None:
        assert (a, b, clock) == (1, 2, 3)

    assert list(inspect.signature(three).parameters) == ["clock"]
    three(clock=3)


def test_an_empty_table_is_an_error() -> None:
    """A table without rows is an error, because its test would check nothing."""
    with pytest.raises(AssertionError, match="no case"):
        cases("number", [])(failing)()


def test_a_case_alone_raises() -> None:
    """A `Case` used by itself raises its failure with a note of its name."""
    with pytest.raises(AssertionError) as caught, Case("x", 1):
        failing(2)
    assert caught.value.__notes__ == ["in the case: x, 1"]
