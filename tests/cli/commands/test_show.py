"""Tests `builds-async show`."""

import re

from tests.cli.support import Cli, Served, builds_of


def test_show(account: Served, shop: str, cli: Cli) -> None:
    """All facts about a build are shown, such as the reason for a failure; the exit code is 0."""
    bad, good = (cli("show", build.build_uuid) for build in builds_of(account, shop))
    assert (bad.code, good.code) == (0, 0)
    for fact in (
        "fail",
        "reason          Error: a",
        f"Worker          {shop} ",
        "main",
        "push_event",
        "1m 0s",
    ):
        assert fact in bad.out
    assert re.search(r"preview +https://", good.out)
    assert re.search(r"commit +c0ffee0{34}", good.out)
    assert not re.search(" $", bad.out, re.MULTILINE)
    uuid = builds_of(account, shop)[0].build_uuid
    assert cli("show", uuid, "-o", "json").records[0]["build_outcome"] == "fail"
