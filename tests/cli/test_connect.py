"""Tests how options configure the client: the token, the flags, and reports of long waits."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builds_async import BuildsConnectionError, OutageEnded, RateBudget, RetryPlanned
from builds_async.cli.connect import _report
from builds_async.session.clock import Clock
from builds_async.session.headers import Allowance
from builds_async.simulator import SimulatedBuild
from tests.cli.support import NOBODY, Cli, Run, Served, started
from tests.support import FakeClock


def test_token_file(
    failed: SimulatedBuild, account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The token in a file takes precedence over the environment."""
    file = tmp_path / "token"
    file.write_text(f"{account.sim.api_token}\n")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong")
    assert cli("logs", failed.build_uuid).code == 3
    assert cli("logs", failed.build_uuid, "--token-file", str(file)).code == 0


class Keyboard(io.StringIO):
    """A standard input that receives Ctrl-C."""

    got_past = False

    def read(self, _size: int | None = -1, /) -> str:
        signal.raise_signal(signal.SIGINT)
        self.got_past = True
        return "token"


@pytest.mark.usefixtures("account")
def test_interrupted_at_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One Ctrl-C ends the wait for a token, although the wait blocks the event loop."""
    keyboard = Keyboard()
    monkeypatch.setattr(sys, "stdin", keyboard)
    assert cli("status", "--token-file", "-") == Run(130, "", "")
    assert not keyboard.got_past


@pytest.mark.usefixtures("account")
def test_closed_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard input is reported as containing no token."""
    monkeypatch.setattr(sys, "stdin", None)
    run = cli("status", "--token-file", "-")
    assert run == Run(2, "", "builds-async: --token-file: it contains no token\n")


def test_options_take_precedence(
    failed: SimulatedBuild, account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Account and address from options take precedence over the environment."""
    url, tag = account.sim.url, account.sim.account_id
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", NOBODY)
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "0" * 32)
    assert cli("logs", failed.build_uuid, "--base-url", url, "--account-id", tag).code == 0


def test_a_wait_for_the_budget_is_reported(
    failed: SimulatedBuild, account: Served, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that waits for the rate budget reports the time and the reason, then continues."""
    monkeypatch.setattr(RateBudget, "bind", _used_up)
    run = cli("wait", failed.build_uuid)
    expected = "builds-async: waiting 300 s for the rate budget: the API says that nothing is left"
    assert run.code == 1
    assert run.err.startswith(expected)
    assert run.err.count("rate budget") == 1
    assert account.sim.api_token not in run.err


def _used_up(budget: RateBudget, _clock: Clock) -> None:
    """Bind an empty budget to a clock that never really waits."""
    budget._clock = FakeClock()
    budget.observe({"default": Allowance(0, 300.0)})


def test_a_long_retry_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """A retry after a long delay is reported with its reason; after a short delay it is not."""
    error = BuildsConnectionError("no\x1b[2J route")
    for delay in (1.0, 30.0):
        _report(RetryPlanned(method="GET", path="/", attempts=1, delay=delay, error=error))
    assert capsys.readouterr().err == "builds-async: retrying in 30s: no^[[2J route\n"


def test_the_end_of_an_outage_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """The command reports the end of an outage, unless an error reports it."""
    for error in (None, BuildsConnectionError("no route")):
        _report(OutageEnded(verb="wait", seconds=42.0, error=error))
    assert capsys.readouterr().err == "builds-async: wait: works again after 42s\n"


@pytest.mark.slow
def test_token_from_standard_input(served: Served) -> None:
    """`--token-file -` reads the token from a pipe and never prints it."""
    names = {**served.environment, "CLOUDFLARE_API_TOKEN": "wrong"}
    words = ("status", "-o", "json", "--token-file", "-", "--debug")
    with started(names, *words, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(served.sim.api_token.encode() + b"\n", timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert served.sim.api_token.encode() not in out
