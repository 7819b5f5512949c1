"""Tests the tables of builds."""

import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from builds_async import Build, BuildOutcome, BuildStatus, BuildTriggerMetadata
from builds_async.cli.tables import BUILD_COLUMNS, BuildTable, build_cells, build_line, cell, uuid_cell
from tests.cli.support import UUID

NOW = datetime(2026, 8, 13, 3, tzinfo=UTC)
NAME = "acme-storefront-checkout-production"


def build(**about: str) -> Build:
    return Build(
        build_uuid=UUID,
        status=BuildStatus.STOPPED,
        build_outcome=BuildOutcome.FAIL,
        created_on=datetime(2026, 8, 13, 2, 30, tzinfo=UTC),
        initializing_on=datetime(2026, 8, 13, 2, 31, tzinfo=UTC),
        stopped_on=datetime(2026, 8, 13, 2, 32, 5, tzinfo=UTC),
        build_trigger_metadata=BuildTriggerMetadata(
            branch=about.get("branch", "main"),
            commit_hash="c0ffee" * 6,
            author=about.get("author", "ann"),
            commit_message=about.get("commit_message", "Show prices with tax\n\nBecause of the law"),
        ),
    )


def status_table(*, whole: bool = False, **about: str) -> BuildTable:
    """The rows of `status` for a Worker with a build and for one without."""
    table = BuildTable("Build", "Worker", *BUILD_COLUMNS)
    table.add(uuid_cell(build(**about), whole=whole), cell(NAME), *build_cells(build(**about), NOW))
    table.add(uuid_cell(None), cell("new"), cell("never built"))
    return table


CELLS = ["8b2c1f0e", NAME, "fail", "main", "c0ffeec0", "30m", "1m 5s", "ann", "Show prices with tax"]


@pytest.mark.parametrize(
    ("width", "name", "missing"),
    [
        pytest.param(40, "acme-sto…oduction", slice(3, None), id="40"),
        pytest.param(80, "acme-storefro…ut-production", slice(7, None), id="80"),
        pytest.param(100, "acme-storefr…t-production", slice(7, 8), id="100"),
        pytest.param(120, NAME, slice(0), id="120"),
        pytest.param(None, NAME, slice(0), id="no limit"),
    ],
)
def test_a_row_at_each_width(width: int | None, name: str, missing: slice) -> None:
    """A row is cut to fit: never the UUID, the name in its middle, and the author's column first."""
    row = [CELLS[0], name, *CELLS[2:]]
    del row[missing]
    header, shown, unbuilt = status_table().lines(width)
    assert re.split("  +", shown.plain) == row
    assert unbuilt.plain.split() == ["-", "new", "never", "built"]
    assert header.plain.split()[:3] == ["Build", "Worker", "State"]
    assert width is None or max(line.cell_len for line in (header, shown, unbuilt)) <= width


def test_without_limit_no_column_is_missing() -> None:
    """Without a width limit, the table has the same columns for all accounts, even empty ones."""
    table = BuildTable("Build", *BUILD_COLUMNS)
    table.add(uuid_cell(None), cell("never built"))
    assert table.lines(None)[0].plain.split() == ["Build", *BUILD_COLUMNS]
    assert "Subject" not in table.lines(500)[0].plain


HOSTILE = "a\tb\x1b[2Jc\u202ed\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize(
    "text", [HOSTILE, "x" * 100_000, "é✨" * 40, "日本語" * 20], ids=["controls", "long", "accents", "wide"]
)
def test_odd_texts_stay_in_their_row(text: str, encoding: str) -> None:
    """With any branch, author or subject, a row is one line of the right width."""
    for width in (40, 80, 120, 200):
        table = status_table(branch=text, author=text, commit_message=text)
        for line in table.lines(width, encoding):
            assert line.cell_len <= width
            assert not set("\t\x1b\n\u202e") & set(line.plain)
            line.plain.encode(encoding)


def test_markup_has_no_effect() -> None:
    """Square brackets are plain text, in a table and on a line."""
    console = Console(width=200)
    with console.capture() as drawn:
        console.print(status_table(branch="[red]x[/red]"))
        console.print(build_line("[bold]w[/bold]", build(), NOW))
    assert drawn.get().count("[red]x[/red]") == 1
    assert "[bold]w[/bold]" in drawn.get()


def test_a_line_omits_unknown_facts() -> None:
    """The line of a change has the whole UUID, then the name, and then only the known facts."""
    line = build_line("shop", Build(build_uuid=UUID, status=BuildStatus.QUEUED), NOW)
    assert line.plain == f"{UUID}  shop  queued"
