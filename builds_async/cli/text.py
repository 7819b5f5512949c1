"""Makes untrusted text safe for a terminal: control characters become visible, colors stay or go."""

import re
from zlib import crc32

from builds_async.models import text

SGR = re.compile(text.SGR)
"""The escape sequence for a color or another style, such as bold."""
RESET = "\x1b[0m"
DIM = "2"
HIGHLIGHT = "1;7"

_SOURCE_COLORS = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


def visible_text(text_: str) -> str:
    """The text without colors, with every other control character visible.

    Unlike `models.text.plain`, this shows escape sequences and does not neutralize commands of a CI job.
    """
    return text.visible(without_colors(text_))


def colored(text_: str) -> str:
    """The text with its colors, reset at the end, and with every other control character visible."""
    safe = text.visible_but_colors(text_, colors=True)
    return safe + RESET if SGR.search(safe) else safe


def without_colors(text_: str) -> str:
    """The text without its colors, otherwise unchanged."""
    return SGR.sub("", text_)


def paint(text_: str, color: str) -> str:
    """The text in a color."""
    return f"\x1b[{color}m{text_}{RESET}"


def source_color(name: str) -> str:
    """The color of a source of lines, which depends only on its name."""
    return _SOURCE_COLORS[crc32(name.encode(errors="replace")) % len(_SOURCE_COLORS)]
