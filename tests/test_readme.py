"""The code in README works as it stands."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from builds_async import BuildsClient
from builds_async.simulator import BuildsSimulator, SimulatedBuild
from tests.support.snippets import run, snippets

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text("utf-8")
PYTHON = snippets(README, "python")
SHELL = snippets(README, "sh")


@pytest.fixture
async def build(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimulatedBuild]:
    """A finished build of `my-worker` in a simulated account, configured in the environment."""
    async with BuildsSimulator() as sim:
        for name, value in sim.environ.items():
            monkeypatch.setenv(name, value)
        sim.add_worker("my-blog")
        yield sim.add_finished_build(["first", "second"], external_script_id=sim.add_worker("my-worker"))


async def test_first_screen(build: SimulatedBuild, capsys: pytest.CaptureFixture[str]) -> None:
    """The first block prints the lookup, the log and the outcome, and begins before line 15."""
    assert TEXT.splitlines().index("```python") < 14
    await run(PYTHON[0], {})
    tag = build.external_script_id
    assert re.fullmatch(
        rf"{tag} stopped success\n\S+ \S+ first\n\S+ \S+ second\nsuccess\n", capsys.readouterr().out
    )


@pytest.mark.slow
async def test_other_blocks() -> None:
    """The block on testing follows a ten-minute build, line by line."""
    (block,) = PYTHON[1:]
    names: dict[str, object] = {"BuildsClient": BuildsClient}
    await run(block, names)
    assert isinstance(names["build"], SimulatedBuild)
    assert names["messages"] == [line.message for line in names["build"].lines]
    assert len(names["build"].lines) > 600


def test_shell_blocks_are_one_line() -> None:
    """Each of the two shell blocks is one command line for a fresh clone."""
    assert [block.code.count("\n") for block in SHELL] == [1, 1]


def test_links_lead_somewhere() -> None:
    """Each file that README links to or shows exists."""
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in target]
    assert len(targets) > 10
    assert [target for target in targets if not (README.parent / target).exists()] == []


def test_readme_is_short() -> None:
    """README has at most 120 lines."""
    assert len(TEXT.splitlines()) <= 120
