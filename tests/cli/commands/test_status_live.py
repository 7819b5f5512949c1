"""Tests the column `Live` of `builds-async status --live`."""

from collections.abc import Callable

import pytest

from builds_async.simulator import BuildsSimulator, Fault, TokenKind
from tests.cli.support import Cli, Served, builds_of


def live_column(out: str) -> str:
    """The cell of the only Worker, in an output that is wide enough."""
    header, row = out.splitlines()
    start, end = header.index("Live"), header.index("State")
    return row[start:end].strip()


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Cli:
    """The command on a terminal that is wide enough for every column."""
    monkeypatch.setenv("COLUMNS", "200")
    return cli


def nothing(_sim: BuildsSimulator, _tag: str, _version: str) -> None:
    pass


def split(sim: BuildsSimulator, tag: str, version: str) -> None:
    sim.deploy(tag, {version: 25, sim.add_version(tag): 75})


def without_traffic(sim: BuildsSimulator, tag: str, version: str) -> None:
    sim.deploy(tag, {version: 1, sim.add_version(tag): 99})
    [*_, last] = sim._account.deployments._deployments[tag]
    last.versions[version] = 0.0


def by_hand(sim: BuildsSimulator, tag: str, _version: str) -> None:
    sim.edit(tag)


def secret(sim: BuildsSimulator, tag: str, _version: str) -> None:
    sim.change_secret(tag)


def rollback(sim: BuildsSimulator, tag: str, _version: str) -> None:
    sim.roll_back(tag, sim.add_version(tag))


def failed_build(sim: BuildsSimulator, tag: str, _version: str) -> None:
    sim.add_finished_build(["Error: a"], "fail", age=1.0, external_script_id=tag)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        pytest.param(nothing, ("100%", True, 100, None), id="live"),
        pytest.param(split, ("25%", True, 25, None), id="a share"),
        pytest.param(without_traffic, ("no: deployed by hand", False, None, "by_hand"), id="0 percent"),
        pytest.param(by_hand, ("no: deployed by hand", False, None, "by_hand"), id="by hand"),
        pytest.param(secret, ("no: a secret changed", False, None, "secret"), id="secret"),
        pytest.param(rollback, ("no: rolled back", False, None, "rolled_back"), id="rollback"),
        pytest.param(failed_build, ("no: build {}", False, None, "other_build"), id="an older build"),
    ],
)
def test_live(
    change: Callable[..., None],
    shown: tuple[str, bool, float | None, str | None],
    account: Served,
    shop: str,
    wide: Cli,
) -> None:
    """The cell is the share of the latest build, or "no" and the reason; JSON adds the live versions."""
    tag, build = account.sim.workers[shop], builds_of(account, shop)[-1]
    account.do(lambda: change(account.sim, tag, build.version_id))
    for word in (shop, tag):
        run = wide("status", "--live", word)
        assert (run.code, run.err) == (0, "")
        assert live_column(run.out) == shown[0].format(build.build_uuid[:8])
    live = wide("status", "--live", shop, "-o", "json").records[0]["live"]
    assert (live["is_live"], live["percentage"], live["reason"]) == shown[1:]
    assert live["versions"]
    assert live["deployment"]["id"]


def test_without_the_option(shop: str, cli: Cli) -> None:
    """Without --live, nothing about deployments is requested or shown."""
    assert "Live" not in cli("status", shop).out
    assert "live" not in cli("status", shop, "-o", "json").records[0]


@pytest.mark.parametrize("deployed", [True, False])
def test_workers_without_builds(deployed: bool, account: Served, wide: Cli) -> None:
    """A Worker without builds may still be live."""
    name = f"unbuilt-{len(account.sim.workers)}"
    tag = account.do(lambda: account.sim.add_worker(name))
    if deployed:
        account.do(lambda: account.sim.edit(tag))
    run = wide("status", "--live", name)
    assert live_column(run.out) == ("no: never built" if deployed else "no: never deployed")


def test_builds_are_refused(account: Served, shop: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token without access to builds can't show their status either."""
    token = account.do(lambda: account.sim.add_token(TokenKind.ACCOUNT_OWNED))
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    assert cli("status", "--live", shop).code == 3


def test_a_failed_lookup(account: Served, shop: str, cli: Cli) -> None:
    """A failed lookup is shown, reported, and determines the exit code."""
    account.do(lambda: account.sim.fault(Fault("rate_limited", path="/deployments", retry_after=600)))
    run = cli("status", "--live", shop)
    assert (run.code, "no response" in run.out, "429" in run.err) == (4, True, True)


def test_not_with_watch(shop: str, cli: Cli) -> None:
    """--live can't be combined with --watch."""
    run = cli("status", "--live", "--watch", shop)
    assert (run.code, "--watch" in run.err) == (2, True)
