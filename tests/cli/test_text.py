"""Tests that untrusted text is made safe to print."""

import re

from builds_async.cli.text import SOURCE_COLORS, SourceColors, colored, visible_text
from builds_async.models.text import json_escaped
from tests.support.case import cases

HOSTILE = [
    ("\x1b]0;title\x07x", "^[]0;title^Gx"),
    ("\x1b[2J\x1b[H", "^[[2J^[[H"),
    ("a\rb\x08\x00\x7f", "a^Mb^H^@^?"),
    ("two\nlines\x0b\x0c", "two^Jlines^K^L"),
    ("\x9b31m\x85", "\\u009b31m\\u0085"),
    ("\u202eabc\u2066\u200f\u061c", "\\u202eabc\\u2066\\u200f\\u061c"),
    ("\u2028\u2029\ufff9", "\\u2028\\u2029\\ufff9"),
    ("\udc80", "\\udc80"),
    ("\x1b[\x1b[31mm", "^[[m"),
    ("\x1b[31", "^[[31"),
    ("\x1b[31;?m", "^[[31;?m"),
    ("tab\t✨ 日本 👩\u200d👧 é", "tab\t✨ 日本 👩\u200d👧 é"),
]


@cases(("text", "shown"), HOSTILE, ids=[ascii(text) for text, _ in HOSTILE])
def test_controls_are_visible(text: str, shown: str) -> None:
    """All control characters are made visible, and tabs and letters of all scripts are kept."""
    assert visible_text(text) == shown
    assert re.sub(r"\x1b\[[0-9;:]*m", "", colored(text)) == shown


def test_colors_are_kept_and_end_with_the_line() -> None:
    """`colored` keeps colors and resets them at the end of the line; `visible_text` removes them."""
    text = "\x1b[1;31mred\x1b[38:2::1:2:3m!"
    assert colored(text) == f"{text}\x1b[0m"
    assert visible_text(text) == "red!"
    assert colored("no color\r") == "no color^M"


def test_json_for_a_terminal_is_the_same_json() -> None:
    """Control characters in JSON are escaped, which does not change its value."""
    assert json_escaped('{"a":"\u202e\x9b✨"}') == '{"a":"\\u202e\\u009b✨"}'


def test_sources_get_colors_in_turn() -> None:
    """Six Workers have six colors, and each Worker keeps its own."""
    colors = SourceColors()
    names = [f"worker-{number}" for number in range(7)]
    first = [colors.of(name) for name in names]
    assert first == [*SOURCE_COLORS, SOURCE_COLORS[0]]
    assert [colors.of(name) for name in names] == first


@cases("color", SOURCE_COLORS)
def test_colors_are_legible(color: str) -> None:
    """The contrast is nearly 4:1 on white and on black, and no color is red."""
    index = int(color.removeprefix("38;5;")) - 16
    red, green, blue = ((0, 95, 135, 175, 215, 255)[index // base % 6] for base in (36, 6, 1))

    def linear(value: int) -> float:
        part = value / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    assert 1.05 / (luminance + 0.05) > 3.8
    assert (luminance + 0.05) / 0.05 > 3.8
    assert red < 2 * max(green, blue)
