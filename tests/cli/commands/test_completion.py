"""Tests `builds-async completion`."""

from tests.cli.support import Cli


def test_debug(cli: Cli) -> None:
    """`completion` takes `--debug`, as every other command does."""
    assert cli("completion", "bash", "--debug").code == 0
