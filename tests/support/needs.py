"""Requirements of a test that the machine may lack: an engine, a shell, a browser."""

import os
import shutil
import sys
from typing import NoReturn

import pytest

MISSING = "missing: "
"""The start of a skip reason, which the last line of the run collects."""


def skip_without(what: str, *, expected: bool) -> NoReturn:
    """Skip the test because a requirement is missing; in CI, fail if it is expected there.

    A skipped guarantee is no guarantee. The run ends with a line that lists the missing requirements.
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
