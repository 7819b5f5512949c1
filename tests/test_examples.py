"""The examples work as described, against a simulated account; `tests/examples/` has those of the guides."""

import ast
import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partialmethod
from pathlib import Path
from types import ModuleType

import pytest

from builds_async import BuildOutcome, BuildsClient, BuildStatus, LogPosition, Saved
from builds_async.simulator import BuildsSimulator
from tests.support.case import cases
from tests.support.snippets import snippets

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


def load(name: str) -> ModuleType:
    path = EXAMPLES[0].parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"examples_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def sim(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BuildsSimulator]:
    """A simulated account, configured in the environment."""
    async with BuildsSimulator(page_size=3) as sim:
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", sim.account_id)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", sim.api_token)
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", sim.url)
        yield sim


def lines_of_code(path: Path) -> int:
    """The lines other than blank lines, comments and docstrings."""
    text = path.read_text("utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = set[int]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            docstrings.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in docstrings]
    return sum(bool(line) and not line.startswith("#") for line in lines)


@cases("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_short(path: Path) -> None:
    """An example has at most 40 lines of code, with two longer exceptions, and uses no private name."""
    assert 5 < lines_of_code(path) <= {"postgres_store": 60, "queue_bots": 60}.get(path.stem, 40)
    assert not re.search(r"(?<!\w)\w+\._[a-z]|import _|\._\w+ import", path.read_text("utf-8"))


GUIDES = {
    "notify_bot": "bot",
    "events_bot": "bot",
    "status_service": "app",
    "wait_in_ci": "ci",
    "nightly_report": "report",
}


@cases(("name", "guide"), GUIDES.items())
def test_guides_show_examples(name: str, guide: str) -> None:
    """The program in a guide is exactly the example, so that tests of either cover both."""
    page = EXAMPLES[0].parent.parent / "docs" / "guides" / f"{guide}.md"
    [shown] = snippets(page, f"examples/{name}.py")
    assert shown.code == (EXAMPLES[0].parent / f"{name}.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("outcome", "code"), [(BuildOutcome.SUCCESS, 0), (BuildOutcome.FAIL, 1), (BuildOutcome.CANCELLED, 1)]
)
async def test_follow_build(
    sim: BuildsSimulator, outcome: BuildOutcome, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """`follow_build` prints the log and the outcome, and its exit code distinguishes success."""
    build = sim.add_finished_build(["one", "two"], outcome)
    assert await load("follow_build").main(build.build_uuid) == code
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in printed] == ["one", "two", outcome]


async def test_latest_builds(sim: BuildsSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    """`latest_builds` distinguishes Workers with a build from those without."""
    build, idle = sim.add_finished_build(), sim.add_worker()
    await load("latest_builds").main([build.external_script_id, idle])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{build.external_script_id} stopped success 20")
    assert second == f"{idle} never built"


async def test_resume_log(
    sim: BuildsSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`resume_log`, killed in the middle of a page and restarted, prints every line once."""
    build = sim.add_finished_build(list("abcdefgh"))
    file = tmp_path / "position"
    example = load("resume_log")
    printed = []

    def save_then_die(file: Path, position: LogPosition, save: Callable[..., None] = example.save) -> None:
        save(file, position)
        printed.append(capsys.readouterr().out.strip())
        if printed[-1] == "e":
            raise KeyboardInterrupt

    monkeypatch.setattr(example, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        await example.main(build.build_uuid, file)
    await example.main(build.build_uuid, file)
    assert printed == list("abcdefgh")
    assert [path.name for path in tmp_path.iterdir()] == ["position"]


@pytest.mark.slow
async def test_offline_demo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`offline_demo` needs no account: it follows a real command's output live to its outcome."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    await load("offline_demo").main()
    out = capsys.readouterr().out
    assert "loops, best of 5" in out
    assert out.endswith("outcome: success\n")


@pytest.mark.slow
async def test_queue_bots(
    sim: BuildsSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two `queue_bots` follow a build each; when one stops, the other resumes its build at its position."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    monkeypatch.setattr(BuildsClient, "events", partialmethod(BuildsClient.events, poll_interval=0.05))
    queue_id, path = sim.add_queue(), str(tmp_path / "positions")
    bots = [asyncio.create_task(load("queue_bots").main(queue_id, path)) for _ in range(2)]
    builds = [sim.add_build(external_script_id=sim.add_worker()) for _ in range(2)]
    printed: list[str] = []

    async def until(count: int) -> None:
        async with asyncio.timeout(10):
            while len(printed) < count:
                await asyncio.sleep(0.02)
                printed.extend(capsys.readouterr().out.splitlines())

    for build in builds:
        build.set_status(BuildStatus.RUNNING)
        build.emit("a", "b")
    await until(4)
    bots[0].cancel()
    await asyncio.wait(bots[:1])
    for build in builds:
        build.emit("c")
        build.finish()
    await until(6)
    assert sorted(printed) == sorted(f"{build.build_uuid} {text}" for build in builds for text in "abc")
    bots[1].cancel()
    await asyncio.wait(bots)


async def test_queue_bots_fences(tmp_path: Path) -> None:
    """A bot that lost its event can no longer save."""
    with closing(load("queue_bots").SqliteStore(str(tmp_path / "positions"))) as store:
        assert await store.open("b", 1) == Saved()
        assert await store.save("b", 1, 1, "one")
        assert await store.open("b", 2) == Saved(1, "one")
        assert not await store.save("b", 1, 2, "two")
        assert await store.open("b", 1) is None
        assert await store.save("b", 2, 2, "two")
        assert await store.save("b", 2, 2, "two")
