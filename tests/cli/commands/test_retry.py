"""Tests `builds-async retry`."""

import pytest

from builds_async.simulator import Fault
from tests.cli.support import UUID, Cli, Run, Served, builds_of


@pytest.mark.parametrize("name", ["uuid", "digits", "worker"])
def test_retry(name: str, account: Served, shop: str, cli: Cli) -> None:
    """The commit is built again by the build's trigger, and the UUID of the new build is printed."""
    old = builds_of(account, shop)[-1]
    cli("list", shop)
    words = {"uuid": old.build_uuid, "digits": old.build_uuid[:8], "worker": shop}
    run = cli("retry", words[name])
    new = builds_of(account, shop)[-1]
    assert run == Run(0, f"{new.build_uuid}\n", "")
    assert new is not old
    assert (new.trigger, new.details.commit_hash) == (old.trigger, old.details.commit_hash)


def test_the_outcome_of_a_retry(
    account: Served, shop: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --wait or --follow, the exit code shows the outcome of the new build."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    waited = cli("retry", shop, "--wait")
    assert (waited.code, waited.last) == (0, f"build {builds_of(account, shop)[-1].build_uuid}: success")
    followed = cli("retry", shop, "--follow")
    uuid = builds_of(account, shop)[-1].build_uuid
    assert followed == Run(0, "built\n", f"started build {uuid}\nbuild {uuid}: success\n")


@pytest.mark.parametrize("command", ["start", "retry"])
def test_the_page_of_a_started_build(command: str, account: Served, shop: str, cli: Cli) -> None:
    """The JSON has the address of the build's page, which costs at most one list of Workers."""
    for word in (shop, account.sim.workers[shop]):
        account.do(account.sim.requests.clear)
        record = cli(command, word, "-o", "json").records[0]
        page = f"/workers/services/view/{shop}/production/builds/{record['build_uuid']}"
        assert record["dashboard_url"] == f"https://dash.cloudflare.com/{account.sim.account_id}{page}"
        assert record["status"]
        # `retry` looks up the name first, which is another request
        lists = [it for it in account.sim.requests if it.path.endswith("/workers/scripts")]
        assert len(lists) <= (1 if command == "start" or word != shop else 2)


@pytest.mark.usefixtures("brief")
def test_page_with_a_failed_lookup(account: Served, shop: str, cli: Cli) -> None:
    """A build is started and printed even if the name of its Worker can't be looked up."""
    old = builds_of(account, shop)[-1].build_uuid
    account.do(lambda: account.sim.fault(Fault("server_error", path="/workers/scripts", times=None)))
    record = cli("retry", old, "-o", "json").records[0]
    assert record["build_uuid"] == builds_of(account, shop)[-1].build_uuid != old
    assert record["dashboard_url"] is None


def test_retry_misuse(account: Served, shop: str, cli: Cli) -> None:
    """An unknown build and contradictory options are usage errors, and nothing is started."""
    before = len(account.sim.builds)
    assert cli("retry", UUID).code == 2
    assert cli("retry", shop, "--wait", "--follow").code == 2
    assert len(account.sim.builds) == before
