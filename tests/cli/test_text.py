"""Tests that untrusted text is made safe to print."""

import re

import pytest

from builds_async.cli.text import colored, source_color, visible_text
from builds_async.models.text import json_escaped

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


@pytest.mark.parametrize(("text", "shown"), HOSTILE, ids=[ascii(text) for text, _ in HOSTILE])
def test_controls_are_visible(text: str, shown: str) -> None:
    """All control characters are made visible; tabs and letters of all scripts stay."""
    assert visible_text(text) == shown
    assert re.sub(r"\x1b\[[0-9;:]*m", "", colored(text)) == shown


def test_colors_are_kept_and_end_with_the_line() -> None:
    """`colored` keeps colors and resets them at the end of the line; `visible_text` removes them."""
    text = "\x1b[1;31mred\x1b[38:2::1:2:3m!"
    assert colored(text) == f"{text}\x1b[0m"
    assert visible_text(text) == "red!"
    assert colored("no color\r") == "no color^M"


def test_json_for_a_terminal_is_the_same_json() -> None:
    """Control characters in JSON are escaped, so that its value is unchanged."""
    assert json_escaped('{"a":"\u202e\x9b✨"}') == '{"a":"\\u202e\\u009b✨"}'


def test_sources_have_stable_colors() -> None:
    """The color of a Worker is the same in every run, and Workers have different colors."""
    assert [source_color(name) for name in ("shop", "blog", "api")] == ["96", "93", "93"]
    assert len({source_color(f"worker-{number}") for number in range(100)}) == 12
