"""Tests the completion of a command line."""

from pathlib import Path

import pytest

from builds_async.cli.app import make_app
from builds_async.cli.cache import Cache
from builds_async.cli.commands import COMMANDS
from builds_async.cli.completing import FILES, complete
from tests.cli.support import Cli, Served
from tests.support.case import cases

ACCOUNT = "a" * 32
COMMON = ["--output", "--account-id", "--token-file", "--base-url", "--shared", "--debug"]
UUID = "8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e"


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", ACCOUNT)
    cache = Cache.of_account(ACCOUNT)
    cache.set_workers(["shop", "shop-api", "blog"])
    cache.add_builds([UUID])


def words(*line: str) -> list[str]:
    return [found.split("\t")[0] for found in complete(make_app(), line)]


@cases(
    ("line", "found"),
    [
        ([""], list(COMMANDS)),
        (["sta"], ["status", "start"]),
        (["--v"], ["--version"]),
        (["tail", "sh"], ["shop", "shop-api"]),
        (["status", "shop", "b"], ["blog"]),
        (["live", ""], ["blog", "shop", "shop-api"]),
        (["show", "8b"], [UUID]),
        (["show", "8B2C"], []),
        (["list", "8b"], []),
        (["tail", "--res"], ["--resume"]),
        (["tail", "--resume", ""], [FILES]),
        (["tail", "--resume", "x"], [FILES]),
        (["tail", "--resume=x"], [FILES]),
        (["tail", "--resume", "=", "x"], [FILES]),
        (["status", "--token-file", ""], [FILES]),
        (["tail", "--output", "j"], ["json"]),
        (["tail", "-o", ""], ["text", "json", "raw", "template"]),
        (["tail", "--output=j"], ["--output=json"]),
        (["tail", "--output", "=", "j"], ["json"]),
        (["tail", "--output", "="], ["text", "json", "raw", "template"]),
        (["show", "-o", "t"], ["text", "template"]),
        (["cancel", "-o", "t"], ["text"]),
        (["list", "--templ"], ["--template"]),
        (["tail", "--exec", "./no"], [FILES]),
        (["events", "--exec-"], ["--exec-jobs", "--exec-timeout"]),
        (["retry", "sh"], ["shop", "shop-api"]),
        (["open", "--pr"], ["--preview", "--print"]),
        (["list", "--template", ""], []),
        (["tail", "--timezone", "Europe/Berl"], ["Europe/Berlin"]),
        (["tail", "--no-"], ["--no-timestamps"]),
        (["tail", "--empty"], []),
        (["logs", "--f"], ["--follow"]),
        (["logs", "--line"], ["--lines"]),
        (["logs", "-f", "8b"], [UUID]),
        (["tail", "--since", ""], []),
        (["status", "--watch", "sh"], ["shop", "shop-api"]),
        (["status", "--f"], ["--failed"]),
        (["status", "--r"], ["--running"]),
        (["status", "--w"], ["--watch", "--wide"]),
        (
            ["list", "shop", "--"],
            ["--failed", "--running", "--branch", "--limit", "--wide", "--output", "--template", *COMMON[1:]],
        ),
        (["status", "--failed", "sh"], ["shop", "shop-api"]),
        (["status", "--branch", ""], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["events", ""], []),
        (["--version", "st"], ["status", "start"]),
        (["nosuch", ""], []),
        (["status", "--account-id", "b" * 32, ""], []),
        (["status", f"--account-id={'B' * 32}", ""], []),
    ],
    ids=lambda it: " ".join(it) or "-" if isinstance(it, list) else None,
)
def test_complete(line: list[str], found: list[str]) -> None:
    """Commands, options, values, Workers and printed builds complete wherever they are valid."""
    assert words(*line) == found


def test_help_of_a_candidate() -> None:
    """A command and an option come with one short sentence of help."""
    assert complete(make_app(), ["stat"]) == [f"status\t{COMMANDS['status'].summary}"]
    assert complete(make_app(), ["tail", "--si"]) == ["--since\tPrint only lines since this time"]
    for command in COMMANDS:
        assert all(len(found) < 110 for found in complete(make_app(), [command, "-"]))


def test_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an account, no Worker completes."""
    monkeypatch.delenv("CLOUDFLARE_ACCOUNT_ID")
    assert words("tail", "") == []


def test_workers_are_known_after_a_command(account: Served, shop: str, cli: Cli) -> None:
    """A command that lists the Workers makes their names complete, without another request."""
    cli("status")
    before = len(account.sim.requests)
    run = cli("__complete", "tail", shop)
    assert (run.code, run.err) == (0, "")
    assert shop in run.out.splitlines()
    assert len(account.sim.requests) == before


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_part_of_the_package(shell: str, cli: Cli) -> None:
    """`completion` prints the script of the shell."""
    run = cli("completion", shell)
    assert run.code == 0
    assert "__complete" in run.out
    assert Path(f"builds_async/cli/completions/builds-async.{shell}").read_text(encoding="utf-8") == run.out
