"""The command line: which subjects to measure, and how thoroughly."""

import argparse
import asyncio
import platform
import sys
import time
from collections.abc import Callable, Coroutine
from importlib.metadata import version

from tests.benchmarks import bulk, following, getting, importing, memory, scale, sharing, traffic

SUBJECTS: dict[str, Callable[..., Coroutine[None, None, list[str] | None]]] = {
    "get": getting.run,
    "follow": following.run,
    "bulk": bulk.run,
    "import": importing.run,
    "memory": memory.run,
    "scale": scale.run,
    "traffic": traffic.run,
    "fleet": sharing.run,
}


def main() -> None:
    """Measure the requested subjects, all by default, and print a table for each."""
    parser = argparse.ArgumentParser(
        description="Measures. It ends with 1 if memory is over a limit; times are not judged."
    )
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"some of: {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="few and short slices, to see that it runs")
    options = parser.parse_args()
    if unknown := set(options.subjects) - set(SUBJECTS):
        parser.error(f"no such subject: {', '.join(sorted(unknown))}")
    start = time.monotonic()
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "msgspec", "anyio"))
    sys.stdout.write(f"Python {platform.python_version()}, {packages}\n")
    sys.stdout.write(
        "CPU time of the client process. A ratio is the median over slices, each between two slices of its"
        " baseline;\nthe A/A row is the baseline measured against itself: the noise of this run.\n\n"
    )
    if options.quick:
        sys.stdout.write("Quick: too few slices for the verdicts to count.\n\n")
    broken: list[str] = []
    for name, run in SUBJECTS.items():
        if not options.subjects or name in options.subjects:
            found = asyncio.run(run(quick=options.quick))
            broken += found or []
    sys.stdout.write(f"{time.monotonic() - start:.0f} s in all\n")
    if broken:
        sys.exit("\n".join(("Over the limit:", *broken)))
