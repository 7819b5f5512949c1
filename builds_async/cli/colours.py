"""When there is colour, and which."""

from collections.abc import Mapping
from zlib import crc32

from builds_async.cli.safe import RESET

DIM = "2"
HIGHLIGHT = "1;7"

_SOURCES = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


def wants_colour(*, is_tty: bool, environ: Mapping[str, str]) -> bool:
    """NO_COLOR (not empty) turns colour off, else FORCE_COLOR (not empty) on, else a capable terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return is_tty and environ.get("TERM") != "dumb"


def source_colour(name: str) -> str:
    """A colour for one of many sources: the same for the same name, in every run."""
    return _SOURCES[crc32(name.encode(errors="replace")) % len(_SOURCES)]


def paint(text: str, colour: str) -> str:
    """The text in a colour."""
    return f"\x1b[{colour}m{text}{RESET}"
