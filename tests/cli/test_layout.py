"""Tests how tables fit into the width of a terminal."""

import pytest
from rich.console import Console
from rich.text import Text

from builds_async.cli.facts import DIGITS
from builds_async.cli.layout import EXTRA, column, fit, laid_out, shortened
from tests.cli.support import UUID

NEEDED = {
    "Build": DIGITS,
    "Worker": 40,
    "State": 10,
    "Branch": 30,
    "Commit": 8,
    "Age": 6,
    "Took": 6,
    "Author": 15,
    "Subject": 60,
}
LIST = {name: it for name, it in NEEDED.items() if name != "Worker"} | {"Build": 36}
WIDTHS = range(24, 260)


def width_of(columns: dict[str, int]) -> int:
    return sum(columns.values()) + 2 * (len(columns) - 1)


@pytest.mark.parametrize("needed", [NEEDED, LIST], ids=["status", "list"])
def test_no_table_is_too_wide(needed: dict[str, int]) -> None:
    """From 24 columns on, a table fits the terminal, and no column is wider than it needs."""
    for width in WIDTHS:
        columns = fit(needed, width)
        assert width_of(columns) <= width
        assert all(it <= needed[name] for name, it in columns.items())
        assert list(columns) == [name for name in needed if name in columns]


@pytest.mark.parametrize("needed", [NEEDED, LIST], ids=["status", "list"])
def test_more_room_shows_no_less(needed: dict[str, int]) -> None:
    """A wider terminal never has fewer columns, except to show the whole UUID instead of its digits."""
    before: dict[str, int] = {}
    for width in WIDTHS:
        columns = fit(needed, width)
        if before.get("Build") in {None, columns["Build"]}:
            assert set(before) <= set(columns)
        before = columns


def test_a_uuid_is_whole_or_digits() -> None:
    """The UUID is whole if it fits next to the state, and is shortened to eight digits otherwise."""
    assert {width: fit(LIST, width)["Build"] for width in WIDTHS} == {
        width: 36 if width >= 36 + 2 + 10 else DIGITS for width in WIDTHS
    }


def test_names_are_shortened_before_columns_are_dropped() -> None:
    """A column is dropped only once the Worker and the branch have their minimum width."""
    full = {name for name in NEEDED if name not in EXTRA}
    for width in WIDTHS:
        columns = fit(NEEDED, width)
        if not full <= set(columns):
            assert columns["Worker"] <= 14 + 30  # a dropped column may leave some room
            assert width < width_of({**{it: NEEDED[it] for it in full}, "Worker": 14, "Branch": 8})


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (40, ["Build", "Worker", "State"]),
        (80, ["Build", "Worker", "State", "Branch", "Commit", "Age", "Took"]),
        (120, ["Build", "Worker", "State", "Branch", "Commit", "Age", "Took", "Subject"]),
        (200, list(NEEDED)),
    ],
)
def test_columns_by_width(width: int, shown: list[str]) -> None:
    """The subject and the author appear on wide terminals, and the state and the name always."""
    assert list(fit(NEEDED, width)) == shown


@pytest.mark.parametrize(
    ("text", "width", "in_middle", "expected"),
    [
        pytest.param("shop", 4, False, "shop", id="it fits"),
        pytest.param("storefront", 6, False, "store…", id="end"),
        pytest.param("acme-shop-staging", 11, True, "acme-…aging", id="middle"),
        pytest.param("日本語です", 7, False, "日本語…", id="wide characters"),
        pytest.param("日本語です", 6, False, "日本…", id="half a wide character"),
        pytest.param("日本語です", 6, True, "日…す", id="wide characters in the middle"),
        pytest.param("shop", 1, True, "…", id="nothing"),
    ],
)
def test_shortened(text: str, width: int, in_middle: bool, expected: str) -> None:
    """A text is cut to the width, with an ellipsis at its end or in its middle."""
    short = shortened(Text(text), width, in_middle=in_middle)
    assert short.plain == expected
    assert short.cell_len <= width


def test_a_shortened_text_keeps_its_color() -> None:
    """The rest of a text and the ellipsis keep its color."""
    console = Console(force_terminal=True, color_system="standard")
    with console.capture() as drawn:
        console.print(shortened(Text("terminated", "red"), 6))
    assert drawn.get().replace("\x1b[31m", "").replace("\x1b[0m", "") == "termi…\n"
    assert drawn.get().startswith("\x1b[31m")
    assert drawn.get().index("…") < drawn.get().rindex("\x1b[0m")


@pytest.mark.parametrize(("width", "whole"), [(60, True), (40, False)])
def test_a_row(width: int, whole: bool) -> None:
    """A row has the UUID whole or as digits, and no trailing blanks."""
    widths = fit({"Build": 36, "State": 10, "Age": 6}, width)
    columns = [(column(name), it) for name, it in widths.items()]
    row = laid_out(columns, [Text(UUID), Text("fail"), Text()], "…")
    assert row.plain == f"{UUID if whole else UUID[:8]}  fail"


def test_an_ellipsis_for_a_terminal_without_unicode() -> None:
    """Three dots replace the ellipsis, within the same width."""
    assert laid_out([(column("Worker"), 10)], [Text("storefront-staging")], "...").plain == "stor...ing"
