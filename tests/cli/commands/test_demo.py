"""Tests `builds-async demo`."""

import ast
import io
import signal
import textwrap
from pathlib import Path

import pytest
from rich.console import Console

from builds_async.cli.app import run
from builds_async.cli.demo import CODE, run_demo
from tests.cli.support import ended, started


@pytest.fixture
async def shown(monkeypatch: pytest.MonkeyPatch) -> str:
    """The output of the demo on a terminal of 60 columns, the narrowest supported."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    out = io.StringIO()
    await run_demo(Console(file=out, width=60), 120)
    return out.getvalue()


@pytest.mark.slow
async def test_story(shown: str) -> None:
    """The demo follows three real builds, shows why one failed, and looks up many Workers."""
    words = [line.split(maxsplit=2) for line in shown.splitlines()]
    logs = {name: [it[2] for it in words if it[:1] == [name] and it[2:]] for name in ("api", "docs", "shop")}
    assert "AssertionError: 1999 != 1998" in logs["api"]
    assert "wrote json.html" in logs["docs"]
    assert "Compiling 'json/decoder.py'..." in logs["shop"]
    assert "│ api    │ fail    │ AssertionError: 1999 != 1998 │" in shown
    assert "│ docs   │ success │" in shown
    assert "│ shop   │ success │" in shown
    assert "120/120" in shown
    assert "never built  │ 5" in shown
    assert "[bold]" not in shown


@pytest.mark.slow
async def test_code(shown: str) -> None:
    """The code at the end is valid Python, shown in full and without wrapping."""
    lines = shown.partition("The code behind this")[2].splitlines()[1:]
    code = "\n".join(line.rstrip() for line in lines).strip("\n")
    assert code == CODE.strip("\n")
    ast.parse("async def run():\n" + textwrap.indent(code, "    "))


@pytest.mark.slow
def test_ctrl_c_ends_the_demo(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a build gives exit code 130 without a traceback, and leaves no file behind."""
    with started({"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}, "demo") as demo:
        assert demo.stdout is not None
        assert any(b"Compiling" in printed for printed in demo.stdout)
        demo.send_signal(signal.SIGINT)
        stopped = ended(demo)
    assert (stopped.code, stopped.err) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_interrupted_demo_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the demo gives exit code 130 and no traceback."""

    async def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("builds_async.cli.commands.demo.run_demo", stop)
    assert run(["demo"]) == 130
    assert capsys.readouterr().err == ""
