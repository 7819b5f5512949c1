"""Tests the reports to a job of GitHub Actions."""

from pathlib import Path

import pytest

from builds_async import BuildStatus
from tests.cli.support import Cli, Served, builds_of

LINES = [
    "Cloning repository...",
    "Executing user build command: make",
    "::endgroup::",
    "::set-output name=a::b",
    "Error: <b>100%</b> | [x](javascript:y) ::error::owned",
    "Failed: error occurred while running build command",
]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The environment of a job, with the files `summary` and `output` in this folder."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    return tmp_path


def outputs(job: Path) -> dict[str, str]:
    lines = iter((job / "output").read_text("utf-8").splitlines())
    found = {}
    for line in lines:
        name, _, end = line.partition("<<")
        found[name] = "\n".join(iter(lambda: next(lines), end))
    return found


def commands(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.lstrip().startswith("::")]


def test_follow(account: Served, cli: Cli, job: Path) -> None:
    """Each step is a group, the reason is an error, and no line of the log is a command."""
    uuid = account.do(lambda: account.sim.add_finished_build(LINES, "fail")).build_uuid  # type: ignore[arg-type]
    run = cli("wait", uuid, "--follow")
    assert run.code == 1
    assert commands(run.out) == ["::group::clone", "::endgroup::", "::group::build", "::endgroup::"]
    (error,) = commands(run.err)
    assert error.startswith("::error::build fail: Error: <b>100%25</b> | ")
    assert outputs(job) == {"build": uuid, "outcome": "fail", "preview-url": "", "version": ""}
    summary = (job / "summary").read_text("utf-8")
    assert "Reason | Error\\: \\<b\\>100\\%\\<\\/b\\> \\| \\[x\\]\\(javascript\\:y\\)" in summary
    assert uuid in summary  # in the address of the dashboard


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("lines", "groups"),
    [(LINES[:1], ["::group::clone", "::endgroup::"]), (["preparing"], [])],
    ids=["in a step", "before"],
)
def test_a_timeout_closes_the_group(lines: list[str], groups: list[str], account: Served, cli: Cli) -> None:
    """A timeout closes the open group, so that later output of the job is not part of it."""
    build = account.do(account.sim.add_build)
    account.do(lambda: build.set_status(BuildStatus.RUNNING))
    account.do(lambda: build.emit(*lines))
    run = cli("wait", build.build_uuid, "--follow", "--timeout", "1")
    assert (run.code, commands(run.out)) == (124, groups)
    assert run.last == "builds-async: not finished after 1 s"


def test_wait(account: Served, shop: str, cli: Cli, job: Path) -> None:
    """Without --follow, a success has outputs and links, and no error."""
    good = builds_of(account, shop)[1]
    run = cli("wait", shop, "--commit", "c0ffee")
    assert (run.code, commands(run.out + run.err)) == (0, [])
    found = outputs(job)
    assert (found["build"], found["outcome"]) == (good.build_uuid, "success")
    assert f"| Preview | <{found['preview-url']}> |" in (job / "summary").read_text("utf-8")


def test_outside(account: Served, shop: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a job, wait --follow prints the log, and standard error reports the end of each step."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    uuid = account.do(lambda: account.sim.add_finished_build(LINES, "fail")).build_uuid  # type: ignore[arg-type]
    run = cli("wait", uuid, "--follow")
    assert run.code == 1
    assert run.out.splitlines()[:2] == LINES[:2]
    assert [line.split()[:2] for line in run.err.splitlines()[:2]] == [["--", "clone"], ["--", "build"]]
    assert commands(run.out + run.err) == []
    followed = cli("wait", shop, "--commit", "c0ffee", "--follow")
    assert followed.code == 0
