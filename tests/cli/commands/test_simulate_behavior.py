"""Tests the option `--behavior` of `builds-async simulate`."""

from typing import Any

import pytest

from builds_async.cli.commands.simulate import _behavior
from builds_async.cli.exits import CommandError
from builds_async.simulator import Behavior
from tests.cli.support import Cli
from tests.support.case import cases


@cases(
    ("words", "switches"),
    [
        pytest.param([], {}, id="none"),
        pytest.param(["cursors=quoted"], {"cursors": "quoted"}, id="a word"),
        pytest.param(["last_page_cursor=null"], {"last_page_cursor": "null"}, id="a word that is JSON"),
        pytest.param(["late_lines=1.5", "logs_kept=60"], {"late_lines": 1.5, "logs_kept": 60}, id="numbers"),
        pytest.param(["truncated_hollow=endless"], {"truncated_hollow": "endless"}, id="word or number"),
        pytest.param(["unknown_references=400"], {"unknown_references": 400}, id="a status"),
        pytest.param(["null_logs_result=true"], {"null_logs_result": True}, id="yes"),
        pytest.param(
            ['status_words={"running": "at work"}'], {"status_words": {"running": "at work"}}, id="a map"
        ),
    ],
)
def test_switches(words: list[str], switches: Any) -> None:
    """Each switch of `Behavior` can be set by its name."""
    assert _behavior(words) == Behavior(**switches)


@pytest.mark.parametrize(
    "word", ["cursors=round", "cursors", "speed=1", "=", "late_lines=soon", "null_logs_result=1"]
)
def test_invalid_switch(word: str, cli: Cli) -> None:
    """An unknown name or value is a usage error that lists the switches."""
    with pytest.raises(CommandError, match="last_page_cursor, behind_the_end"):
        _behavior([word])
    assert cli("simulate", "--behavior", word).code == 2
