"""`python -m builds_async.simulator`, and what importing costs."""

import asyncio
import re
import signal
import subprocess
import sys

import aiohttp
import pytest

from builds_async.simulator.__main__ import main

COMMAND = [sys.executable, "-X", "dev", "-m", "builds_async.simulator"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_it_serves_what_it_prints_until_it_is_told_to_stop(number: signal.Signals) -> None:
    """Three lines for a shell, three builds that exist; then exit code 0 and not a word of complaint."""
    process = await asyncio.create_subprocess_exec(*COMMAND, stdout=-1, stderr=-1)
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode() for _ in range(6)]
    variables = dict(re.findall(r"^export (\w+)=(\S+)$", "".join(lines), re.MULTILINE))
    assert list(variables) == ["CLOUDFLARE_BASE_URL", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"]
    builds = re.findall(
        r"^# (\w+): +build ([-0-9a-f]{36}) of Worker ([0-9a-f]{32})", "".join(lines), re.MULTILINE
    )
    url, account, token = variables.values()
    outcomes = {}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        for name, build_uuid, _ in builds:
            async with session.get(f"{url}/accounts/{account}/builds/builds/{build_uuid}") as response:
                outcomes[name] = (await response.json())["result"]["build_outcome"]
        process.send_signal(number)
        out, err = await process.communicate()
    assert outcomes == {"finished": "success", "failed": "fail", "running": None}
    assert (process.returncode, err) == (0, b"")
    assert b"Ctrl-C" in out


@pytest.mark.parametrize("arguments", [["--host", "192.0.2.1"], ["--port", "70000"]], ids=["host", "port"])
def test_bad_arguments_are_a_line_and_not_a_traceback(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, one line, nothing served."""
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("builds_async.simulator: ")


def test_importing_the_package_does_not_import_the_simulator() -> None:
    """Nor the server half of aiohttp."""
    code = (
        "import sys, builds_async; print([m for m in sys.modules if 'simulator' in m or m == 'aiohttp.web'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # ourselves
    assert done.stdout == "[]\n"


def test_the_simulator_imports_only_models_and_the_clock() -> None:
    """It stands aside of the client that it is a double for."""
    code = (
        "import ast, pathlib, builds_async.simulator as s\n"
        "for file in pathlib.Path(s.__file__).parent.glob('*.py'):\n"
        "    for node in ast.walk(ast.parse(file.read_text())):\n"
        "        if isinstance(node, ast.ImportFrom) and node.module: print(node.module)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # ourselves
    ours = {name for name in done.stdout.split() if name.startswith("builds_async")}
    others = {name for name in ours if not name.startswith("builds_async.simulator")}
    assert (
        others
        == {
            "builds_async.models",
            "builds_async.models.builds",
            "builds_async.models.logs",
            "builds_async.session.clock",
        }
        & others
    )
    assert {name.split(".")[1] for name in others} == {"models", "session"}
