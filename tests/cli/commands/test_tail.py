"""Tests the end and the resumption of `builds-async tail`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from builds_async import BuildOutcome
from builds_async.simulator import SimulatedBuild
from tests.cli.support import Cli, Served, emit, ended, read_lines, serving, started

OUTCOMES = {"success": 0, "fail": 1, "cancelled": 1, "terminated": 1, "skipped": 1, "novel": 1}


@pytest.mark.parametrize(("outcome", "code"), OUTCOMES.items(), ids=list(OUTCOMES))
def test_tail_ends_as_the_build_did(outcome: str, code: int, account: Served, cli: Cli) -> None:
    """The exit code is 0 for success only, and the last line on standard error has the outcome."""
    build = account.do(lambda: account.sim.add_finished_build(["a", "b"], outcome))  # type: ignore[arg-type]
    run = cli("tail", build.build_uuid)
    assert (run.code, run.out) == (code, "a\nb\n")
    assert run.last == f"build {build.build_uuid}: {outcome}"


def test_tail_prints_the_reason(failed: SimulatedBuild, cli: Cli) -> None:
    """The line before the last has the reason, even if no line of the log is printed."""
    for options in ((), ("--tail", "0"), ("--include", "nothing like it")):
        run = cli("tail", failed.build_uuid, *options)
        assert run.err.splitlines() == [
            "reason: Error: no such module",
            f"build {failed.build_uuid}: fail",
        ]


def test_resume_of_a_finished_build(failed: SimulatedBuild, cli: Cli, tmp_path: Path) -> None:
    """A tail resumed at the end prints no line and has the same exit code."""
    file = str(tmp_path / "position")
    first, again = (cli("tail", failed.build_uuid, "--resume", file, "--tail", "3") for _ in range(2))
    assert (first.code, len(first.out.splitlines())) == (1, 3)
    assert (again.code, again.out, again.err) == (1, "", first.err)


def test_resume_of_another_build(failed: SimulatedBuild, account: Served, cli: Cli, tmp_path: Path) -> None:
    """A position of another build is a usage error, and the file stays unchanged."""
    file = tmp_path / "position"
    cli("tail", failed.build_uuid, "--resume", str(file))
    saved = file.read_bytes()
    other = account.do(account.sim.add_finished_build)
    run = cli("tail", other.build_uuid, "--resume", str(file))
    assert (run.code, run.out) == (2, "")
    assert f"position belongs to build {failed.build_uuid}" in run.err
    assert file.read_bytes() == saved


@pytest.fixture
def alone() -> Iterator[Served]:
    """A separate account, because the test tails all of its Workers."""
    with serving() as served:
        yield served


@pytest.mark.slow
def test_a_tail_of_workers_reports_builds(alone: Served) -> None:
    """Standard error reports the start and the end of a build; standard output has only the log."""
    tag = alone.do(lambda: alone.sim.add_worker("shop"))
    how = {"branch": "trunk", "commit_hash": "c0ffee", "commit_message": "Fix it"}
    build = alone.do(lambda: alone.sim.add_build([], external_script_id=tag, **how))  # type: ignore[arg-type]
    emit(alone, build, "Error: no")
    with started(alone.environment, "tail", "shop") as process:
        assert read_lines(process, 1) == [f"shop {build.build_uuid[:8]} Error: no"]
        alone.do(lambda: build.finish(BuildOutcome.FAIL))
        assert process.stderr is not None
        first, last = (process.stderr.readline().decode() for _ in range(2))
        process.terminate()
        assert ended(process).out == ""
    account = f"https://dash.cloudflare.com/{alone.sim.account_id}"
    page = f"{account}/workers/services/view/shop/production/builds/{build.build_uuid}"
    assert first == f"shop {build.build_uuid[:8]} -- started: trunk c0ffee Fix it {page}\n"
    assert last.startswith(f"shop {build.build_uuid[:8]} -- fail")
    assert last.endswith(f": Error: no {page}\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ((), {"shop-a", "shop-b", "blog"}),
        (("shop-*",), {"shop-a", "shop-b"}),
        (("*b", "blog"), {"shop-b", "blog"}),
    ],
    ids=["all", "pattern", "both"],
)
def test_tail_of_many(words: tuple[str, ...], seen: set[str], alone: Served) -> None:
    """Without names, all Workers are tailed; with a pattern, only the matching ones."""

    def add() -> None:
        for name in ("shop-a", "shop-b", "blog"):
            build = alone.sim.add_build([], external_script_id=alone.sim.add_worker(name))
            build.emit("a line")

    alone.do(add)
    with started(alone.environment, "tail", *words) as process:
        lines = read_lines(process, len(seen))
        process.terminate()
        rest = ended(process).out
    assert {line.split()[0] for line in lines} == seen
    assert rest == ""
