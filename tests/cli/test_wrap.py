"""Tests the hanging indent of long lines."""

import time

import pytest

from builds_async.cli.text import without_colors
from builds_async.cli.wrap import hanging
from tests.support.case import cases

RED = "\x1b[31m"
WORDS = "the quick brown fox jumps over the lazy dog"


@cases(
    ("text", "rows"),
    [
        ("short", ["short"]),
        (WORDS, ["the quick brown fox jumps", "over the lazy dog"]),
        ("x" * 40, ["x" * 40]),
        (f"see {'x' * 40} there", ["see", "x" * 40, "there"]),
        (f"{RED}{'a' * 20} {RED}bbbb", [f"{RED}{'a' * 20} {RED}bbbb"]),
        ("寿" * 11 + " 司" * 3, ["寿" * 11 + " 司", "司 司"]),
        ("  " + "a" * 20 + " bbbb", ["  " + "a" * 20, "bbbb"]),
        ("a  b" + " " * 40 + "c", None),
    ],
    ids=["short", "words", "long-word", "url", "colors", "wide", "own-indent", "many-spaces"],
)
def test_hanging(text: str, rows: list[str] | None) -> None:
    """Rows end at spaces, later rows are indented, and nothing else changes."""
    made = hanging(text, 6, 32)
    if rows is not None:
        assert made.split("\n      ") == rows
    assert made.replace("\n      ", " ") == text
    assert all(len(without_colors(row)) <= 26 or " " not in row.strip() for row in made.split("\n      "))


@pytest.mark.parametrize(("indent", "columns"), [(70, 80), (30, 40), (80, 40)])
def test_no_room(indent: int, columns: int) -> None:
    """If too little room is left, the terminal wraps."""
    assert hanging(WORDS * 3, indent, columns) == WORDS * 3


@pytest.mark.slow
@pytest.mark.parametrize("text", ["x" * 1_000_000, " " * 1_000_000, "a " * 500_000, RED * 200_000])
def test_linear(text: str) -> None:
    """A hostile line takes linear time."""
    began = time.process_time()
    hanging(text, 10, 80)
    assert time.process_time() - began < 5
