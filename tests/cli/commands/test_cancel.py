"""`builds-async cancel`."""

import pytest

from builds_async import BuildStatus
from tests.cli.support import Cli, Run, Served

pytestmark = pytest.mark.slow


def test_cancel(account: Served, cli: Cli) -> None:
    """A running build is cancelled; one that had ended is reported, and not a success."""
    build = account.do(account.sim.add_build)
    assert cli("cancel", build.build_uuid) == Run(0, "", f"build {build.build_uuid}: cancelled\n")
    assert build.status == BuildStatus.STOPPED
    done = account.do(account.sim.add_finished_build)
    run = cli("cancel", done.build_uuid, "-o", "json")
    assert (run.code, run.last) == (1, f"build {done.build_uuid}: success")
    assert run.records[0]["build_outcome"] == "success"
