"""Tests the lookup of Workers and builds, which never delays output for names of Workers."""

import subprocess
import sys
import time

import pytest

from builds_async.cli.cache import Cache
from builds_async.simulator import Fault, SimulatedBuild
from tests.cli.support import Cli, Run, Served, builds_of, emit, environment, read_lines, started

pytestmark = pytest.mark.usefixtures("brief")


COMMANDS = pytest.mark.parametrize("command", ["show", "logs", "cancel", "wait"])


@COMMANDS
def test_a_worker_means_its_latest_build(command: str, account: Served, shop: str, cli: Cli) -> None:
    """Wherever a build is expected, the name or tag of a Worker stands for its latest build."""
    latest = builds_of(account, shop)[-1].build_uuid
    expected = cli(command, latest)
    assert expected.code in {0, 1}
    assert cli(command, shop) == expected
    assert cli(command, account.sim.workers[shop]) == expected


@COMMANDS
@pytest.mark.parametrize("printer", [("list",), ("status",), ("status", "-o", "json")], ids=" ".join)
def test_the_first_digits_of_a_printed_build(
    command: str, printer: tuple[str, ...], account: Served, shop: str, cli: Cli
) -> None:
    """Eight digits identify a printed build without an extra request."""
    latest = builds_of(account, shop)[-1].build_uuid
    name, *options = printer
    assert latest in cli(name, shop, *options).out
    expected = cli(command, latest)
    before = len(account.sim.requests)
    assert cli(command, latest) == expected
    spent = len(account.sim.requests) - before
    for digits in (latest[:8], latest[:8].upper(), latest[:12]):
        before = len(account.sim.requests)
        assert cli(command, digits) == expected
        assert len(account.sim.requests) - before == spent


def test_tail_of_the_first_digits(failed: SimulatedBuild, cli: Cli) -> None:
    """A tail of eight digits follows that build."""
    cli("show", failed.build_uuid)
    assert cli("tail", failed.build_uuid[:8]) == cli("tail", failed.build_uuid)


def test_digits_that_were_never_printed(account: Served, shop: str, cli: Cli) -> None:
    """Digits that no command printed are looked up among the latest builds."""
    old, latest = (build.build_uuid for build in builds_of(account, shop))
    assert cli("show", latest[:8]) == cli("show", latest)
    run = cli("show", old[:8])
    assert run.code == 2
    assert f"starts with {old[:8]}: give the whole UUID" in run.err


def test_digits_of_several_builds(account: Served, shop: str, cli: Cli) -> None:
    """Digits that several printed builds share are refused, and the error names the builds."""
    uuid = builds_of(account, shop)[-1].build_uuid
    other = f"{uuid[:8]}-0000-4000-8000-{'0' * 12}"
    Cache.of_account(account.sim.account_id).add_builds([uuid, other])
    run = cli("cancel", uuid[:8])
    assert run.code == 2
    assert f"{uuid[:8]} means several builds: {other}, {uuid}; give more digits" in run.err
    assert cli("show", uuid[:12]).code == 0


def test_a_worker_named_like_digits(account: Served, cli: Cli) -> None:
    """A Worker may have the first digits of a build as its name."""

    def add() -> str:
        tag = account.sim.add_worker("deadbeef")
        return account.sim.add_finished_build(external_script_id=tag).build_uuid

    assert account.do(add) in cli("show", "deadbeef").out


def test_a_worker_that_was_never_built(account: Served, cli: Cli) -> None:
    """A Worker without builds is a usage error."""
    account.do(lambda: account.sim.add_worker("unbuilt"))
    assert cli("show", "unbuilt") == Run(2, "", "builds-async: unbuilt was never built\n")


@pytest.mark.parametrize("word", ["", "nobody", "0" * 32, "../x", "f" * 9], ids=ascii)
@pytest.mark.usefixtures("account")
def test_no_such_build(word: str, cli: Cli) -> None:
    """A word that names neither a build nor a Worker is a usage error."""
    assert cli("show", word).code == 2


LISTING = "/workers/scripts"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["tail", "logs"])
@pytest.mark.parametrize("trouble", ["stall", "server_error"])
def test_lines_do_not_wait_for_a_name(trouble: str, command: str, account: Served, cli: Cli) -> None:
    """JSON lines have null as the name of the Worker while its lookup is slow or if it fails."""
    build = account.do(account.sim.add_finished_build)
    account.do(lambda: account.sim.fault(Fault(trouble, path=LISTING, times=None)))  # type: ignore[arg-type]
    began = time.monotonic()
    run = cli(command, build.build_uuid, "-o", "json")
    assert time.monotonic() - began < 3
    assert run.code == 0
    assert {record["worker"] for record in run.records} == {None}
    assert len(run.records) == len(build.lines)


@pytest.mark.slow
def test_a_late_name(account: Served) -> None:
    """The lines of a tail have the name of the Worker as soon as it is known."""
    build = account.do(account.sim.add_build)
    tag = build.external_script_id
    emit(account, build, "first")
    account.do(lambda: account.sim.fault(Fault("slow", path=LISTING, delay=2.0)))
    with started(account.environment, "tail", tag, "-o", "json") as process:
        (first,) = read_lines(process, 1)
        assert '"worker":null' in first
        deadline = time.monotonic() + 15
        while '"worker":null' in first and time.monotonic() < deadline:
            emit(account, build, "more")
            (first,) = read_lines(process, 1)
        assert '"worker":"worker-' in first


@pytest.mark.slow
@pytest.mark.parametrize("words", [("status",), ("tail",)], ids=" ".join)
def test_workers_by_tag_do_not_wait_for_names(
    words: tuple[str, ...], account: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers given by tag are shown by tag while the list of names stalls."""
    # A command that waits for the names does so for ten minutes, so this test would time out.
    code = (
        "from builds_async.cli import lookup\n"
        "from builds_async.__main__ import main\n"
        "lookup._BEST_EFFORT_SECONDS = 600.0\n"
        "main()\n"
    )
    monkeypatch.setattr("tests.cli.support.COMMAND", [sys.executable, "-W", "error", "-c", code])
    build = account.do(account.sim.add_build)
    emit(account, build, "a line")
    account.do(lambda: account.sim.fault(Fault("stall", path=LISTING, times=None)))
    tag = build.external_script_id
    with started(account.environment, *words, tag) as process:
        lines = read_lines(process, 2 if words[0] == "status" else 1)
    assert lines[-1].split()[words[0] == "status"].startswith(tag[:30])


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_stalled_dns_lookup() -> None:
    """A command ends even if a DNS lookup is still running in a thread."""
    code = (
        "import socket, sys, time\n"
        "socket.getaddrinfo = lambda *_, **__: time.sleep(3600)\n"
        "from builds_async.__main__ import main\n"
        "sys.argv = ['builds-async', 'wait', '8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e', '--timeout', '0.5']\n"
        "main()\n"
    )
    variables = {
        "CLOUDFLARE_API_TOKEN": "x" * 40,
        "CLOUDFLARE_ACCOUNT_ID": "a" * 32,
        "CLOUDFLARE_BASE_URL": "https://api.example/client/v4",
    }
    done = subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-W", "error", "-c", code],
        env=environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,  # a command that waits for the lookup takes an hour
    )
    assert (done.returncode, done.stderr) == (124, "builds-async: not finished after 0.5 s\n")
