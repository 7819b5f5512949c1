"""A real PostgreSQL for the tests: the machine's own, or one from a wheel."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.support.needs import skip_without


@cache
def programs() -> Path | None:
    """The folder with `initdb` and `postgres`, or None."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    spec = importlib.util.find_spec("pgserver")
    places += [Path(place, "pginstall", "bin") for place in (spec and spec.submodule_search_locations) or ()]
    return next((place for place in places if (place / "initdb").exists()), None)


@contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database on a server that only this test uses."""
    place = programs()
    if place is None:
        skip_without("PostgreSQL: neither installed nor from the package pgserver", expected=True)
    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = _somebody()
        shutil.chown(folder, user)
    data = f"{folder}/data"
    try:
        _run(user, str(place / "initdb"), "-D", data, "-A", "trust", "-U", "bot", "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        _run(user, str(place / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", f"{folder}/log", "start")
        try:
            yield f"postgresql://bot@/postgres?host={folder}"
        finally:
            _run(user, str(place / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _somebody() -> str:
    names = {it.pw_name for it in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _run(user: str | None, *command: str) -> None:
    subprocess.run(  # noqa: S603  # programs of the machine
        command,
        check=True,
        user=user,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
