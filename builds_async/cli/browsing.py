"""Opens addresses in a browser on the user's own machine."""

import os
import sys
import webbrowser
from collections.abc import Callable, Mapping

from builds_async.cli.terminal import stderr

Browser = Callable[[str], bool]
"""Opens an address; False if it could not."""

_REMOTE = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def why_no_browser(environ: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """Why no browser can open in front of the user; None if one can.

    BROWSER decides, except in a CI job: editors set it in a remote terminal to open addresses on the user's
    own machine.
    """
    if environ.get("CI"):
        return "this is a CI job"
    if environ.get("BROWSER") or any(environ.get(name) for name in _DISPLAYS):
        return None
    if any(environ.get(name) for name in _REMOTE):
        return "this is an SSH session"
    if platform not in {"win32", "cygwin", "darwin"}:
        return "there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set"
    return None


def open_address(address: str, browser: Browser | None = None) -> None:
    """Open an address in the browser, or say why that is not possible.

    The address is our own, or has passed `is_address`.
    """
    problem = why_no_browser(os.environ)
    if problem is None:
        try:
            opened = (webbrowser.open if browser is None else browser)(address)
        except (webbrowser.Error, OSError):
            opened = False
        problem = None if opened else "no browser could be started"
    if problem is not None:
        stderr().write(f"not opened: {problem}\n")
