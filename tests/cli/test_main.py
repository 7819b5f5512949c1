"""Tests the entry point."""

import signal
import subprocess
import sys

import pytest

from builds_async import __main__ as entry
from tests.cli.support import environment


def test_interrupted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while modules load gives exit code 130."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_command", interrupted)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 130


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
def test_missing_extra(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra, the command fails with one line that names the package to install."""
    for name in [name for name in sys.modules if name.startswith(("builds_async.cli", missing))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(sys, "argv", ["builds-async", "--help"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == 'The command needs an extra: pip install "builds-async[cli]"\n'


def test_another_missing_module_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a missing extra is reported; any other missing module raises."""
    monkeypatch.delitem(sys.modules, "builds_async.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "builds_async.cli.commands", None)
    with pytest.raises(ModuleNotFoundError, match=r"builds_async\.cli\.commands"):
        entry.main()


@pytest.mark.slow
def test_light_start() -> None:
    """A command that draws no tables loads no simulator, no web server and no rich console."""
    code = (
        "import sys, contextlib\nfrom builds_async.cli.app import run\n"
        "with contextlib.redirect_stdout(sys.stderr): run(['logs', 'x'])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment({})
    )
    loaded = set(done.stdout.split())
    assert "builds_async.cli.commands.logs" in loaded
    assert not loaded & {"builds_async.simulator", "aiohttp.web", "rich.table", "rich.console", "rich.live"}
