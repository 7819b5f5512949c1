"""Programs on a pseudo-terminal that tests can inspect, resize and type into."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.cli.support import DEADLINE, environment
from tests.support.vt import VirtualTerminal


class OnTerminal:
    """A program on its own terminal."""

    def __init__(self, master: int, process: subprocess.Popen[bytes], screen: VirtualTerminal) -> None:
        self.process = process
        self.screen = screen
        self.output = ""
        """All output so far."""
        self._master = master

    @property
    def lines(self) -> list[str]:
        """The visible lines of the terminal."""
        return self.screen.lines

    @property
    def text(self) -> str:
        """The visible lines as one text."""
        return "\n".join(self.lines)

    def wait_until(self, true: Callable[[], object]) -> None:
        """Read output until the condition is true; fail after a deadline."""
        end = time.monotonic() + DEADLINE
        while not true():
            left = end - time.monotonic()
            assert left > 0, f"it took too long; the terminal shows:\n{self.text}"
            if not self._read(min(left, 0.1)):
                assert true(), f"the program has ended; the terminal shows:\n{self.text}"
                return

    def wait_for(self, text: str) -> None:
        """Read output until the terminal shows the text."""
        self.wait_until(lambda: text in self.text)

    def end(self) -> int:
        """Read the rest of the output and return the exit code."""
        while self._read(DEADLINE):
            pass
        return self.process.wait(DEADLINE)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the terminal. The kernel sends SIGWINCH."""
        self.screen.resize(rows, columns)
        _set_size(self._master, rows, columns)

    def _read(self, seconds: float) -> bool:
        """Whether the program still has the terminal open."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how Linux reports that the other end is closed
            return False
        text = data.decode(errors="replace")
        self.output += text
        self.screen.feed(text)
        return bool(data)


@contextmanager
def running_on_terminal(
    command: Sequence[str], variables: Mapping[str, str], *, rows: int = 24, columns: int = 80
) -> Iterator[OnTerminal]:
    """The program on its controlling terminal; killed at the end if still running."""
    master, slave = pty.openpty()
    _set_size(slave, rows, columns)
    try:
        with subprocess.Popen(  # noqa: S603  # the command under test
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment({"COLUMNS": "", "LINES": "", **variables}),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        ) as process:
            os.close(slave)
            try:
                yield OnTerminal(master, process, VirtualTerminal(rows, columns))
            finally:
                process.kill()
    finally:
        os.close(master)


def _set_size(number: int, rows: int, columns: int) -> None:
    fcntl.ioctl(number, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
