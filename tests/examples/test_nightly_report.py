"""The nightly report has a row for every Worker, whatever fails."""

import asyncio
import csv
from pathlib import Path
from types import ModuleType

import pytest

from builds_async import AuthenticationError, BuildOutcome
from builds_async.simulator import BuildsSimulator, Fault
from tests.examples.support import GUIDES, guide, outage
from tests.support.snippets import snippets

COMMIT = "0123abcd" * 5


@pytest.fixture
def report() -> ModuleType:
    return guide("report", "nightly_report")


@pytest.fixture
def sim(builds_environ: dict[str, str], builds_simulator: BuildsSimulator) -> BuildsSimulator:
    """An account with a Worker for each kind of row."""
    assert builds_environ
    sim = builds_simulator
    tags = {name: sim.add_worker(name) for name in ("broken", "by-hand", "fine", "idle", "split")}
    sim.add_finished_build(external_script_id=tags["fine"], commit_hash=COMMIT, duration=31)
    sim.add_finished_build(external_script_id=tags["broken"], commit_hash=COMMIT, age=9000)
    sim.add_finished_build(
        ["npm run build", "Error: `|no| <b>cheese</b>`"],
        BuildOutcome.FAIL,
        external_script_id=tags["broken"],
        branch="main",
    )
    sim.deploy(tags["by-hand"])
    sim.add_build(external_script_id=tags["by-hand"])
    built = sim.add_finished_build(external_script_id=tags["split"], commit_hash=COMMIT)
    sim.deploy(tags["split"], {built.version_id: 90, sim.add_version(tags["split"]): 10})
    return sim


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of a Markdown table, by the first cell of their row."""
    head, rule, *lines = text.splitlines()
    assert head == "| Worker | Live | Latest build | Branch | Seconds | Reason |"
    assert set(rule) == set("| -")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in rows} == {6}
    return {row[0].strip("`"): row[1:] for row in rows}


def test_markdown(sim: BuildsSimulator, report: ModuleType, tmp_path: Path) -> None:
    """Each Worker has a row, and text of a log is code and can't add a cell."""
    report.main(tmp_path / "report.md")
    rows = rows_of((tmp_path / "report.md").read_text("utf-8"))
    live = f"`100.0% {COMMIT}`"
    assert rows["fine"] == [live, "`success`", "`main`", rows["fine"][3], ""]
    assert 0 < float(rows["fine"][3].strip("`")) <= 31
    assert rows["broken"][:3] == [live, "`fail`", "`main`"]
    assert rows["broken"][4] == "`Error: '/no/ <b>cheese</b>'`"
    assert rows["by-hand"] == ["`100.0% by_hand`", "`queued`", "`main`", "", ""]
    assert rows["split"][0] == f"`90.0% {COMMIT}, 10.0% by_hand`"
    assert rows["idle"] == ["`never deployed`", "`never built`", "", "", ""]
    assert list(rows) == sorted(sim.workers)


def test_csv(sim: BuildsSimulator, report: ModuleType, tmp_path: Path) -> None:
    """The guide's CSV has the same rows, and no cell that a spreadsheet would compute."""
    assert sim
    build = sim.add_build(external_script_id=sim.workers["idle"])
    build.emit("=HYPERLINK(evil)")
    build.finish(BuildOutcome.FAIL)
    [block] = snippets(GUIDES / "report.md", "python")
    exec(compile(block.code, "report.md", "exec"), report.__dict__)  # noqa: S102
    report.write_csv(tmp_path / "report.csv", report.COLUMNS, asyncio.run(report.collect()))
    with (tmp_path / "report.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == list(report.COLUMNS)
    assert [row[0] for row in rows] == sorted(sim.workers)
    assert rows[0][5] == "Error: `|no| <b>cheese</b>`"
    assert rows[3][2:] == ["fail", "main", "0.0", "'=HYPERLINK(evil)"]


@pytest.mark.parametrize(
    ("path", "column"),
    [("/logs", 4), ("/deployments", 0), ("/builds/latest", 1)],
)
def test_part_fails(sim: BuildsSimulator, report: ModuleType, tmp_path: Path, path: str, column: int) -> None:
    """Data that can't be read is an error in its own cell, and the other cells are complete."""
    sim.fault(Fault("server_error", path=path, times=None))
    report.main(tmp_path / "report.md")
    cells = rows_of((tmp_path / "report.md").read_text("utf-8"))["broken"]
    assert "502" in cells[column]
    assert not any("502" in cell for number, cell in enumerate(cells) if number != column)


def test_outage(sim: BuildsSimulator, report: ModuleType, tmp_path: Path) -> None:
    """A short outage has no effect on the report."""
    outage(sim, 0, 1)
    report.main(tmp_path / "report.md")
    assert "502" not in (tmp_path / "report.md").read_text("utf-8")


def test_wrong_credentials(
    sim: BuildsSimulator, report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong credentials end the script, and the old report is kept."""
    assert sim
    old = tmp_path / "report.md"
    old.write_text("old", "utf-8")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong")
    with pytest.raises(AuthenticationError):
        report.main(old)
    assert old.read_text("utf-8") == "old"
