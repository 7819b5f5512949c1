"""How lines are written."""

import io
import re
import sys
from datetime import UTC

import pytest

from builds_async import LogLine
from builds_async.cli.colours import source_colour
from builds_async.cli.lines import Filter, LineFormat, Source
from builds_async.cli.out import Screen, stderr
from builds_async.cli.progress import Waiting
from builds_async.cli.view import View, compiled

UUID = "8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e"
SHOP = Source(UUID, "a" * 32, "shop")
BARE = Source(UUID, "b" * 32)


class Terminal(io.TextIOWrapper):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def written(output: str, *, colour: bool, terminal: bool = True, **how: object) -> str:
    """What is written of two lines."""
    data = io.BytesIO()
    screen = Screen(Terminal(data, "utf-8") if terminal else io.TextIOWrapper(data, "utf-8"))
    screen.colour = colour
    lines = [(SHOP, LogLine(0, "a\x07 \x1b[31mred\x1b[2J")), (BARE, LogLine(1.5e12, "b"))]
    View(Filter(), LineFormat(screen, output, **how)).write(lines)  # type: ignore[arg-type]
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
    "\x1b[96mshop 8b2c1f0e\x1b[0m a^G \x1b[1;7mred\x1b[0m\n"
    f"\x1b[{source_colour(TAG)}m{TAG} 8b2c1f0e\x1b[0m b\n"
)

FORMS: list[tuple[dict[str, object], str]] = [
    ({"output": "text", "colour": False}, "a^G red\nb\n"),
    ({"output": "text", "colour": True}, "a^G \x1b[31mred\x1b[0m\nb\n"),
    ({"output": "raw", "colour": True, "width": 5}, "a^G \x1b[31mred^[[2J\x1b[0m\nb\n"),
    ({"output": "raw", "colour": False, "terminal": False}, "a\x07 \x1b[31mred\x1b[2J\nb\n"),
    ({"output": "text", "colour": False, "width": 5, "zone": UTC}, PREFIXED),
    ({"output": "text", "colour": True, "width": 4, "highlight": compiled("", ["red"])}, LIT),
    ({"output": "json", "colour": True, "width": 4}, JSON),
]


@pytest.mark.parametrize(("how", "text"), FORMS, ids=[str(number) for number in range(len(FORMS))])
def test_form(how: dict[str, object], text: str) -> None:
    """Prefix, time and message by the options; safe on a terminal, as they came elsewhere."""
    assert written(**how) == text  # type: ignore[arg-type]


def test_patterns_look_at_a_bounded_part_of_a_line() -> None:
    """What stands behind 10,000 characters of one line is not searched."""
    include = Filter(include=compiled("", ["needle"]))
    assert include.passes(LogLine(0, "x" * 9_994 + "needle"))
    assert not include.passes(LogLine(0, "x" * 10_000 + "needle"))


class Broken(io.BytesIO):
    """A stream whose reader has gone."""

    def write(self, _data: object, /) -> int:
        raise BrokenPipeError


def test_output_that_nobody_reads() -> None:
    """It ends the command where it is the result, and does not matter where it is but told beside it."""
    Screen(io.TextIOWrapper(Broken()), optional=True).write("x")
    with pytest.raises(BrokenPipeError):
        Screen(io.TextIOWrapper(Broken())).write("x")


def test_told_while_a_sign_of_life_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told meanwhile stands on a line of its own, not behind the sign."""
    data = io.BytesIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal(data, "utf-8"))
    with Waiting(stderr(), "fetching"):
        stderr().write("told: [bold]\n")
    assert re.search(rb"fetching.*\r\x1b\[2Ktold: \[bold\] *\n.*fetching", data.getvalue(), re.DOTALL)
