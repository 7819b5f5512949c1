"""Tests `builds-async cancel`."""

from builds_async import BuildStatus
from tests.cli.support import Cli, Run, Served


def test_cancel(account: Served, cli: Cli) -> None:
    """A running build is canceled; a build that had already ended is reported, with exit code 1."""
    build = account.do(account.sim.add_build)
    assert cli("cancel", build.build_uuid) == Run(0, "", f"build {build.build_uuid}: cancelled\n")
    assert build.status == BuildStatus.STOPPED
    done = account.do(account.sim.add_finished_build)
    run = cli("cancel", done.build_uuid, "-o", "json")
    assert (run.code, run.last) == (1, f"build {done.build_uuid}: success")
    assert run.records[0]["build_outcome"] == "success"
