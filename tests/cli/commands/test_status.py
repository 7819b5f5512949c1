"""Tests `builds-async status`."""

import re
from collections.abc import Iterator

import pytest

from builds_async.simulator import BuildsSimulator, Fault
from tests.cli.support import Cli, Served, builds_of, serving

OUTCOMES = ("success", "fail", "cancelled", "skipped", "terminated")
BUILDING = ("running", "queued")


def add_workers(sim: BuildsSimulator) -> None:
    """A Worker for each state, named after it, sorted neither by name nor by state."""
    for name in (*OUTCOMES, "none", *BUILDING):
        tag = sim.add_worker(f"w-{name}")
        if name in OUTCOMES:
            sim.add_finished_build(["a"], name, external_script_id=tag, branch=f"release/{name}")  # type: ignore[arg-type]
        elif name in BUILDING:
            build = sim.add_build(external_script_id=tag)
            build.set_status(name)  # type: ignore[arg-type]


@pytest.fixture
def every(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A separate account with a Worker for each state."""
    with serving() as made:
        made.do(lambda: add_workers(made.sim))
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def rows_of(out: str) -> list[list[str]]:
    return [re.split(r"  +", line.strip()) for line in out.splitlines()]


def workers_in(out: str) -> list[str]:
    """The names without their prefix in the column after the UUID."""
    return [row[1].removeprefix("w-") for row in rows_of(out)[1:]]


def test_status(account: Served, shop: str, cli: Cli) -> None:
    """The latest build of each given Worker is shown, with its UUID first."""
    never = account.do(lambda: account.sim.add_worker(f"{shop}-never"))
    run = cli("status", never, shop)
    assert (run.code, run.err) == (0, "")
    latest = builds_of(account, shop)[-1].build_uuid
    [header, built, unbuilt] = rows_of(run.out)
    assert header == ["Build", "Worker", "State", "Branch", "Commit", "Age", "Took", "Author", "Subject"]
    assert built[:7] == [latest, shop, "success", "main", "c0ffee00", "1h 1m", "1m 0s"]
    assert unbuilt == ["-", f"{shop}-never", "never built"]


@pytest.mark.usefixtures("every")
def test_failures_come_first(cli: Cli) -> None:
    """Failures come first, then running and queued builds, then the rest, each sorted by name."""
    assert workers_in(cli("status").out) == [
        *("fail", "terminated"),
        *("queued", "running"),
        *("cancelled", "none", "skipped", "success"),
    ]


@pytest.mark.usefixtures("every")
@pytest.mark.parametrize(
    ("words", "order"),
    [
        ((), sorted((*OUTCOMES, "none", *BUILDING))),
        (("w-success", "w-fail", "w-none"), ["success", "fail", "none"]),
        (("w-skip*", "w-none", "w-[fr]*"), ["skipped", "none", "fail", "running"]),
    ],
    ids=["all", "names", "patterns"],
)
def test_json_keeps_the_order(words: tuple[str, ...], order: list[str], cli: Cli) -> None:
    """JSON has the Workers in the order of the command line, and otherwise by name."""
    records = cli("status", *words, "-o", "json").records
    assert [record["worker"].removeprefix("w-") for record in records] == order


FILTERS = [
    (("--failed",), ["fail", "terminated"]),
    (("--running",), ["queued", "running"]),
    (("--failed", "--running"), ["fail", "terminated", "queued", "running"]),
    (("--branch", "release/skipped"), ["skipped"]),
    (("--branch", "release/*", "--failed"), ["fail", "terminated"]),
    (("--running", "--branch", "release/f*"), []),
]


@pytest.mark.usefixtures("every")
@pytest.mark.parametrize(("options", "shown"), FILTERS, ids=str)
def test_filters(options: tuple[str, ...], shown: list[str], cli: Cli) -> None:
    """Filters combine; JSON has the same Workers; the exit code stays 0."""
    text, json = cli("status", *options), cli("status", *options, "-o", "json")
    assert workers_in(text.out) == shown
    assert {record["worker"].removeprefix("w-") for record in json.records} == set(shown)
    assert (text.code, json.code, json.err) == (0, 0, "")
    assert text.err == ("" if shown else f"0 of 8 Workers match {' '.join(options)}\n")


def test_only_the_shown_workers_are_looked_up_for_live(every: Served, cli: Cli) -> None:
    """With a filter, --live makes no requests for the filtered Workers."""
    cli("status", "--live", "--failed")
    asked = [it.path for it in every.sim.requests if it.path.endswith("/deployments")]
    assert [path.split("/")[-2] for path in asked] == ["w-fail", "w-terminated"]


def test_no_summary_for_scripts(every: Served, cli: Cli) -> None:
    """In a pipe, each line after the header is a Worker, and nothing is shortened."""
    long = "a-worker-with-a-name-that-is-far-too-long-for-a-terminal-of-80"
    every.do(lambda: every.sim.add_worker(long))
    run = cli("status")
    assert len(run.out.splitlines()) == 1 + 9
    assert (f"-  {long}" in re.sub("  +", "  ", run.out), run.err) == (True, "")


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


def test_a_failed_lookup_passes_every_filter(account: Served, shop: str, cli: Cli) -> None:
    """A Worker with a failed lookup passes every filter, because its state is unknown."""
    account.do(lambda: account.sim.fault(Fault("rate_limited", path="/latest", retry_after=600, times=2)))
    text, json = cli("status", shop, "--failed"), cli("status", shop, "--failed", "-o", "json")
    assert workers_in(text.out) == [shop]
    assert (json.code, "429" in json.records[0]["error"]) == (4, True)
