"""Makes untrusted text safe for a terminal: control characters become visible, colors stay or go."""

import re

from builds_async.models import text

SGR = re.compile(text.SGR)
"""The escape sequence for a color or another style, such as bold."""
RESET = text.RESET
DIM = "2"
HIGHLIGHT = "1;7"

# Colors of the 256-color palette that can be read on white and on black; none is red, the color of failures.
SOURCE_COLORS = ("38;5;30", "38;5;130", "38;5;32", "38;5;133", "38;5;64", "38;5;62")
"""The colors of the sources of lines, in the order of their use."""
STATE_COLORS = {
    "success": "32",
    "fail": "1;31",
    "cancelled": "33",
    "terminated": "31",
    "skipped": DIM,
    "queued": DIM,
    "initializing": "36",
    "running": "36",
    "never built": DIM,
}
"""The colors of outcomes and statuses."""


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


class SourceColors:
    """Gives each source of lines a color, in turn."""

    def __init__(self) -> None:
        self._colors: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The color of a source, the same each time."""
        return self._colors.setdefault(name, SOURCE_COLORS[len(self._colors) % len(SOURCE_COLORS)])
