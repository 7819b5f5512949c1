"""The documentation: its code runs, its commands exist, and it covers every public name."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import builds_async
import builds_async.simulator
from builds_async import BuildOutcome, BuildsClient, BuildStatus
from builds_async.simulator import BuildsSimulator
from tests.support.engines import own_server
from tests.support.snippets import Snippet, run, run_until, snippets

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
TALKING = [*PAGES, ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md"]
RUNNABLE = [page for page in PAGES if snippets(page, "python")]
COMMIT = "0123abcd" * 5


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[dict[str, object]]:
    """The names that a page's blocks may use: a client, and ids of a small account in the environment."""
    monkeypatch.chdir(tmp_path)
    async with BuildsSimulator(seed=1) as sim:
        for name, value in sim.environ.items():
            monkeypatch.setenv(name, value)
        shop, blog = sim.add_worker("shop"), sim.add_worker("blog")
        queue_id = sim.add_queue()
        build = sim.add_finished_build(["first", "second"], external_script_id=shop, commit_hash=COMMIT)
        sim.add_finished_build(["Error: no cheese"], BuildOutcome.FAIL, external_script_id=blog)
        live = sim.add_build(external_script_id=sim.add_worker("live"))
        live.set_status(BuildStatus.RUNNING)
        live.emit("working")
        async with BuildsClient() as client:
            yield {
                "client": client,
                "build_uuid": build.build_uuid,
                "tag": shop,
                "tags": [shop, blog, live.external_script_id],
                "commit": COMMIT,
                "queue_id": queue_id,
            }


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
async def test_python_blocks_run(page: Path, names: dict[str, object]) -> None:
    """The blocks of a page run in order as they stand, and an endless one prints something."""
    with own_server() if page.stem in {"fleet", "rate-budget"} else nullcontext() as engine:
        if engine is not None:
            names["engine_url"] = engine.url
        await run_blocks(page, names)


async def run_blocks(page: Path, names: dict[str, object]) -> None:
    given = dict(names)
    for snippet in snippets(page, "python"):
        printed = asyncio.Event()
        # A block sees earlier imports and objects, but never a client that an earlier block closed.
        names |= given | {"print": lambda *_, printed=printed: printed.set()}
        if snippet.endless:
            async with asyncio.timeout(10):
                await run_until(snippet, names, printed)
        else:
            await run(snippet, names)


def test_most_pages_have_code() -> None:
    """The blocks are found; otherwise a page whose code is no longer checked would always pass."""
    assert len(RUNNABLE) >= 10
    assert sum(snippet.endless for page in RUNNABLE for snippet in snippets(page, "python")) >= 2
    assert sum(page.read_text("utf-8").count("<!-- test: examples/") for page in PAGES) >= 5


@cache
def help_of(*words: str) -> str:
    """The help of the command, or of one of its subcommands."""
    command = [sys.executable, "-m", "builds_async", *words, "--help"]
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=env).stdout  # noqa: S603  # ours


COMMANDS = [
    pytest.param(line, id=f"{name_of(page)}: {line}")
    for page in TALKING
    for snippet in snippets(page, "console")
    for line in snippet.code.splitlines()
    if line.startswith("$ builds-async ")
]


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_command_lines_exist(line: str) -> None:
    """Each command line on a page names an existing command and existing options."""
    command, *words = line.partition("#")[0].removeprefix("$ builds-async ").split()
    assert re.search(rf"^│ {command} ", help_of(), re.MULTILINE)
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", help_of(command)), option


@pytest.mark.parametrize("module", [builds_async, builds_async.simulator], ids=lambda it: it.__name__)
def test_reference_has_every_public_name(module: ModuleType) -> None:
    """Every public name has an entry in the API reference."""
    pages = [page.read_text("utf-8") for page in (DOCS / "api").glob("*.md")]
    own = "\n".join(page for page in pages if f".. currentmodule:: {module.__name__}\n" in page)
    entries = set(re.findall(r"^\.\. (?:auto\w+|py:data):: (\w+)$", own, re.MULTILINE))
    assert {*module.__all__} - {"__version__"} - entries == set()


@pytest.mark.parametrize("page", ["architecture", "threat-model"])
def test_named_files_exist(page: str) -> None:
    """Each file and folder that a page names exists."""
    named = set(re.findall(r"`([a-z_]+/[\w/]*(?:\.\w+)?)`", (DOCS / f"{page}.md").read_text("utf-8")))
    assert len(named) > 8
    homes = (ROOT, ROOT / "builds_async")
    assert [name for name in sorted(named) if not any((home / name).exists() for home in homes)] == []


def test_the_map_is_complete() -> None:
    """The map of the architecture has exactly the files and folders of the package."""
    drawn = snippets(DOCS / "architecture.md", "text")[0].code
    on_the_map = set(re.findall(r"^  (\w+(?:/|\.py)) ", drawn, re.MULTILINE))
    package = ROOT / "builds_async"
    folders = {f"{it.parent.name}/" for it in package.glob("*/__init__.py")}
    assert on_the_map == folders | {it.name for it in package.glob("*.py")}


def test_pictures_are_small() -> None:
    """Each picture on a page exists and is small enough to load fast."""
    shown = {
        (page.parent / path).resolve()
        for page in [*PAGES, ROOT / "README.md"]
        for path in re.findall(r"[\w./-]+\.(?:svg|png)", page.read_text("utf-8"))
    }
    assert len(shown) >= 3
    for picture in shown:
        assert 1_000 < picture.stat().st_size < 100_000, picture


async def test_endless_blocks_must_not_end() -> None:
    """A block marked as endless must not end, and its exceptions propagate."""
    endless = Snippet(DOCS, 0, "python", "pass", endless=True)
    with pytest.raises(AssertionError, match="has ended"):
        await run_until(endless, {}, asyncio.Event())
    with pytest.raises(ZeroDivisionError):
        await run_until(endless._replace(code="1 / 0"), {}, asyncio.Event())
