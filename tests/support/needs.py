"""Says what a test needs that the machine may not have: an engine, a shell, a browser."""

import os
import shutil
import sys
from typing import NoReturn

import pytest

MISSING = "missing: "
"""How the reason of a skip begins, for the line at the end of the run."""


def skip_without(what: str, *, expected: bool) -> NoReturn:
    """Skip the test for want of something; in CI fail, if it is expected there.

    A guarantee that is skipped is none. The run ends with a line that says what was missing.
    """
    if os.environ.get("CI") == "true" and expected:
        pytest.fail(f"{MISSING}{what}")
    pytest.skip(f"{MISSING}{what}")


def needs_program(*names: str) -> str:
    """The path of the first of these programs that is installed. On Linux, CI can install all of them."""
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    skip_without(" or ".join(names), expected=sys.platform == "linux")
