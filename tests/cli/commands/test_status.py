"""Tests `builds-async status`."""

import re

from rich.console import Console

from builds_async import Build, BuildsConnectionError, BuildStatus
from builds_async.cli.commands.status import _table
from builds_async.simulator import Fault
from tests.cli.support import UUID, Cli, Served, builds_of


def test_status(account: Served, shop: str, cli: Cli) -> None:
    """The latest build of each given Worker is shown, in the given order."""
    never = account.do(lambda: account.sim.add_worker(f"{shop}-never"))
    run = cli("status", never, shop)
    assert run.code == 0
    rows = [re.split(r"  +", line.strip()) for line in run.out.splitlines()]
    latest = builds_of(account, shop)[-1].build_uuid
    assert rows == [
        ["Worker", "State", "Branch", "Commit", "Age", "Took", "Build"],
        [f"{shop}-never", "never built"],
        [shop, "success", "main", "c0ffee00", "1h 1m", "1m 0s", latest],
    ]


def test_status_of_all(account: Served, shop: str, cli: Cli) -> None:
    """Without arguments, all Workers of the account are shown; JSON contains each build."""
    records = cli("status", "-o", "json").records
    assert {record["worker"] for record in records} == set(account.sim.workers)
    found = {record["worker"]: record["build"] for record in records}[shop]
    assert (found["status"], found["build_outcome"]) == ("stopped", "success")


def test_status_with_a_failed_lookup(account: Served, shop: str, cli: Cli) -> None:
    """A failed lookup is reported and determines the exit code."""
    account.do(lambda: account.sim.fault(Fault("rate_limited", path="/latest", retry_after=600)))
    run = cli("status", shop)
    assert run.code == 4
    assert "no response" in run.out
    assert "429" in run.err


def test_live_table() -> None:
    """A live table tells a Worker that was never built from one that is not known, yet or for an error."""
    build = Build(build_uuid=UUID, status=BuildStatus.QUEUED)
    names = {"1": "built", "2": "new", "3": "unknown", "4": "failed", "5": "failed later"}
    failed = dict.fromkeys(["4", "5"], BuildsConnectionError("reset"))
    table = _table(names, {"1": build, "2": None, "5": build}, failed)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    rows = [re.split(r"  +", line.strip())[:2] for line in capture.get().splitlines()[1:]]
    assert dict(rows) == {
        "built": "queued",
        "new": "never built",
        "unknown": "not known yet",
        "failed": "no response",
        "failed later": "queued",
    }
