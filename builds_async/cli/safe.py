"""Text from outside, made safe for a terminal: control characters are shown, not obeyed."""

import re

SGR = re.compile(r"\x1b\[[0-9;:]*m")
RESET = "\x1b[0m"

# C0 but for the tab, DEL, C1, and what changes the direction or the order of text or begins a new line.
_UNSAFE_CLASS = (
    "\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufff9-\\ufffb"
    "\\ud800-\\udfff"
)
_UNSAFE = re.compile(f"[{_UNSAFE_CLASS}]")
_UNSAFE_OR_SGR = re.compile(rf"({SGR.pattern})|[{_UNSAFE_CLASS}]")


def plain(text: str) -> str:
    """The text without colours, and with every other control character visible."""
    return _UNSAFE.sub(_shown, SGR.sub("", text))


def coloured(text: str) -> str:
    """The text with its colours, which end with it, and with every other control character visible."""
    safe, count = _UNSAFE_OR_SGR.subn(lambda found: found[1] or _shown(found), text)
    return safe + RESET if count and SGR.search(safe) else safe


def without_colours(text: str) -> str:
    """The text without its colours, and else as it is."""
    return SGR.sub("", text)


def json_escaped(text: str) -> str:
    """JSON that means the same, with the characters escaped that a terminal would obey."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    return f"\\u{code:04x}"
