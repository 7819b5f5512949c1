"""Tests the selection and the format of printed log lines."""

import io
from datetime import UTC, datetime
from functools import partial

import pytest

from builds_async import LogLine
from builds_async.cli.hyperlinks import without_links
from builds_async.cli.printer import LineFilter, LineFormat, LinePrinter, Source, compile_patterns
from builds_async.cli.terminal import Screen
from builds_async.cli.text import SOURCE_COLORS
from builds_async.cli.times import format_time
from tests.cli.support import UUID, Terminal
from tests.support.case import cases

SHOP = Source(UUID, "a" * 32, "shop")
BARE = Source(UUID, "b" * 32)


def written(output: str, *, color: bool, terminal: bool = True, **how: object) -> str:
    """The output for two lines."""
    data = io.BytesIO()
    screen = Screen(Terminal(data, "utf-8") if terminal else io.TextIOWrapper(data, "utf-8"))
    screen.color = color
    lines = [(SHOP, LogLine(0, "a\x07 \x1b[31mred\x1b[2J")), (BARE, LogLine(1.5e12, "b"))]
    LinePrinter(LineFilter(), LineFormat(screen, output, **how)).print(lines)  # type: ignore[arg-type]
    return data.getvalue().decode()


TAG = "b" * 32
LATER = "2017-07-14T02:40:00"
JSON = (
    f'{{"build_uuid":"{UUID}","external_script_id":"{"a" * 32}","worker":"shop","timestamp":0,'
    '"time":"1970-01-01T00:00:00Z","message":"a\\u0007 \\u001b[31mred\\u001b[2J"}\n'
    f'{{"build_uuid":"{UUID}","external_script_id":"{TAG}","worker":null,"timestamp":1500000000000.0,'
    f'"time":"{LATER}Z","message":"b"}}\n'
)


PREFIXED = f"shop  8b2c1f0e 1970-01-01T00:00:00.000Z a^G red\n{TAG} 8b2c1f0e {LATER}.000Z b\n"
LIT = (
    f"\x1b[{SOURCE_COLORS[0]}mshop 8b2c1f0e\x1b[0m a^G \x1b[1;7mred\x1b[0m\n"
    f"\x1b[{SOURCE_COLORS[1]}m{TAG} 8b2c1f0e\x1b[0m b\n"
)


FORMS: list[tuple[dict[str, object], str]] = [
    ({"output": "text", "color": False}, "a^G red\nb\n"),
    ({"output": "text", "color": True}, "a^G \x1b[31mred\x1b[0m\nb\n"),
    ({"output": "raw", "color": True, "width": 5}, "a^G \x1b[31mred^[[2J\x1b[0m\nb\n"),
    ({"output": "raw", "color": False, "terminal": False}, "a\x07 \x1b[31mred\x1b[2J\nb\n"),
    ({"output": "text", "color": False, "width": 5, "times": partial(format_time, zone=UTC)}, PREFIXED),
    ({"output": "text", "color": True, "width": 4, "highlight": compile_patterns("", ["red"])}, LIT),
    ({"output": "json", "color": True, "width": 4}, JSON),
]


@cases(("how", "text"), FORMS, ids=[str(number) for number in range(len(FORMS))])
def test_format(how: dict[str, object], text: str) -> None:
    """The options determine prefix, time and message, and all are safe on a terminal."""
    assert written(**how) == text  # type: ignore[arg-type]


def test_patterns_search_a_bounded_part_of_a_line() -> None:
    """Patterns search only the first 10,000 characters of a line."""
    include = LineFilter(include=compile_patterns("", ["needle"]))
    assert include.passes(LogLine(0, "x" * 9_994 + "needle"))
    assert not include.passes(LogLine(0, "x" * 10_000 + "needle"))


@cases(
    ("options", "passes"),
    [
        ({}, True),
        ({"include": ["two"]}, True),
        ({"include": ["one", "t.o"]}, True),
        ({"include": ["one"]}, False),
        ({"exclude": ["one"]}, True),
        ({"exclude": ["one", "two$"]}, False),
        ({"include": ["two"], "exclude": ["two"]}, False),
        ({"include": ["^a two"]}, True),
        ({"include": ["(?i)TWO"]}, True),
    ],
    ids=str,
)
def test_filter(options: dict[str, list[str]], passes: bool) -> None:
    """A line passes if it matches an included pattern and no excluded one, ignoring colors."""
    include, exclude = (compile_patterns(f"--{it}", options.get(it, ())) for it in ("include", "exclude"))
    made = LineFilter(include=include, exclude=exclude)
    assert made.passes(LogLine(0, "a \x1b[31mtwo\x1b[0m")) is passes


def test_filter_ignores_a_carriage_return_at_the_end() -> None:
    """A pattern for the end of a line matches before a final carriage return."""
    made = LineFilter(include=compile_patterns("--include", ["two$"]))
    assert made.passes(LogLine(0, "a two\r"))
    assert not made.passes(LogLine(0, "a two\rthree"))


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_filter_by_time() -> None:
    """`--since` includes lines of exactly that time."""
    lines = [LogLine(int(NOW.timestamp() * 1000) + ms, "") for ms in (-1, 0, 1)]
    assert [LineFilter(since=NOW).passes(line) for line in lines] == [False, True, True]


@pytest.mark.parametrize("color", [True, False], ids=["color", "no color"])
def test_the_digits_of_a_build_are_a_link(color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal with links, the digits of a build link to its page and take no extra column."""
    monkeypatch.setenv("COLUMNS", "60")
    shown = []
    for forced in ("0", "1"):
        monkeypatch.setenv("FORCE_HYPERLINK", forced)
        data = io.BytesIO()
        screen = Screen(Terminal(data, "utf-8"))
        screen.color = color
        form = LineFormat(screen, width=4, page=lambda source: f"https://x/{source.build_uuid}")
        LinePrinter(LineFilter(), form).print([(SHOP, LogLine(0, "word " * 30))])
        shown.append(data.getvalue().decode())
    plain, linked = shown
    assert "\n              word" in plain
    assert "\x1b]8;" not in plain
    assert f"https://x/{UUID}\x1b\\8b2c1f0e\x1b]8;;\x1b\\" in linked
    assert without_links(linked) == plain
