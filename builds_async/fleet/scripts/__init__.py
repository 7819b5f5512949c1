"""The Lua scripts that run inside the engine, one file per method of a budget or a group."""

import hashlib
from functools import cache
from importlib import resources

import msgspec


class Script(msgspec.Struct, frozen=True):
    """A script, and the hash by which the engine knows it."""

    name: str
    """The name of its file, without `.lua`."""

    source: str
    """Its text."""

    sha: str
    """The SHA-1 of the text, for EVALSHA."""


@cache
def script(name: str) -> Script:
    """The script in the file `<name>.lua`."""
    source = resources.files(__name__).joinpath(f"{name}.lua").read_text("utf-8")
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
