"""Tests `builds-async list`."""

from collections.abc import Iterator

import pytest

from builds_async import BuildOutcome
from builds_async.cli.commands import list as list_
from tests.cli.support import Cli, Served, builds_of, serving

BRANCHES = ("main", "dev")
OUTCOMES = (*BuildOutcome, None)
"""None: the build is running."""


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A Worker `shop` with a build for each outcome on each of two branches, the running ones last."""
    with serving() as made:

        def add() -> None:
            tag = made.sim.add_worker("shop")
            for age, (outcome, branch) in enumerate((it, at) for it in OUTCOMES for at in BRANCHES):
                if outcome is None:
                    made.sim.add_build(external_script_id=tag, branch=branch)
                else:
                    made.sim.add_finished_build(
                        ["a"], outcome, age=9000 - 60 * age, external_script_id=tag, branch=branch
                    )

        made.do(add)
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def test_list(account: Served, shop: str, cli: Cli) -> None:
    """Builds are listed newest first, up to the limit, with the UUID first."""
    builds = [build.build_uuid for build in builds_of(account, shop)]
    assert [record["build_uuid"] for record in cli("list", shop, "-o", "json").records] == builds[::-1]
    assert [line.split()[0] for line in cli("list", shop, "--limit", "1").out.splitlines()] == [
        "Build",
        builds[1],
    ]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("options", "states"),
    [
        (("--failed",), ["terminated", "terminated", "fail", "fail"]),
        (("--failed", "--branch", "main"), ["terminated", "fail"]),
        (("--failed", "--running", "--branch", "d*"), ["queued", "terminated", "fail"]),
        (("--failed", "--limit", "3"), ["terminated", "terminated", "fail"]),
        (("--branch", "nope"), []),
    ],
    ids=str,
)
def test_filters(options: tuple[str, ...], states: list[str], cli: Cli) -> None:
    """Filters combine, the limit counts matching builds, and JSON has the same ones; the exit code is 0."""
    text, json = cli("list", "shop", *options), cli("list", "shop", *options, "-o", "json")
    assert [line.split()[1] for line in text.out.splitlines()[1:]] == states
    assert [it["build_outcome"] or it["status"] for it in json.records] == states
    assert (text.code, json.code) == (0, 0)
    assert text.err == ("" if states else "0 of 12 builds match --branch nope\n")


@pytest.mark.usefixtures("many")
def test_a_filter_reads_a_bounded_number_of_builds(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter with few matches reads a bounded number of builds and reports the limit."""
    monkeypatch.setattr(list_, "_MAX_SEARCHED", 5)
    assert cli("list", "shop", "--failed").err == (
        "2 of the latest 5 builds match --failed: older ones were not read\n"
    )
    assert len(cli("list", "shop").out.splitlines()) == 1 + 12
