"""Errors in process: their exit codes, in a line or two, and never the token."""

import asyncio
import io
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builds_async import BuildsConnectionError, RateBudget, RetryPlanned, SystemClock
from builds_async.cli.connect import _tell_long_waits
from builds_async.session.clock import Clock
from builds_async.session.headers import Allowance
from builds_async.simulator import Fault, SimulatedBuild, TokenKind
from tests.cli.support import NOBODY, Run, Served
from tests.support import FakeClock

Cli = Callable[..., Run]

UUID = "00000000-0000-0000-0000-000000000000"

USAGE: list[tuple[list[str], str]] = [
    (["bogus"], "Unknown command"),
    (["tail", "--bogus", "shop"], "--bogus"),
    (["tail"], "tail takes"),
    (["tail", UUID, "shop"], "tail takes"),
    (["tail", UUID, "--tail", "-1"], "--tail"),
    (["tail", UUID, "--tail", "few"], "--tail"),
    (["tail", UUID, "--since", "noon"], "--since: 'noon' is no time"),
    (["tail", UUID, "--timezone", "Mars"], "--timezone: 'Mars' is no time zone"),
    (["tail", UUID, "--include", "("], "--include: '(' is no regular expression"),
    (["tail", UUID, "-o", "yaml"], "yaml"),
    (["tail", UUID], "404"),
    (["tail", "no-such-worker"], "no Worker of this account has the name 'no-such-worker'"),
    (["logs"], "BUILD_UUID"),
    (["logs", "shop"], "'shop' is no build UUID"),
    (["logs", UUID], "404"),
    (["show", UUID], "404"),
    (["list", "no-such-worker"], "no Worker"),
    (["status", "no-such-worker"], "no Worker"),
    (["status", UUID], "is the UUID of a build"),
    (["list", UUID], "is the UUID of a build"),
    (["start", UUID], "is the UUID of a build"),
    (["wait", "shop"], "wait takes"),
    (["wait", UUID, "--commit", "abcd"], "go with a Worker"),
    (["wait", "0" * 32, "--commit", "x"], "--commit: "),
    (["wait", UUID, "--timeout", "0"], "--timeout"),
    (["cancel", UUID], "404"),
    (["start", "no-such-worker"], "no Worker"),
    (["start", "shop", "--branch", "x", "--wait", "--follow"], "leave --wait out"),
    (["events", "../x"], "events: "),
    (["simulate", "--host", "192.0.2.1"], "can't serve at 192.0.2.1"),
    (["simulate", "--faults", "gremlins:2"], "rate_limited, "),
    (["simulate", "--faults", "reset:often"], "'reset:often': how often is a whole number"),
    (["completion", "tcsh"], "tcsh"),
    (["status", "--account-id", "../x"], "account_id"),
    (["status", "--base-url", "http://example.com"], "plain http"),
    (["status", "--token-file", "/no/such/file"], "--token-file: the file can't be read"),
    (["status", "--token-file", "/dev/null"], "--token-file: it is no regular file"),
]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("words", "told"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_usage(words: list[str], told: str, cli: Cli) -> None:
    """What is said wrongly, or does not exist, is exit code 2 and one line that names it."""
    run = cli(*words)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("builds-async: ")
    assert run.err.count("\n") == 1
    assert told in run.err


@pytest.mark.parametrize("words", [["status"], ["tail", UUID], ["doctor"]], ids=" ".join)
def test_no_settings(words: list[str], cli: Cli) -> None:
    """Without an account, or a token, the variable to set is named."""
    run = cli(*words)
    assert (run.code, run.out) == (2, "")
    assert "CLOUDFLARE_" in run.err


KINDS = {TokenKind.ACCOUNT_OWNED: "12006", TokenKind.NO_PERMISSION: "Workers CI Read", None: "12006"}


@pytest.mark.parametrize(("kind", "told"), KINDS.items(), ids=[str(kind) for kind in KINDS])
def test_no_access(
    kind: TokenKind | None, told: str, account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that is wrong, or may not, is exit code 3, for doctor too; it is never shown."""
    token = account.do(lambda: account.sim.add_token(kind)) if kind else "cfut_wrong-" + "w" * 30
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    for words in (["logs", UUID], ["logs", UUID, "--debug"], ["wait", UUID], ["doctor"]):
        run = cli(*words)
        assert run.code == 3, words
        assert token not in run.out + run.err
    assert told in cli("logs", UUID).err


def test_may_not_write(account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that may only read can't cancel: exit code 3."""
    token = account.do(lambda: account.sim.add_token(TokenKind.READ_ONLY))
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    build = account.do(account.sim.add_build)
    run = cli("cancel", build.build_uuid)
    assert (run.code, "Workers CI Write" in run.err) == (3, True)


def test_no_answer(account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody there is exit code 4, for doctor too; --debug adds the traceback, without the token."""

    async def refuse(*_: object, **__: object) -> None:
        raise BuildsConnectionError("could not connect")

    monkeypatch.setattr("builds_async.session.session.ApiSession.exchange", refuse)
    plain, debug = cli("logs", UUID), cli("logs", UUID, "--debug")
    assert plain == Run(4, "", "builds-async: could not connect\n")
    assert debug.code == 4
    assert debug.err.startswith("Traceback")
    assert debug.err.endswith(plain.err)
    assert account.sim.api_token not in debug.err


def test_rate_limit(failed: SimulatedBuild, account: Served, cli: Cli) -> None:
    """A rate limit that is too long to wait for is exit code 4."""
    account.do(lambda: account.sim.fault(Fault("rate_limited", path=failed.build_uuid, retry_after=600)))
    run = cli("logs", failed.build_uuid)
    assert run.code == 4
    assert "429" in run.err
    assert "wait 600 s" in run.err


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client not wait between its attempts."""

    async def at_once(_clock: SystemClock, _seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(SystemClock, "sleep", at_once)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("command", "code"), [("wait", 1), ("tail", 1), ("show", 4)])
def test_outage(command: str, code: int, failed: SimulatedBuild, account: Served, cli: Cli) -> None:
    """What waits for a build outlasts six failures in a row; what only asks tells of them."""
    account.do(lambda: account.sim.fault(Fault("server_error", path=failed.build_uuid, times=6)))
    assert cli(command, failed.build_uuid).code == code
    account.do(account.sim.clear_faults)


SECRET = "cfut_" + "s" * 35

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
def test_a_token_that_was_typed_is_not_repeated(
    words: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is taken from no flag, and is not shown wherever else it was typed, with --debug neither."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", SECRET)
    run = cli(*words, "--debug")
    assert run.code == 2
    assert SECRET not in run.out + run.err
    if any("token" in word.lower() or "key" in word for word in words[:3]) and "--token-file" not in words:
        assert "not taken from the command line" in run.err


def test_token_file(
    failed: SimulatedBuild, account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The token in a file is used in place of the one in the environment."""
    file = tmp_path / "token"
    file.write_text(f"{account.sim.api_token}\n")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong")
    assert cli("logs", failed.build_uuid).code == 3
    assert cli("logs", failed.build_uuid, "--token-file", str(file)).code == 0


class Keyboard(io.StringIO):
    """A standard input at which Ctrl-C is pressed."""

    got_past = False

    def read(self, _size: int | None = -1, /) -> str:
        signal.raise_signal(signal.SIGINT)
        self.got_past = True
        return "token"


@pytest.mark.usefixtures("account")
def test_interrupted_at_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One Ctrl-C is enough while the token is waited for, though that blocks the event loop."""
    keyboard = Keyboard()
    monkeypatch.setattr(sys, "stdin", keyboard)
    assert cli("status", "--token-file", "-") == Run(130, "", "")
    assert not keyboard.got_past


@pytest.mark.usefixtures("account")
def test_closed_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standard input that the shell has closed has no token."""
    monkeypatch.setattr(sys, "stdin", None)
    run = cli("status", "--token-file", "-")
    assert run == Run(2, "", "builds-async: --token-file: there is no token in it\n")


def test_flags_win(
    failed: SimulatedBuild, account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Account and address are taken from the flags before the environment."""
    url, tag = account.sim.url, account.sim.account_id
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", NOBODY)
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "0" * 32)
    assert cli("logs", failed.build_uuid, "--base-url", url, "--account-id", tag).code == 0


def test_a_used_up_budget_is_told(
    failed: SimulatedBuild, account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that waits for the rate limit says for how long, and why; it goes on when that is over."""
    monkeypatch.setattr(RateBudget, "bind", _used_up)
    run = cli("wait", failed.build_uuid)
    told = "builds-async: waiting 300 s for the rate budget: the API says that nothing is left"
    assert run.code == 1
    assert run.err.startswith(told)
    assert run.err.count("rate budget") == 1
    assert account.sim.api_token not in run.err


def _used_up(budget: RateBudget, _clock: Clock) -> None:
    """Bind a budget to a clock on which nobody has to wait, and leave nothing of it."""
    budget._clock = FakeClock()
    budget.observe({"default": Allowance(0, 300.0)})


def test_a_long_retry_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A retry that is far off says what went wrong, and when it comes; a near one does not."""
    error = BuildsConnectionError("no\x1b[2J route")
    for delay in (1.0, 30.0):
        _tell_long_waits(RetryPlanned(method="GET", path="/", attempts=1, delay=delay, error=error))
    assert capsys.readouterr().err == "builds-async: waiting 30s to try again: no^[[2J route\n"
