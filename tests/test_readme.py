"""What README shows works, as it stands there."""

import ast
import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from builds_async import BuildsClient
from builds_async.simulator import BuildsSimulator, SimulatedBuild

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "sh"]


@pytest.fixture
async def build(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimulatedBuild]:
    """A finished build in a simulated account that the environment names."""
    async with BuildsSimulator() as sim:
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", sim.account_id)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", sim.api_token)
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", sim.url)
        yield sim.add_finished_build(["first", "second"])


async def run(code: str, names: dict[str, object]) -> None:
    """Execute a block with `await` at its top level."""
    result = eval(compile(code, str(README), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307
    if inspect.isawaitable(result):
        await result


async def test_first_screen(build: SimulatedBuild, capsys: pytest.CaptureFixture[str]) -> None:
    """The first block prints the log, the outcome and the look-up; it begins before line 15."""
    assert TEXT.splitlines().index("```python") < 14
    tag = build.external_script_id
    await run(PYTHON[0], {"build_uuid": build.build_uuid, "script_tags": [tag, "0" * 32]})
    assert re.fullmatch(
        rf"\S+ \S+ first\n\S+ \S+ second\nsuccess\n{tag} stopped success\n", capsys.readouterr().out
    )


async def test_other_blocks(build: SimulatedBuild, capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks on resuming, batches and testing run one after the other."""
    async with BuildsClient() as client:
        names: dict[str, object] = {
            "BuildsClient": BuildsClient,
            "client": client,
            "build_uuid": build.build_uuid,
        }
        names["log"] = client.follow(build.build_uuid)
        for code in PYTHON[1:]:
            await run(code, names)
    assert capsys.readouterr().out == "2 new lines\n"
    assert isinstance(names["build"], SimulatedBuild)
    assert names["messages"] == [line.message for line in names["build"].lines]


def test_shell_blocks_are_one_line() -> None:
    """Each of the two shell blocks is one command line for a fresh clone."""
    assert [code.count("\n") for code in SHELL] == [1, 1]


def test_readme_is_short() -> None:
    """A README of at most 150 lines."""
    assert len(TEXT.splitlines()) <= 150
