"""Makes untrusted text safe to print: a build's output must control neither a terminal nor a CI job.

The patterns are compiled on first use: few programs need them.
"""

import re
from functools import cache

SGR = r"\x1b\[[0-9;:]*m"
"""A color or another text style of a terminal."""

RESET = "\x1b[0m"
"""Ends all colors and styles."""

OTHER_SEQUENCES = (
    r"\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links, the clipboard; DCS and similar sequences
    r"|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]"  # character sets, keypad, reset
)
"""A complete escape sequence other than CSI."""

SEQUENCES = rf"\x1b\[[0-?]*[ -/]*[@-~]|{OTHER_SEQUENCES}"
"""A complete escape sequence. The first alternative is CSI: colors, erasing, cursor movement."""

# C0 except the tab, DEL, C1, characters that change the text direction or start a new line, zero-width
# characters, and tag characters, which spell invisible text. Joiners are unsafe only next to ASCII, where
# they have no use. Between emoji and in some scripts they are ordinary text.
_UNSAFE = (
    "[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f]"
    "|(?<![^\\x00-\\x7f])[\\u200c\\u200d]|[\\u200c\\u200d](?![^\\x00-\\x7f])"
)
# GitHub Actions reads `::` at the start of a line, even after white space, and `##[` anywhere as a command;
# Azure Pipelines reads `##vso[` anywhere as one.
_COMMAND = rf"(?im)^((?:[^\S\n]|{SGR})*):(?=:)|#(?=#(?:vso)?\[)"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def visible(text: str) -> str:
    """The text with every control character except the tab made visible, as `^G` or by its code point."""
    return _compiled(_UNSAFE).sub(_shown, text)


def visible_but_colors(text: str, *, colors: bool, lines: bool = False) -> str:
    """The text as from `visible`, with colors kept or removed, and with line breaks kept if `lines`."""
    kept = SGR + (r"|\n" if lines else "")

    def replacement(found: re.Match[str]) -> str:
        if found[1] is None:
            return _shown(found)
        return found[1] if colors or found[1] == "\n" else ""

    return _compiled(f"({kept})|{_UNSAFE}").sub(replacement, text)


def json_escaped(text: str) -> str:
    """Equivalent JSON, in which everything that a terminal or a CI job would act on is escaped."""
    text = _compiled(_UNSAFE).sub(_escaped, text)
    return _compiled(_COMMAND).sub(lambda found: f"{found[1] or ''}{_escaped(found[0][-1:])}", text)


def inert(text: str) -> str:
    """The text with a space inside anything that a CI job would execute: `: :error::`, `# #vso[...]`.

    GitHub Actions can disable commands around the output, but that is no substitute: a step that is killed
    in between would leave them disabled for later steps.
    """
    return _compiled(_COMMAND).sub(lambda found: f"{found[0]} ", text)


def plain(text: str) -> str:
    """The text as one line that is safe to print anywhere: no colors, escape sequences or CI commands."""
    return inert(visible(_compiled(SEQUENCES).sub("", text)))


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(found: re.Match[str] | str) -> str:
    # JSON escapes a character beyond the basic plane as a pair of surrogates.
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
