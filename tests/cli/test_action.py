"""Tests the composite action that waits for a build: its shell step runs as on a runner."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.cli.support import COMMAND, Served, builds_of, environment

ACTION = Path(__file__).parents[2] / ".github/actions/wait/action.yml"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="runs bash")
@pytest.mark.parametrize(("code", "outcome"), [(0, "success"), (1, "fail")])
def test_wait(account: Served, shop: str, tmp_path: Path, code: int, outcome: str) -> None:
    """The step ends with the exit code of the build and sets every declared output."""
    text = ACTION.read_text("utf-8")
    script = dedent(text.rpartition("run: |\n")[2])
    command = tmp_path / "builds-async/bin/builds-async"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {" ".join(f"{word!r}" for word in COMMAND)} "$@"\n')
    command.chmod(0o755)
    build = builds_of(account, shop)[1 - code]  # the failed one is the older
    variables = {
        **account.environment,
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "RUNNER_TEMP": str(tmp_path),
        "WORKER": shop,
        "COMMIT": build.details.commit_hash or "",
        "LIMIT": "20s",
    }
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(words, env=environment(variables), capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == code, done.stderr
    output = (tmp_path / "output").read_text("utf-8")
    assert re.search(rf"^outcome<<(\w+)\n{outcome}\n\1$", output, re.MULTILINE)
    declared = set(re.findall(r"steps\.wait\.outputs\.([\w-]+)", text))
    assert declared == set(re.findall(r"^([\w-]+)<<", output, re.MULTILINE))
