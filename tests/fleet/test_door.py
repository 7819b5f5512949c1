"""The public module of the fleet: its imports, and its error when the extra is missing."""

import subprocess
import sys

import pytest

import builds_async.fleet
from builds_async.fleet import _public


def run(code: str) -> list[str]:
    """The output of a fresh interpreter."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()  # noqa: S603


@pytest.mark.slow
def test_lazy() -> None:
    """Importing the fleet does not load redis until one of its names is used."""
    assert run(
        "import sys, builds_async.fleet; print('redis' in sys.modules);"
        "from builds_async.fleet import *; print('redis' in sys.modules, EngineError.__name__)"
    ) == ["False", "True EngineError"]


@pytest.mark.slow
def test_without_the_extra() -> None:
    """Without redis, a single line names the extra to install."""
    assert run(
        "import sys; sys.modules['redis'] = None; sys.modules['redis.asyncio'] = None\n"
        "try:\n    from builds_async.fleet import EngineError\n"
        "except ImportError as error: print(error)"
    ) == ['builds_async.fleet needs an extra: pip install "builds-async[fleet]"']


def test_names() -> None:
    """The module exports exactly its sorted public names."""
    assert builds_async.fleet.__all__ == sorted(set(_public.__all__))
    assert set(builds_async.fleet.__all__) <= set(dir(builds_async.fleet))
    assert not hasattr(builds_async.fleet, "nope")
    assert not hasattr(builds_async.fleet, "__nope__")
