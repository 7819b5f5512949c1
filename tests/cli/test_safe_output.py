"""Tests that text of the API controls neither a terminal nor a CI job."""

import pytest

from builds_async import BuildOutcome
from tests.cli.support import Cli, Served

HOSTILE = [
    "::add-mask::e",
    "  ::stop-commands::x1y2",
    "Error: ##[set-output name=image;]evil",
    "fine\n::set-output name=uuid::$(id)",
    "fine\r##vso[task.setvariable variable=PATH]evil",
    "\x1b]0;pwned\x07\x1b[2J\x9b2J\u202e",
]


COMMANDS = ("logs", "tail", "wait", "show")


def executed(text: str) -> list[str]:
    """The lines that a CI job would execute as commands."""
    return [
        line
        for line in text.replace("\r", "\n").split("\n")
        if line.lstrip().startswith("::") or "##[" in line or "##vso[" in line
    ]


@pytest.mark.parametrize("options", [(), ("--timestamps",), ("-o", "json")], ids=str)
@pytest.mark.parametrize("command", ["logs", "tail"])
def test_a_log_is_inert(command: str, options: tuple[str, ...], account: Served, cli: Cli) -> None:
    """Each message is one line without a command of GitHub Actions or Azure Pipelines."""
    build = account.do(lambda: account.sim.add_finished_build(HOSTILE, BuildOutcome.FAIL))
    run = cli(command, build.build_uuid, *options)
    assert executed(run.out) + executed(run.err) == []
    assert len(run.out.splitlines()) == len(HOSTILE)
    if options == ("-o", "json"):
        assert [record["message"] for record in run.records] == HOSTILE
    else:
        assert not set("\x07\x1b\x9b\u202e") & set(run.out)


@pytest.mark.parametrize("command", ["show", "wait"])
def test_a_reason_is_inert(command: str, account: Served, cli: Cli) -> None:
    """The reason for a failure, which is a line of the log, is printed safely, too."""
    for message in HOSTILE:
        build = account.do(lambda text=message: account.sim.add_finished_build([text], BuildOutcome.FAIL))  # type: ignore[misc]
        run = cli(command, build.build_uuid)
        assert executed(run.out) + executed(run.err) == []
        assert "\x1b" not in run.out + run.err
