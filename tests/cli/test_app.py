"""Tests the app in process: its help, and its short errors with their exit codes and without a token."""

import asyncio
import re
import sys
from importlib import import_module
from inspect import getdoc

import pytest

from builds_async import (
    SystemClock,
)
from builds_async.cli.app import _redacted, make_app
from builds_async.cli.commands import COMMANDS
from builds_async.simulator import Fault, SimulatedBuild, TokenKind
from tests.cli.support import FULL, NOBODY, SECRET, UUID, Cli, Run, Served
from tests.support.case import cases

USAGE: list[tuple[list[str], str]] = [
    (["bogus"], "Unknown command"),
    (["tail", "--bogus", "shop"], "--bogus"),
    (["tail", "no-such-*"], "no Worker of this account has a name like 'no-such-*'"),
    (["tail", UUID, "shop"], "tail takes"),
    (["tail", UUID, "shop"], "tail takes"),
    (["tail", UUID, "--tail", "-1"], "--tail"),
    (["tail", UUID, "--tail", "few"], "--tail"),
    (["tail", UUID, "--since", "noon"], "--since: 'noon' is not a time"),
    (["tail", UUID, "--timezone", "Mars"], "--timezone: 'Mars' is not a time zone"),
    (["tail", UUID, "--include", "("], "--include: '(' is not a regular expression"),
    (["tail", UUID, "-o", "yaml"], "yaml"),
    (["tail", UUID], "404"),
    (["tail", "no-such-worker"], "no Worker of this account has the name 'no-such-worker'"),
    (["logs"], "BUILD"),
    (["logs", "no-such-worker"], "no Worker"),
    (["logs", UUID], "404"),
    (["show", UUID], "404"),
    (["list", "no-such-worker"], "no Worker"),
    (["status", "no-such-worker"], "no Worker"),
    (["status", UUID], "is the UUID of a build"),
    (["list", UUID], "is the UUID of a build"),
    (["start", UUID], "is the UUID of a build"),
    (["wait", "no-such-worker"], "no Worker"),
    (["wait", "shop", "--branch", "main"], "--branch goes with --commit"),
    (["wait", UUID, "--timeout", "soon"], "--timeout: 'soon' is not a duration"),
    (["wait", UUID, "--commit", "abcd"], "go with a Worker"),
    (["wait", "0" * 32, "--commit", "x"], "--commit: "),
    (["wait", UUID, "--timeout", "0"], "--timeout"),
    (["cancel", UUID], "404"),
    (["start", "no-such-worker"], "no Worker"),
    (["start", "shop", "--branch", "x", "--wait", "--follow"], "omit --wait"),
    (["events", "../x"], "events: "),
    (["simulate", "--host", "192.0.2.1"], "can't serve at 192.0.2.1"),
    (["simulate", "--faults", "gremlins:2"], "rate_limited, "),
    (["simulate", "--faults", "reset:often"], "'reset:often': TIMES must be a whole number"),
    (["completion", "tcsh"], "tcsh"),
    (["status", "--account-id", "../x"], "--account-id (CLOUDFLARE_ACCOUNT_ID) must be 32 hex digits"),
    (["status", "--base-url", "http://example.com"], "plain http"),
    (["status", "--token-file", "/no/such/file"], "--token-file: can't read the file"),
    (["status", "--token-file", "/dev/null"], "--token-file: it is not a regular file"),
]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("words", "expected"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_usage(words: list[str], expected: str, cli: Cli) -> None:
    """A usage error or an unknown name gives exit code 2 and one line that names it."""
    run = cli(*words)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("builds-async: ")
    assert run.err.count("\n") == 1
    assert expected in run.err


@pytest.mark.parametrize("words", [["status"], ["tail", UUID], ["doctor"]], ids=" ".join)
def test_no_settings(words: list[str], cli: Cli) -> None:
    """Without an account or a token, the error names the variable to set."""
    run = cli(*words)
    assert (run.code, run.out) == (2, "")
    assert "CLOUDFLARE_" in run.err


KINDS = {TokenKind.ACCOUNT_OWNED: "12006", TokenKind.NO_PERMISSION: "Workers CI Read", None: "12006"}


@pytest.mark.parametrize(("kind", "expected"), KINDS.items(), ids=[str(kind) for kind in KINDS])
def test_no_access(
    kind: TokenKind | None, expected: str, account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid or insufficient token gives exit code 3, also in doctor, and is never shown."""
    token = account.do(lambda: account.sim.add_token(kind)) if kind else "cfut_wrong-" + "w" * 30
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    for words in (["logs", UUID], ["logs", UUID, "--debug"], ["wait", UUID], ["doctor"]):
        run = cli(*words)
        assert run.code == 3, words
        assert token not in run.out + run.err
    assert expected in cli("logs", UUID).err


def test_no_permission_to_write(account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Canceling with a read-only token gives exit code 3."""
    token = account.do(lambda: account.sim.add_token(TokenKind.READ_ONLY))
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    build = account.do(account.sim.add_build)
    run = cli("cancel", build.build_uuid)
    assert (run.code, "Workers CI Write" in run.err) == (3, True)


@pytest.mark.usefixtures("no_pauses")
def test_no_connection(account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed connection gives exit code 4; --debug adds the traceback, without the token."""
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", NOBODY)
    plain, debug = cli("logs", UUID), cli("logs", UUID, "--debug")
    assert (plain.code, plain.out) == (4, "")
    assert plain.err.startswith("builds-async: ")
    assert plain.err.count("\n") == 1
    assert debug.code == 4
    assert debug.err.startswith("Traceback")
    assert debug.err.endswith(plain.err)
    assert account.sim.api_token not in debug.err


def test_rate_limit(failed: SimulatedBuild, account: Served, cli: Cli) -> None:
    """A rate limit that is too long to wait for gives exit code 4."""
    account.do(lambda: account.sim.fault(Fault("rate_limited", path=failed.build_uuid, retry_after=600)))
    run = cli("logs", failed.build_uuid)
    assert run.code == 4
    assert "429" in run.err
    assert "wait 600 s" in run.err


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client retries without waiting."""

    async def at_once(_clock: SystemClock, _seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(SystemClock, "sleep", at_once)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("command", "code"), [("wait", 1), ("tail", 1), ("show", 4)])
def test_outage(command: str, code: int, failed: SimulatedBuild, account: Served, cli: Cli) -> None:
    """Commands that wait for a build survive six failures in a row; the others report them."""
    account.do(lambda: account.sim.fault(Fault("server_error", path=failed.build_uuid, times=6)))
    assert cli(command, failed.build_uuid).code == code
    account.do(account.sim.clear_faults)


SPILLS = [
    ["--token", SECRET, "status"],
    [f"--token={SECRET}", "status"],
    ["status", "--token", SECRET],
    ["status", f"--api-token={SECRET}"],
    ["status", "--api-key", SECRET],
    ["status", f"--API_TOKEN={SECRET}"],
    ["tail", UUID, "--cloudflare-api-token", SECRET],
    ["status", "--token-file", SECRET],
    ["status", "--account-id", "a/" + SECRET],
    ["logs", SECRET],
    ["events", SECRET],
    [SECRET],
    ["tail", UUID, "--include", f"({SECRET}"],
]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("words", SPILLS, ids=[" ".join(words).replace(SECRET, "S") for words in SPILLS])
def test_a_typed_token_is_not_repeated(words: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """No option takes a token, and a typed token is never shown, not even with --debug."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", SECRET)
    run = cli(*words, "--debug")
    assert run.code == 2
    assert SECRET not in run.out + run.err
    if any("token" in word.lower() or "key" in word for word in words[:3]) and "--token-file" not in words:
        assert "not accepted on the command line" in run.err


@pytest.mark.parametrize("words", [["--version"], ["list", "--help"], ["completion", "bash"]], ids=" ".join)
def test_closed_output_of_a_command(words: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that can't write its result fails, with a message on standard error."""
    monkeypatch.setattr(sys, "stdout", None)
    assert cli(*words) == Run(2, "", "builds-async: can't write the output: it is closed\n")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [["logs"], ["list", "--help"]], ids=" ".join)
def test_full_disk_of_a_command(
    words: list[str], account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log and a help text report a full disk in the same way."""
    build = account.do(account.sim.add_finished_build)
    with FULL.open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        run = cli(*words, *([] if "--help" in words else [build.build_uuid]))
    assert (run.code, run.err) == (2, "builds-async: can't write the output: No space left on device\n")


@pytest.mark.parametrize(
    ("token", "text", "shown"),
    [
        ("build", "the build of build-1 failed", "the build of build-1 failed"),
        ("cfut_1x", "--token cfut_1x", "--token ***"),
        ("", "nothing", "nothing"),
    ],
)
def test_redacted(monkeypatch: pytest.MonkeyPatch, token: str, text: str, shown: str) -> None:
    """The token in the environment is redacted, unless it is an ordinary word."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    assert _redacted(text) == shown


def test_list_of_commands(cli: Cli) -> None:
    """The list of commands has the name and summary of each."""
    run = cli("--help")
    assert run.code == 0
    listed = re.sub(r"[│\s]+", " ", run.out)
    missing = [name for name, it in COMMANDS.items() if f" {name} {it.summary} " not in listed]
    assert missing == []


@cases("name", COMMANDS)
def test_summary(name: str) -> None:
    """The docstring of a command is its summary."""
    command = getattr(import_module(f"builds_async.cli.commands.{name}"), f"{name}_command")
    assert getdoc(command) == COMMANDS[name].summary


@cases("name", COMMANDS)
def test_help(name: str, cli: Cli) -> None:
    """The help of a command has its usage and refers to the list of exit codes."""
    run = cli(name, "--help")
    text = " ".join(run.out.split())
    assert run.code == 0
    assert text.startswith(f"Usage: builds-async {name} ")
    assert "`builds-async --help` lists the exit codes" in text
    assert max(map(len, run.out.splitlines())) <= 80


def test_help_names_the_keys(cli: Cli) -> None:
    """The keys of JSON lines are documented."""
    text = re.sub(r"[│\s]+", " ", cli("tail", "--help").out)
    assert "build_uuid, external_script_id, worker, timestamp, time, message" in text


def test_version(cli: Cli) -> None:
    """`--version` prints the version and nothing else."""
    assert re.fullmatch(r"\d+\.\d+\S*\n", cli("--version").out)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, cli: Cli) -> None:
    """The help of a command has valid examples and does not repeat the exit codes."""
    shown = cli("help", command)
    assert (shown.code, shown.err) == (0, "")
    assert shown == cli(command, "--help")
    for example in COMMANDS[command].examples:
        assert f"builds-async {example}" in shown.out
        words = example.split()
        assert words[0] == command
        make_app().parse_args(words, exit_on_error=False, print_error=False)
    assert "Exit codes:" not in shown.out
    assert "Exit codes:" in cli("help").out


def test_errors_name_options(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error names the options of the command, not the arguments of the library."""
    for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "CLOUDFLARE_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    assert "pass --token-file or set CLOUDFLARE_API_TOKEN" in cli("status").err
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", SECRET)
    assert "pass --account-id or set CLOUDFLARE_ACCOUNT_ID" in cli("status").err
