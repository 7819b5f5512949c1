"""Tests completion in real shells, by pressing TAB on a terminal."""

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builds_async.cli.cache import Cache
from tests.cli.support import COMMAND, environment
from tests.support.needs import needs_program

pytestmark = pytest.mark.slow

ACCOUNT = "a" * 32
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": 'eval "$(builds-async completion bash)"',
    "zsh": 'eval "$(builds-async completion zsh)"',
    "fish": "builds-async completion fish | source",
}
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78])")


class Shell:
    """A shell on a terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, seconds: float = 20.0) -> str:
        """The output of the terminal up to the text."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} did not come: {self.shown[-2000:]!r}"
            if select.select([self._master], [], [], left)[0]:
                data = os.read(self._master, 65536).decode(errors="replace")
                if "\x1b[c" in data:  # fish asks for the type of the terminal and waits for the response
                    self.type("\x1b[?62c")
                self.shown += _SEQUENCES.sub("", data)
        before, _, self.shown = self.shown.partition(text)
        return before


@contextmanager
def started_shell(name: str, tmp_path: Path) -> Iterator[Shell]:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    command = bin_ / "builds-async"
    real = " ".join(f"'{word}'" for word in COMMAND)
    command.write_text(
        "#!/bin/sh\n"
        f'case "$1" in __complete|completion) exec {real} "$@";; esac\n'
        """printf 'ARGUMENTS'; printf '(%s)' "$@"; echo\n"""
    )
    command.chmod(0o755)
    variables = {
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path),
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "PS1": "READY> ",
        "COLUMNS": "100",
        "TERM": "xterm",
    }
    master, slave = pty.openpty()
    process = subprocess.Popen(  # noqa: S603  # the shell under test
        SHELLS[name],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=tmp_path,
        env=environment(variables),
        start_new_session=True,
        # fish ends at once without a controlling terminal
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(slave)
    try:
        shell = Shell(master)
        shell.type(f"{SETUP[name]}; echo loa''ded\n")
        shell.wait_for("loaded")
        yield shell
    finally:
        process.kill()
        process.wait(20)
        os.close(master)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    needs_program(request.param)
    Cache.of_account(ACCOUNT).set_workers(["shopfront", "blog"])
    (tmp_path / "saved-position").write_text("")
    with started_shell(request.param, tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("stat\t", "(status)"),
        ("tail shopf\t", "(tail)(shopfront)"),
        ("tail --highl\t x", "(tail)(--highlight)(x)"),
        ("tail --resume saved-p\t", "(tail)(--resume)(saved-position)"),
        ("wait --output js\t", "(wait)(--output)(json)"),
        ("tail saved-p\t", "(tail)(saved-p)"),
        ("status --fail\t", "(status)(--failed)"),
    ],
    ids=["command", "worker", "option", "file", "choice", "no-file", "filter"],
)
def test_tab(typed: str, arguments: str, shell: Shell) -> None:
    """TAB completes commands, Workers, options, files and values, and files only where they are valid."""
    shell.type(f"builds-async {typed}\n")
    shell.wait_for(f"ARGUMENTS{arguments}\r\n")
