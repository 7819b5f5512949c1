"""Text from outside, made safe to print: what a build writes must steer neither a terminal nor a CI job.

The patterns are compiled when they are first used: few programs need them.
"""

import re
from functools import cache

SGR = r"\x1b\[[0-9;:]*m"
"""A color or another style of a terminal."""

OTHER_SEQUENCES = (
    r"\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links, the clipboard; DCS and its kin
    r"|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]"  # character sets, keypad, reset
)
"""A complete escape sequence that is no CSI."""

SEQUENCES = rf"\x1b\[[0-?]*[ -/]*[@-~]|{OTHER_SEQUENCES}"
"""A complete escape sequence. CSI, the first alternative, are colors, erasing and the cursor."""

# C0 but for the tab, DEL, C1, what changes the direction of text or begins a new line, what has no width, and
# tags, which spell out invisible text. Joiners count only beside ASCII, where they join nothing.
_UNSAFE = (
    "[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f]"
    "|(?<![^\\x00-\\x7f])[\\u200c\\u200d]|[\\u200c\\u200d](?![^\\x00-\\x7f])"
)
# `::` begins a command of GitHub Actions at the start of a line, whatever space stands before it; `##[` does
# so anywhere, as `##vso[` does for Azure Pipelines.
_COMMAND = rf"(?im)^((?:[^\S\n]|{SGR})*):(?=:)|#(?=#(?:vso)?\[)"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def visible(text: str) -> str:
    """The text with every control character but the tab visible, as `^G` or by its number."""
    return _compiled(_UNSAFE).sub(_shown, text)


def visible_but_colors(text: str, *, colors: bool, lines: bool = False) -> str:
    """The same, but for colors, which stay or are dropped; with `lines`, line breaks stay too."""
    kept = SGR + (r"|\n" if lines else "")

    def made(found: re.Match[str]) -> str:
        if found[1] is None:
            return _shown(found)
        return found[1] if colors or found[1] == "\n" else ""

    return _compiled(f"({kept})|{_UNSAFE}").sub(made, text)


def json_escaped(text: str) -> str:
    """JSON that means the same, with what a terminal or a CI job would obey written as escapes."""
    text = _compiled(_UNSAFE).sub(_escaped, text)
    return _compiled(_COMMAND).sub(lambda found: f"{found[1] or ''}{_escaped(found[0][-1:])}", text)


def inert(text: str) -> str:
    """The text with a space in what a CI job would obey as a command: `: :error::`, `# #vso[...]`.

    No token around the output could do this: a job that is killed would leave the commands of later steps
    switched off.
    """
    return _compiled(_COMMAND).sub(lambda found: f"{found[0]} ", text)


def plain(text: str) -> str:
    """The text as one line that is safe to print anywhere: no colors, no sequences, no commands."""
    return inert(visible(_compiled(SEQUENCES).sub("", text)))


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(found: re.Match[str] | str) -> str:
    # Beyond the basic plane JSON has pairs of surrogates.
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
