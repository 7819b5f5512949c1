"""`builds-async demo`."""

import io
import signal
from pathlib import Path

import pytest
from rich.console import Console

from builds_async.cli.app import run
from builds_async.cli.demo import run_demo
from tests.cli.support import ended, started


async def test_demo_runs_a_real_build_and_many_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo follows a real process to its outcome, looks Workers up, and shows the code for it."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    monkeypatch.setattr("builds_async.cli.demo._PACKAGES", ("json",))
    out = io.StringIO()
    await run_demo(Console(file=out, width=100), 120)
    text = out.getvalue()
    assert "Compiling 'json/decoder.py'" in text
    assert "The log ended by itself after" in text
    assert "lines: success" in text
    assert "120/120" in text
    assert "never built  │ 5" in text
    assert "async for line in client.follow(build_uuid)" in text
    assert "[bold]" not in text


def test_ctrl_c_ends_the_demo(tmp_path: Path) -> None:
    """Ctrl-C, in the middle of the build, gives exit code 130, no traceback, and leaves no file behind."""
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
