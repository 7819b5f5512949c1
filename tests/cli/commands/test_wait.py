"""Tests `builds-async wait`."""

from builds_async.simulator import Fault
from tests.cli.support import Cli, Run, Served, builds_of


def test_wait(account: Served, shop: str, cli: Cli) -> None:
    """The exit code, the last line and the JSON object show the outcome."""
    bad, good = (build.build_uuid for build in builds_of(account, shop))
    assert cli("wait", good) == Run(0, "", f"build {good}: success\n")
    assert cli("wait", bad) == Run(1, "", f"reason: Error: a\nbuild {bad}: fail\n")
    assert cli("wait", bad, "-o", "json").records[0]["build_outcome"] == "fail"


def test_wait_for_a_commit(account: Served, shop: str, cli: Cli) -> None:
    """A commit may be given by the beginning of its hash."""
    good = builds_of(account, shop)[1].build_uuid
    assert cli("wait", shop, "--commit", "c0ffee", "--branch", "main").last == f"build {good}: success"


def test_wait_times_out(account: Served, cli: Cli) -> None:
    """An expired `--timeout` gives exit code 124."""
    running = account.do(account.sim.add_build)
    assert cli("wait", running.build_uuid, "--timeout", "0.01") == Run(
        124, "", "builds-async: not finished after 0.01 s\n"
    )


def test_wait_is_bounded_by_its_timeout_alone(account: Served, cli: Cli) -> None:
    """However long the API blocks everything, only the timeout ends the wait."""
    running = account.do(account.sim.add_build)
    account.do(lambda: account.sim.fault(Fault("rate_limited", times=None, retry_after=290)))
    try:
        run = cli("wait", running.build_uuid, "--timeout", "0.3")
    finally:
        account.do(account.sim.clear_faults)
    assert run.code == 124
    assert run.err.startswith("builds-async: wait: GET /accounts/")
    assert "; trying again until it works\n" in run.err
