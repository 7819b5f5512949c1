"""Sphinx configuration. `nox -s docs` builds the site, without a network and with warnings as errors."""

import os
import re
import subprocess
import sys
import typing
from collections.abc import Sequence

import msgspec
from sphinx.application import Sphinx

import builds_async

project = "builds_async"
author = "The builds_async authors"
copyright = author  # noqa: A001  # Sphinx's name
version = release = builds_async.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

smartquotes = False  # they would spoil --options

html_theme = "furo"
html_title = f"builds_async {release}"
html_static_path = ["_static"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

# Docstrings write code in single backticks.
default_role = "code"
autodoc_class_signature = "separated"
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "member-order": "bysource",
    "no-value": True,
}
autodoc_typehints_format = "short"
# Types of other packages, type variables, and what is not public have no page here to link to.
nitpick_ignore_regex = [("py:.*", r"(?!builds_async\.).*"), ("py:.*", r"builds_async\.[a-z_]+\..*")]
# The builtin `type` in a signature, which has no page here, is taken for any of the fields of that name.
suppress_warnings = ["ref.python"]

_MADE_BY_USERS = {"BuildsClient", "RateBudget", "BuildsSimulator", "VirtualClock"}

_COMMANDS = "<!-- commands -->"
_PLAIN = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}


def _help(*words: str) -> str:
    """What the command prints for `--help`."""
    command = [sys.executable, "-m", "builds_async", *words, "--help"]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=_PLAIN).stdout  # noqa: S603


def _command_reference() -> str:
    """Each command with its own help. The exit codes, which end each help, come once."""
    overview, _, exit_codes = _help().partition("Exit codes: ")
    names = re.findall(r"^│ ([a-z]+) ", overview, re.MULTILINE)
    if not names or not exit_codes:
        raise ValueError("the command's help does not look as expected")
    parts = [f"```text\n{overview.strip()}\n```\n\n## Exit codes\n"]
    parts += ["| Code | Meaning |", "| --- | --- |"]
    for entry in " ".join(exit_codes.split()).rstrip(".").split("; "):
        parts.append("| `{}` | {} |".format(*entry.split(" ", 1)))
    for name in names:
        own = _help(name).partition("Exit codes: ")[0]
        parts.append(f"\n## {name}\n\n```text\n{own.strip()}\n```")
    return "\n".join(parts)


def _fill_in_commands(_app: Sphinx, _docname: str, source: list[str]) -> None:
    if _COMMANDS in source[0]:
        source[0] = source[0].replace(_COMMANDS, _command_reference())


def _skip(_app: Sphinx, _kind: str, name: str, member: object, skip: bool, _options: object) -> bool:
    """Leave out what msgspec adds to each Struct, and how objects are made that nobody makes by hand."""
    if name == "__new__":
        return True
    if name == "__init__":
        return getattr(member, "__qualname__", "").partition(".")[0] not in _MADE_BY_USERS
    return skip or name.startswith("__struct")


def _drop_constraints() -> None:
    """Show `datetime`, where a field's type also says what msgspec checks of it."""
    for name in builds_async.__all__:
        member = getattr(builds_async, name)
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            hints = typing.get_type_hints(member)
            member.__annotations__ = {field: hints[field] for field in member.__annotations__}


def setup(app: Sphinx) -> Sequence[str]:
    """Connect what this file adds to Sphinx."""
    _drop_constraints()
    app.connect("source-read", _fill_in_commands)
    app.connect("autodoc-skip-member", _skip)
    return ()
