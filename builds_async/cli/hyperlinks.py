"""Hyperlinks in terminals (OSC 8): validates addresses, detects terminals with links, and writes links.

https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda describes the sequence.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

# The characters of RFC 3986 without the quote: nothing that a terminal, a shell or Markdown would act on.
_ADDRESS = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]*", re.ASCII)
_MAX_LENGTH = 2000

_MARK: Final = f"ba{secrets.token_hex(8)}"
"""Part of each link that this process writes. Text of a build can't know it, so it can't be such a link."""

_BEGIN, _END = f"\x1b]8;id={_MARK};", "\x1b]8;;\x1b\\"
_OWN = re.compile(rf"({re.escape(_BEGIN)}[^\x1b]*\x1b\\|{re.escape(_END)})")
_DRAWN = re.compile(rf"\x1b\]8;[^;\x1b]*;{_MARK}:([^\x1b]*)\x1b\\(.*?){re.escape(_END)}", re.DOTALL)

# The first version that has links; () for any. A terminal that is not listed would show nothing of a link or,
# in the worst case, its address in the middle of the text.
_PROGRAMS: Final[Mapping[str, tuple[int, ...]]] = {
    "Hyper": (),
    "Tabby": (),
    "WezTerm": (20200620,),
    "ghostty": (),
    "iTerm.app": (3, 1),
    "mintty": (3, 1),
    "rio": (),
    "tmux": (3, 4),
    "vscode": (1, 72),
    "zed": (),
}
_TERMS: Final = ("alacritty", "contour", "foot", "wezterm", "xterm-ghostty", "xterm-kitty")
_VTE: Final = 5001
"""The first VTE version that shows links safely, 0.50.1: version 0.50.0 crashes on a link."""


def is_address(text: str | None) -> bool:
    """Whether the text, which the API or a build may have written, is nothing but an https address."""
    return bool(text) and len(text or "") <= _MAX_LENGTH and _ADDRESS.fullmatch(text or "") is not None


def wants_links(*, is_tty: bool, environ: Mapping[str, str]) -> bool:
    """Whether to write links: FORCE_HYPERLINK decides (0 is no), then the terminal; not NO_COLOR."""
    if forced := environ.get("FORCE_HYPERLINK"):
        return forced.lower() not in {"0", "false"}
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if not is_tty or term == "dumb" or environ.get("CI"):
        return False
    if program in _PROGRAMS:
        return _version(environ.get("TERM_PROGRAM_VERSION", "")) >= _PROGRAMS[program]
    # tmux and screen inherit the variables of the terminal in which they were started.
    if term.startswith(("screen", "tmux")):
        return False
    return (
        bool(environ.get("WT_SESSION"))
        or _version(environ.get("VTE_VERSION", "")) >= (_VTE,)
        or term.startswith(_TERMS)
    )


def hyperlink(text: str, address: str) -> str:
    """The text as a link. The address has to pass `is_address`."""
    return f"{_BEGIN}{address}\x1b\\{text}{_END}"


def without_links(text: str) -> str:
    """The text without the links of this process."""
    return _OWN.sub("", text) if _MARK in text else text


def around_links(text: str, change: Callable[[str], str]) -> str:
    """The text with the links of this process as they are, and everything else changed."""
    if _MARK not in text:
        return change(text)
    return "".join(part if at % 2 else change(part) for at, part in enumerate(_OWN.split(text)))


def link_for_rich(address: str) -> str:
    """The link target to pass to rich, which `drawn` recognizes."""
    return f"{_MARK}:{address}"


def drawn(text: str, *, links: bool) -> str:
    """The output of rich, with its links replaced by links of this process, or removed."""
    if _MARK not in text:
        return text
    return _DRAWN.sub(lambda found: hyperlink(found[2], found[1]) if links else found[2], text)


def _version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: (3, 4) for `3.4a`, (20240203,) for `20240203-110809`."""
    found = re.match(r"\d{1,9}(?:\.\d{1,9})*", text, re.ASCII)
    return tuple(map(int, found[0].split("."))) if found else ()
