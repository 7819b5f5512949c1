"""Untrusted text, made safe to print."""

import json
import time

import pytest

from builds_async import LogLine
from builds_async.models.text import inert, json_escaped, plain, visible, visible_but_colors
from tests.support.case import cases

SHOWN = {
    "a bell": ("a\x07b", "a^Gb"),
    "a tab": ("a\tb", "a\tb"),
    "a line break": ("a\nb", "a^Jb"),
    "DEL": ("a\x7fb", "a^?b"),
    "C1": ("a\x9b2Jb", "a\\u009b2Jb"),
    "a line separator": ("a\u2028b", "a\\u2028b"),
    "the other direction": ("a\u202eb\u2066", "a\\u202eb\\u2066"),
    "no width": ("pass\u200bword\u2060\ufeff\u00ad", "pass\\u200bword\\u2060\\ufeff\\u00ad"),
    "tags": ("hi\U000e0041\U000e007f", "hi\\U000e0041\\U000e007f"),
    "half an emoji": ("\ud83d", "\\ud83d"),
    "a joiner in ASCII": ("a\u200db", "a\\u200db"),
    "a joiner in an emoji": ("👩\u200d💻", "👩\u200d💻"),
    "a joiner in a word": ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
    "text": ("✘ [ERROR] naïve 日本", "✘ [ERROR] naïve 日本"),
}


@cases(("text", "shown"), SHOWN.values(), ids=list(SHOWN))
def test_controls_are_visible(text: str, shown: str) -> None:
    """Control characters and invisible text become visible; everything else is unchanged."""
    assert visible(text) == shown
    assert visible_but_colors(text, colors=True) == shown
    escaped = json_escaped(json.dumps(text, ensure_ascii=False))
    assert (json.loads(escaped), visible(escaped)) == (text, escaped)


@cases(
    ("colors", "lines", "shown"),
    [
        (True, True, "\x1b[1;31mred\x1b[0m\n^[[2J"),
        (False, True, "red\n^[[2J"),
        (True, False, "\x1b[1;31mred\x1b[0m^J^[[2J"),
    ],
)
def test_colors_and_line_breaks(colors: bool, lines: bool, shown: str) -> None:
    """Colors and line breaks are each removed or kept; other sequences are never kept."""
    assert visible_but_colors("\x1b[1;31mred\x1b[0m\n\x1b[2J", colors=colors, lines=lines) == shown


INERT = {
    "a command of GitHub Actions": ("::error::x", ": :error::x"),
    "in capitals, after space": (" \t\u00a0::ERROR::x", " \t\u00a0: :ERROR::x"),
    "after a color": ("\x1b[31m::error::x", "\x1b[31m: :error::x"),
    "in a later line": ("a\n::error::x", "a\n: :error::x"),
    "not at the start": ("std::vector a::b", "std::vector a::b"),
    "its older form, anywhere": ("a ##[set-output name=x]y", "a # #[set-output name=x]y"),
    "of Azure Pipelines": ("a##VSO[task.x]y##vso[z]", "a# #VSO[task.x]y# #vso[z]"),
    "a heading": ("## What ### [x]", "## What ### [x]"),
    "many signs": ("####[x]", "### #[x]"),
}


@cases(("text", "safe"), INERT.values(), ids=list(INERT))
def test_ci_commands_are_disarmed(text: str, safe: str) -> None:
    """A space disarms CI workflow commands; text that only looks similar is unchanged."""
    assert inert(text) == safe
    record = json.dumps({"message": text}, ensure_ascii=False)
    assert json.loads(json_escaped(record)) == {"message": text}
    assert inert(json_escaped(record)) == json_escaped(record)


def test_plain_is_one_safe_line() -> None:
    """Complete escape sequences are removed; incomplete ones become visible."""
    hostile = "\x1b]0;title\x07::add-mask::e\x1b[2J \x1bP1$r\x1b\\\x1b]52;c;aGk=\nnext\x1b"
    assert plain(hostile) == ": :add-mask::e ^[]52;c;aGk=^Jnext^["


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", ["\x1b", "\x1b]", "\x1b[0;", "\n", " \n", ":", "#", "\u200d", " ", "\x1b[0m", "\x1bP"], ids=repr
)
def test_time_is_linear(unit: str) -> None:
    """Four times the text takes about four times as long, whatever it contains."""

    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        began = time.perf_counter()
        plain(text)
        inert(text)
        return time.perf_counter() - began

    assert min(seconds(400_000) for _ in range(3)) < 12 * min(seconds(100_000) for _ in range(3)) + 0.02


def test_text_of_a_line() -> None:
    """A line's `text` is safe to print, and its `message` is unchanged."""
    line = LogLine(0, "::add-mask::e\n\x1b[31m##[x]")
    assert line.text == ": :add-mask::e^J# #[x]"
    assert line.message == "::add-mask::e\n\x1b[31m##[x]"
