"""How the client is made from the options: the token, the flags, and what is said about waiting."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builds_async import BuildsConnectionError, RateBudget, RetryPlanned
from builds_async.cli.connect import _report_long_retry
from builds_async.session.clock import Clock
from builds_async.session.headers import Allowance
from builds_async.simulator import SimulatedBuild
from tests.cli.support import NOBODY, Cli, Run, Served, started
from tests.support import FakeClock


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
    assert run == Run(2, "", "builds-async: --token-file: it contains no token\n")


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
        _report_long_retry(RetryPlanned(method="GET", path="/", attempts=1, delay=delay, error=error))
    assert capsys.readouterr().err == "builds-async: retrying in 30s: no^[[2J route\n"


def test_token_from_standard_input(served: Served) -> None:
    """`--token-file -` reads the token from a pipe, and it is seen nowhere."""
    names = {**served.environment, "CLOUDFLARE_API_TOKEN": "wrong"}
    words = ("status", "-o", "json", "--token-file", "-", "--debug")
    with started(names, *words, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(served.sim.api_token.encode() + b"\n", timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert served.sim.api_token.encode() not in out
