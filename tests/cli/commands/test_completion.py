"""`builds-async completion`."""

import pytest

from builds_async.cli.commands import COMMANDS
from tests.cli.support import Cli

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, cli: Cli) -> None:
    """The script for each shell has every command, and an option."""
    run = cli("completion", shell)
    assert run.code == 0
    assert [word for word in (*COMMANDS, "timezone") if word not in run.out] == []
