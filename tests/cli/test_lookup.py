"""Tests the lookup of Workers and builds, and that names of Workers delay nothing."""

import subprocess
import sys
import time

import pytest

from builds_async.cli.exits import CommandError
from builds_async.cli.lookup import find_build
from builds_async.simulator import Fault
from tests.cli.support import Cli, Served, emit, environment, read_lines, started

pytestmark = pytest.mark.usefixtures("brief")


@pytest.mark.parametrize(
    "word", ["", "shop", "0" * 32, "../x", f"{'0' * 8}-0000-0000-0000-{'0' * 13}"], ids=ascii
)
def test_invalid_build(word: str) -> None:
    """A word that is not a build UUID is refused before any request."""
    with pytest.raises(CommandError, match="is not a build UUID"):
        find_build(word)


LISTING = "/workers/scripts"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["tail", "logs"])
@pytest.mark.parametrize("trouble", ["stall", "server_error"])
def test_lines_do_not_wait_for_a_name(trouble: str, command: str, account: Served, cli: Cli) -> None:
    """JSON lines have null for the name of the Worker while its lookup is slow or if it fails."""
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
def test_workers_by_tag_do_not_wait_for_names(words: tuple[str, ...], account: Served) -> None:
    """Workers given by tag are shown by tag while the list of names stalls."""
    build = account.do(account.sim.add_build)
    emit(account, build, "a line")
    account.do(lambda: account.sim.fault(Fault("stall", path=LISTING, times=None)))
    tag = build.external_script_id
    began = time.monotonic()
    with started(account.environment, *words, tag) as process:
        lines = read_lines(process, 2 if words[0] == "status" else 1)
    assert time.monotonic() - began < 4
    assert lines[-1].startswith(tag[:30])


@pytest.mark.slow
def test_a_stalled_dns_lookup() -> None:
    """A command ends even if a DNS lookup is still running in a thread."""
    code = (
        "import socket, sys, time\n"
        "socket.getaddrinfo = lambda *_, **__: time.sleep(60)\n"
        "from builds_async.__main__ import main\n"
        "sys.argv = ['builds-async', 'wait', '8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e', '--timeout', '0.5']\n"
        "main()\n"
    )
    variables = {
        "CLOUDFLARE_API_TOKEN": "x" * 40,
        "CLOUDFLARE_ACCOUNT_ID": "a" * 32,
        "CLOUDFLARE_BASE_URL": "https://api.example/client/v4",
    }
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-W", "error", "-c", code],
        env=environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
    )
    assert (done.returncode, done.stderr) == (124, "builds-async: not finished after 0.5 s\n")
    assert time.monotonic() - began < 15
