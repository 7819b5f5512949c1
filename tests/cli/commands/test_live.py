"""Tests `builds-async live`."""

import re

import pytest

from builds_async.simulator import Fault, TokenKind
from tests.cli.support import Cli, Served, builds_of

COMMIT = "c0ffee" + "0" * 34


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Cli:
    """The command on a terminal that is wide enough for every column."""
    monkeypatch.setenv("COLUMNS", "200")
    return cli


def rows(out: str) -> list[list[str]]:
    """The cells of a table."""
    return [re.split(r"  +", line.strip()) for line in out.splitlines()]


def test_live(account: Served, shop: str, wide: Cli) -> None:
    """A Worker, given by name or tag, is shown with its version, share, age and build."""
    build = builds_of(account, shop)[-1]
    for word in (shop, account.sim.workers[shop]):
        run = wide("live", word)
        assert (run.code, run.err) == (0, "")
        assert rows(run.out) == [
            ["Worker", "Share", "Branch", "Commit", "Since", "Build", "Version"],
            [shop, "100%", "main", "c0ffee00", "1h 0m", build.build_uuid, build.version_id],
        ]


def test_live_without_a_build(account: Served, shop: str, cli: Cli) -> None:
    """A gradual deployment has a row per version, and a version without a build has a reason."""
    sim, tag, build = account.sim, account.sim.workers[shop], builds_of(account, shop)[-1]
    account.do(lambda: sim.deploy(tag, {build.version_id: 90, sim.edit(tag): 10}))
    never = account.do(lambda: sim.add_worker(f"{shop}-never")) and f"{shop}-never"
    run = cli("live", shop, never)
    assert run.code == 0
    assert [row[:2] for row in rows(run.out)] == [
        ["Worker", "Share"],
        [shop, "90%"],
        [shop, "10%"],
        [never, "never deployed"],
    ]
    assert "none: deployed by hand" in run.out
    [first, second] = cli("live", shop, never, "-o", "json").records
    assert [it["reason"] for it in first["versions"]] == [None, "by_hand"]
    assert [it["percentage"] for it in first["versions"]] == [90, 10]
    assert first["versions"][0]["build"]["build_uuid"] == build.build_uuid
    assert first["deployment"]["strategy"] == "percentage"
    assert second == {"worker": never, "deployment": None, "versions": []}


def test_live_of_all(account: Served, shop: str, cli: Cli) -> None:
    """Without arguments, all Workers of the account are shown, sorted by name."""
    names = [record["worker"] for record in cli("live", "-o", "json").records]
    assert names == sorted(account.sim.workers)
    assert shop in names


@pytest.mark.parametrize("commit", [COMMIT, "c0ffee", "C0FFEE00"])
def test_live_commit(commit: str, account: Served, shop: str, cli: Cli) -> None:
    """The exit code is 0 if each given Worker serves the commit, and Workers that do not are named."""
    run = cli("live", shop, "--commit", commit)
    assert run.code == 0
    assert shop in run.out
    other = account.do(lambda: account.sim.add_worker(f"{shop}-other")) and f"{shop}-other"
    run = cli("live", shop, other, "--commit", commit)
    assert (run.code, run.last) == (1, f"{commit} is not live in {other}")
    assert [record["worker"] for record in cli("live", shop, other, "--commit", commit, "-o", "json").records]


def test_live_commit_with_a_shortened_hash(account: Served, shop: str, cli: Cli) -> None:
    """A full hash matches a hash that the API has shortened to 12 digits."""
    tag = account.do(lambda: account.sim.add_worker(f"{shop}-short"))
    account.do(lambda: account.sim.add_finished_build(external_script_id=tag, commit_hash="0123456789ab"))
    assert cli("live", f"{shop}-short", "--commit", "0123456789ab" + "0" * 28).code == 0
    assert cli("live", f"{shop}-short", "--commit", "0123456789ac").code == 1


def test_live_commit_anywhere(account: Served, shop: str, cli: Cli) -> None:
    """Without names, one Worker that serves the commit is enough; without any, the exit code is 1."""
    tag = account.do(lambda: account.sim.add_worker(f"{shop}-unique"))
    account.do(lambda: account.sim.add_finished_build(external_script_id=tag, commit_hash="ab" * 20))
    run = cli("live", "--commit", "abababab", "-o", "json")
    assert (run.code, [record["worker"] for record in run.records]) == (0, [f"{shop}-unique"])
    account.do(lambda: account.sim.edit(tag))
    run = cli("live", "--commit", "abababab")
    assert (run.code, run.out, run.last) == (1, "", "abababab is not live")


@pytest.mark.parametrize("commit", ["abc", "main", "", "0" * 41])
def test_live_invalid_commit(commit: str, account: Served, cli: Cli) -> None:
    """An invalid hash is a usage error, and nothing is sent."""
    sent = len(account.sim.requests)
    run = cli("live", "--commit", commit)
    assert (run.code, len(account.sim.requests)) == (2, sent)
    assert "4 to 40 hex digits" in run.err


def test_live_failures(account: Served, shop: str, cli: Cli) -> None:
    """An unknown Worker and a failed lookup are reported and determine the exit code."""
    run = cli("live", shop, "no-such-worker")
    assert (run.code, "no such Worker" in run.out, shop in run.out) == (2, True, True)
    assert "the Worker's name, not its tag" in run.err
    account.do(lambda: account.sim.fault(Fault("rate_limited", path="/deployments", retry_after=600)))
    run = cli("live", shop)
    assert (run.code, "no response" in run.out, "429" in run.err) == (4, True, True)


def test_live_when_builds_are_refused(
    account: Served, shop: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account-owned token shows live versions without builds, and can't check a commit."""
    token = account.do(lambda: account.sim.add_token(TokenKind.ACCOUNT_OWNED))
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    run = cli("live", shop)
    assert run.code == 0
    assert "the token may not read builds" in " ".join(run.out.split())
    run = cli("live", shop, "--commit", COMMIT)
    assert (run.code, run.out) == (3, "")
    assert "no commit is known" in run.err
