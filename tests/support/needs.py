"""Says what a test needs that the package can't install: a shell, a browser, a server."""

import os
import shutil
import sys

import pytest


def needs_program(*names: str) -> str:
    """The path of the first of these programs that is installed.

    Without one, the test is skipped, and pytest shows the reason. In CI on Linux, where all of them can be
    installed, it fails: a guarantee that is skipped is none.
    """
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    reason = f"needs {' or '.join(names)}, which is not installed"
    if os.environ.get("CI") == "true" and sys.platform == "linux":
        pytest.fail(reason)
    pytest.skip(reason)
