"""Says what a test needs that the package can't install: a shell, a browser, a server."""

import os
import shutil

import pytest


def needs_program(*names: str) -> str:
    """The path of the first of these programs that is installed.

    Without one, the test is skipped, and pytest shows the reason; in CI it fails, because a skipped guarantee
    is none.
    """
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    reason = f"needs {' or '.join(names)}, which is not installed"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
