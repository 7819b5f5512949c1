"""The command, as far as there is one: the demo, and what it says where the extra is missing."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from builds_async import __main__ as entry
from builds_async.cli import app
from builds_async.cli.demo import run_demo


async def test_demo_runs_a_real_build_and_many_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo follows a real process to its outcome, looks Workers up, and shows the code for it."""
    monkeypatch.setattr("builds_async.live.follow.SETTLE", 0.0)
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


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
def test_missing_extra_is_one_line(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the command says what to install, in one line, and fails."""
    for name in [name for name in sys.modules if name.startswith(("builds_async.cli", missing))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 'The command needs an extra: pip install "builds-async[cli]"'


def test_defects_are_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another module that is missing is a defect, and shows as one."""
    monkeypatch.delitem(sys.modules, "builds_async.cli", raising=False)
    monkeypatch.setitem(sys.modules, "builds_async.cli.demo", None)
    with pytest.raises(ModuleNotFoundError, match=r"builds_async\.cli\.demo"):
        entry.main()


def test_version(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`--version` prints the version."""
    monkeypatch.setattr(sys, "argv", ["builds-async", "--version"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code in {0, None}
    assert capsys.readouterr().out.startswith("0.")


@pytest.mark.parametrize("line", ["Initializing", "Compiling"])
def test_ctrl_c_ends_the_demo(line: str, tmp_path: Path) -> None:
    """Ctrl-C, at whatever point, gives exit code 130, no traceback, and leaves no file behind."""
    command = [sys.executable, "-m", "builds_async", "demo"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(  # noqa: S603  # ourselves
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as demo:
        assert demo.stdout is not None
        assert any(line in printed for printed in demo.stdout)
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=20)
    assert demo.returncode == 130
    assert errors == ""
    assert list(tmp_path.iterdir()) == []


def test_interrupted_demo_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the demo gives exit code 130 and no traceback."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("builds_async.cli.run_demo", stop)
    with pytest.raises(SystemExit) as caught:
        app(["demo"])
    assert caught.value.code == 130
