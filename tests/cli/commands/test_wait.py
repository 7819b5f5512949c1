"""Tests `builds-async wait`."""

import pytest

from builds_async.simulator import Fault
from tests.cli.support import Cli, Run, Served, builds_of


def test_wait(account: Served, shop: str, cli: Cli) -> None:
    """The exit code, the last line and the JSON object show the outcome."""
    bad, good = (build.build_uuid for build in builds_of(account, shop))
    assert cli("wait", good) == Run(0, "", f"build {good}: success\n")
    assert cli("wait", bad) == Run(1, "", f"reason: Error: a\nbuild {bad}: fail\n")
    assert cli("wait", bad, "-o", "json").records[0]["build_outcome"] == "fail"


def test_wait_for_a_commit(account: Served, shop: str, cli: Cli) -> None:
    """A commit may be given by a prefix of its hash."""
    good = builds_of(account, shop)[1].build_uuid
    assert cli("wait", shop, "--commit", "c0ffee", "--branch", "main").last == f"build {good}: success"


def test_wait_until_deployed(account: Served, shop: str, cli: Cli) -> None:
    """The exit code is 0 if the build serves traffic; otherwise it is 1, with the serving version."""
    good, tag = builds_of(account, shop)[1], account.sim.workers[shop]
    words = ("wait", shop, "--commit", "c0ffee", "--deployed")
    assert cli(*words) == Run(0, "", f"build {good.build_uuid}: success\n")
    version = account.do(lambda: account.sim.edit(tag))
    run = cli(*words)
    assert (run.code, run.out) == (1, "")
    assert run.last.startswith(
        f"builds-async: build {good.build_uuid} is not live: a newer deployment has replaced it;"
        f" version {version} with 100% (deployed by hand) serves since "
    )
    run = cli(*words, "-o", "json")
    assert (run.code, [it["build_uuid"] for it in run.records]) == (1, [good.build_uuid])


def test_wait_for_the_deployment_of_a_failed_build(account: Served, shop: str, cli: Cli) -> None:
    """With --deployed, a failed build is reported with the reason for its failure."""
    bad = builds_of(account, shop)[0]
    words = ("wait", shop, "--commit", str(bad.details.commit_hash), "--deployed")
    assert cli(*words) == Run(1, "", f"reason: Error: a\nbuild {bad.build_uuid}: fail\n")
    assert cli(*words, "-o", "json").records[0]["build_outcome"] == "fail"


def test_wait_for_the_deployment_of_a_build(account: Served, shop: str, cli: Cli) -> None:
    """--deployed can't be combined with the UUID of a build."""
    run = cli("wait", builds_of(account, shop)[1].build_uuid, "--deployed")
    assert (run.code, "--deployed go with a Worker" in run.err) == (2, True)


def test_wait_times_out(account: Served, cli: Cli) -> None:
    """An expired `--timeout` gives exit code 124."""
    running = account.do(account.sim.add_build)
    assert cli("wait", running.build_uuid, "--timeout", "0.01") == Run(
        124, "", "builds-async: not finished after 0.01 s\n"
    )


@pytest.mark.slow
def test_wait_is_bounded_by_its_timeout_alone(account: Served, cli: Cli) -> None:
    """However long the API blocks all requests, only the timeout ends the wait."""
    running = account.do(account.sim.add_build)
    account.do(lambda: account.sim.fault(Fault("rate_limited", times=None, retry_after=290)))
    try:
        run = cli("wait", running.build_uuid, "--timeout", "0.3")
    finally:
        account.do(account.sim.clear_faults)
    assert run.code == 124
    assert run.err.startswith("builds-async: wait: GET /accounts/")
    assert "; trying again until it works\n" in run.err


def test_log_failed(account: Served, shop: str, cli: Cli) -> None:
    """--log-failed prints the lines around the reason; JSON adds the reason, the Worker and the steps."""
    bad = builds_of(account, shop)[0].build_uuid
    run = cli("wait", bad, "--log-failed")
    assert (run.code, run.out) == (1, "Error: a\n")
    record = cli("wait", bad, "--log-failed", "-o", "json").records[0]
    assert (record["reason"], record["worker"]) == ("Error: a", shop)
    assert [step["name"] for step in record["steps"]] == ["initialize"]
    assert record["log_failed"] == ["Error: a"]
