"""Tests `builds-async completion`."""

import pytest

from builds_async.cli.commands import COMMANDS
from tests.cli.support import Cli


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, cli: Cli) -> None:
    """The script for each shell contains every command and the options."""
    run = cli("completion", shell)
    assert run.code == 0
    assert [word for word in (*COMMANDS, "timezone") if word not in run.out] == []


def test_debug(cli: Cli) -> None:
    """`completion` takes `--debug`, as every other command does."""
    assert cli("completion", "bash", "--debug").code == 0
