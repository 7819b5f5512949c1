"""The import time that the package adds to its three dependencies, in fresh interpreters."""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from tests.benchmarks.table import VALUE_HEAD, Target, show, value_row

TARGET = Target(30, unit=" ms")
UNWANTED = ("aiohttp.web", "builds_async.simulator")
_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = f"""
import sys, time
sys.path.insert(0, sys.argv[1])
import aiohttp, anyio, msgspec
wall, cpu = time.perf_counter(), time.process_time()
from builds_async import BuildsClient
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(msgspec.json.encode([wall, cpu, [name for name in {UNWANTED!r} if name in sys.modules]]).decode())
"""


class _Import(NamedTuple):
    wall: float
    cpu: float
    unwanted: list[str]


async def run(*, quick: bool) -> None:
    """Measure and print."""
    first: list[_Import] = []
    second: list[_Import] = []
    with tempfile.TemporaryDirectory() as cache:
        await asyncio.to_thread(_import, cache)  # writes the bytecode, as an installation does
        for _ in range(5 if quick else 15):
            for series in (first, second):
                series.append(await asyncio.to_thread(_import, cache))
    unwanted = first[0].unwanted
    show(
        "from builds_async import BuildsClient, beyond aiohttp, msgspec and anyio",
        VALUE_HEAD,
        [
            value_row("CPU", 1e3 * median(one.cpu for one in first), TARGET),
            value_row("CPU again (A/A)", 1e3 * median(one.cpu for one in second), TARGET),
            value_row("wall clock", 1e3 * median(one.wall for one in first), TARGET),
            value_row("wall clock again (A/A)", 1e3 * median(one.wall for one in second), TARGET),
            (
                "imports " + " or ".join(UNWANTED),
                ", ".join(unwanted) or "no",
                "no",
                "not met" if unwanted else "met",
            ),
        ],
    )


def _import(cache: str) -> _Import:
    command = [sys.executable, "-P", "-c", _PROGRAM, str(_ROOT)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    out = subprocess.run(  # noqa: S603  # ourselves
        command, check=True, stdout=subprocess.PIPE, timeout=60, env=environment
    ).stdout
    return msgspec.json.decode(out, type=_Import)
