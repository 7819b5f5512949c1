"""Text from outside, made safe for a terminal: control characters are shown, not obeyed."""

import re

from builds_async.models import text

SGR = re.compile(text.SGR)
RESET = "\x1b[0m"


def plain(text_: str) -> str:
    """The text without colours, and with every other control character visible."""
    return text.visible(SGR.sub("", text_))


def coloured(text_: str) -> str:
    """The text with its colours, which end with it, and with every other control character visible."""
    safe = text.visible_but_colors(text_, colors=True)
    return safe + RESET if SGR.search(safe) else safe


def without_colours(text_: str) -> str:
    """The text without its colours, and else as it is."""
    return SGR.sub("", text_)
