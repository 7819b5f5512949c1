"""Text from outside, made safe for a terminal: control characters become visible, colors stay or go."""

import re
from zlib import crc32

from builds_async.models import text

SGR = re.compile(text.SGR)
"""A color, or another style such as bold."""
RESET = "\x1b[0m"
DIM = "2"
HIGHLIGHT = "1;7"

_SOURCE_COLORS = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


def plain(text_: str) -> str:
    """The text without colors, and with every other control character visible."""
    return text.visible(without_colors(text_))


def colored(text_: str) -> str:
    """The text with its colors, which end with it, and with every other control character visible."""
    safe = text.visible_but_colors(text_, colors=True)
    return safe + RESET if SGR.search(safe) else safe


def without_colors(text_: str) -> str:
    """The text without its colors, otherwise unchanged."""
    return SGR.sub("", text_)


def paint(text_: str, color: str) -> str:
    """The text in a color."""
    return f"\x1b[{color}m{text_}{RESET}"


def source_color(name: str) -> str:
    """The color of one source among many: the same for the same name in every run."""
    return _SOURCE_COLORS[crc32(name.encode(errors="replace")) % len(_SOURCE_COLORS)]
