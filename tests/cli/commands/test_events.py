"""Tests `builds-async events`."""

from functools import partial

from builds_async import BuildOutcome
from tests.cli.support import Cli, Served


def test_events(account: Served, cli: Cli) -> None:
    """Printed events are acknowledged, and no others."""
    queue = account.do(account.sim.add_queue)
    builds = []
    for outcome in (BuildOutcome.SUCCESS, BuildOutcome.FAIL):
        build = account.do(account.sim.add_build)
        account.do(partial(build.finish, outcome))
        builds.append(build.build_uuid)
    first = cli("events", queue, "--limit", "1", "-o", "json").records
    second = cli("events", queue, "--limit", "1").out
    assert [(event["build_uuid"], event["build_outcome"]) for event in first] == [(builds[0], "success")]
    assert second.split()[2:] == [builds[1], "fail", "main"]
