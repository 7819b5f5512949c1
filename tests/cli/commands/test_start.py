"""Tests `builds-async start`."""

import pytest

from tests.cli.support import Cli, Run, Served, builds_of


def test_start(account: Served, shop: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """`start` prints the UUID; with --wait or --follow, the exit code shows the outcome."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    started = cli("start", shop)
    assert started.code == 0
    assert started.out.strip() == builds_of(account, shop)[-1].build_uuid
    waited = cli("start", shop, "--branch", "main", "--wait", "-o", "json")
    assert (waited.code, [record["build_outcome"] for record in waited.records][-1]) == (0, "success")
    followed = cli("start", shop, "--commit", "a" * 40, "--follow")
    uuid = builds_of(account, shop)[-1].build_uuid
    assert followed == Run(0, "built\n", f"started build {uuid}\nbuild {uuid}: success\n")


def test_start_with_two_triggers(account: Served, shop: str, cli: Cli) -> None:
    """The branch selects the trigger unless --trigger does; if neither does, nothing is started."""
    tag = account.sim.workers[shop]
    uuid = account.do(lambda: account.sim.add_trigger(tag, name="previews"))
    before = len(account.sim.builds)
    for bad in (("--branch", "x", "--trigger", "nightly"), ("--trigger", uuid), ("--commit", "a" * 40)):
        run = cli("start", shop, *bad)
        assert run.code == 2
        assert uuid in run.err
    assert len(account.sim.builds) == before
    good: list[tuple[tuple[str, ...], str, bool]] = [
        ((), "main", False),
        (("--branch", "main"), "main", False),
        (("--branch", "x"), "x", True),
        (("--branch", "main", "--trigger", "previews"), "main", True),
        (("--commit", "a" * 40, "--trigger", uuid), "main", True),
        (("--trigger", "Deploy default branch"), "main", False),
    ]
    for words, branch, by_it in good:
        assert cli("start", shop, *words).code == 0
        build = builds_of(account, shop)[-1]
        assert (build.trigger.trigger_uuid == uuid) == by_it
        assert build.details.branch == branch or "--commit" in words


def test_start_with_an_ambiguous_trigger(account: Served, cli: Cli) -> None:
    """An ambiguous name and an unknown name of a trigger have different errors."""
    tag = account.do(lambda: account.sim.add_worker("twins", connected=False))
    for _ in range(2):
        account.do(lambda: account.sim.add_trigger(tag, name="same"))
    words = ("start", "twins", "--commit", "a" * 40)
    assert (
        "the Worker has several triggers named 'same': pass the UUID of one of"
        in cli(*words, "--trigger", "same").err
    )
    assert "the Worker has no trigger 'other': it has" in cli(*words, "--trigger", "other").err
    assert "the Worker has several triggers: pass the branch too" in cli(*words).err


def test_start_of_an_unconnected_worker(account: Served, cli: Cli) -> None:
    """A Worker without a trigger is a usage error."""
    account.do(lambda: account.sim.add_worker("alone", connected=False))
    run = cli("start", "alone", "--branch", "main")
    assert (run.code, "has no trigger" in run.err) == (2, True)
