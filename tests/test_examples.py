"""The examples do what they say, against a simulated account."""

import importlib.util
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest

from builds_async import BuildOutcome, LogPosition
from builds_async.simulator import BuildsSimulator

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
    """A simulated account that the environment names."""
    async with BuildsSimulator(page_size=3) as sim:
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", sim.account_id)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", sim.api_token)
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", sim.url)
        yield sim


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_short(path: Path) -> None:
    """An example fits on a screen."""
    assert len(path.read_text("utf-8").splitlines()) <= 40


@pytest.mark.parametrize(
    ("outcome", "code"), [(BuildOutcome.SUCCESS, 0), (BuildOutcome.FAIL, 1), (BuildOutcome.CANCELLED, 1)]
)
async def test_follow_build(
    sim: BuildsSimulator, outcome: BuildOutcome, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints the log and the outcome, and its exit code tells success from everything else."""
    build = sim.add_finished_build(["one", "two"], outcome)
    assert await load("follow_build").main(build.build_uuid) == code
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in printed] == ["one", "two", outcome]


async def test_latest_builds(sim: BuildsSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells Workers with a build from those without."""
    build, idle = sim.add_finished_build(), sim.add_worker()
    await load("latest_builds").main([build.external_script_id, idle])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{build.external_script_id} stopped success 20")
    assert second == f"{idle} never built"


async def test_resume_log(
    sim: BuildsSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of a page and started again, it prints every line once."""
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


async def test_offline_demo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs nothing: a real command's output is followed live to its outcome."""
    monkeypatch.setattr("builds_async.live.follow.SETTLE", 0.0)
    await load("offline_demo").main()
    out = capsys.readouterr().out
    assert "loops, best of 5" in out
    assert out.endswith("outcome: success\n")
