"""Tests `builds-async list`."""

from tests.cli.support import Cli, Served, builds_of


def test_list(account: Served, shop: str, cli: Cli) -> None:
    """Builds are listed newest first, up to the limit."""
    builds = [build.build_uuid for build in builds_of(account, shop)]
    assert [record["build_uuid"] for record in cli("list", shop, "-o", "json").records] == builds[::-1]
    assert [line.split()[-1] for line in cli("list", shop, "--limit", "1").out.splitlines()] == [
        "Build",
        builds[1],
    ]
