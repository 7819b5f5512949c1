"""Runs the demo: follows three builds at once, one of which fails, then looks up many Workers."""

import asyncio
import os
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from builds_async import Build, BuildOutcome, BuildsClient, BulkResult, LogLine
from builds_async.cli.tables import state_cell
from builds_async.cli.text import visible_text
from builds_async.models.render import render
from builds_async.simulator import BuildsSimulator, SimulatedBuild, build_script

WORKERS = 500

_BATCH = 100  # Workers per step of the progress bar
_OUTCOMES = (*[BuildOutcome.SUCCESS] * 7, BuildOutcome.FAIL, BuildOutcome.CANCELLED, None)

# At most 60 columns, the width of the narrowest supported terminal.
CODE = """\
async def tail(name, build_uuid):
    log = client.follow(build_uuid)
    lines = []
    async for line in log:  # ends with the build
        print(name, line.time, line.message)
        lines.append(line)
    print(name, log.build.failure_reason(lines))

async with BuildsClient() as client:
    await asyncio.gather(*map(tail, names, build_uuids))
    result = await client.builds.latest(script_tags)
"""

_TEST = """\
import hashlib
import unittest


def total(prices, discount=0):
    return sum(prices) - discount


class Accounts(unittest.TestCase):
    def test_password_is_hashed(self):
        for _ in range(8):
            hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 200_000)

    def test_password_is_salted(self):
        for _ in range(8):
            hashlib.pbkdf2_hmac("sha256", b"secret", b"pepper", 200_000)


class Cart(unittest.TestCase):
    def test_discount(self):
        self.assertEqual(total([1999, 500], discount=500), 1998)

    def test_empty(self):
        self.assertEqual(total([]), 0)
"""


class _Project(NamedTuple):
    """A Worker of the demo, and the arguments of the Python process that builds it."""

    name: str
    color: str
    arguments: Sequence[str]
    in_library: bool = False


# Builds that run wherever Python does: test, document, compile to bytecode. The test fails.
_PROJECTS = (
    _Project("api", "cyan", ("-m", "unittest", "--verbose", "test_api")),
    _Project("docs", "magenta", ("-m", "pydoc", "-w", "json", "csv", "email.message", "http.client")),
    _Project("shop", "blue", ("-m", "compileall", "-f", "json", "http", "logging"), in_library=True),
)


async def run_demo(console: Console, workers: int) -> None:
    """Demonstrate the library on a simulator in this process."""
    # The folder is removed last, after the simulator has stopped the processes that write there.
    with tempfile.TemporaryDirectory() as folder:
        async with BuildsSimulator() as sim, sim.client() as client:
            console.rule(Text("Three Workers build, in an embedded Workers Builds", "bold"))
            builds = await _start(sim, Path(folder))
            console.print(_outcomes(await _tail_all(console, client, builds)))
            console.rule(Text(f"The latest build of {workers} Workers", "bold"))
            console.print(_summary(await _look_up(console, client, _add_workers(sim, workers))))
    console.rule(Text("The code behind this", "bold"))
    console.print(Syntax(CODE, "python", background_color="default", word_wrap=True))


async def _start(sim: BuildsSimulator, folder: Path) -> list[SimulatedBuild]:
    (folder / "test_api.py").write_text(_TEST, encoding="utf-8")
    library, python = sysconfig.get_path("stdlib"), Path(sys.executable)
    path = os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)])
    env = {"PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONPYCACHEPREFIX": str(folder / "cache")}
    return [
        await sim.run_build(
            (python.name, *project.arguments),
            cwd=library if project.in_library else folder,
            env=env,
            external_script_id=sim.add_worker(project.name),
        )
        for project in _PROJECTS
    ]


async def _tail_all(
    console: Console, client: BuildsClient, builds: Sequence[SimulatedBuild]
) -> list[tuple[Build, str | None]]:
    """Print the logs of all builds as they grow; return each build and the reason if it failed."""

    async def tail(project: _Project, build: SimulatedBuild) -> tuple[Build, str | None]:
        log = client.follow(build.build_uuid, poll_interval=0.2)
        lines = []
        async for line in log:
            console.print(_line(project, line), overflow="ellipsis", no_wrap=True)
            lines.append(line)
        return log.build, log.build.failure_reason(lines)

    return await asyncio.gather(*map(tail, _PROJECTS, builds))


def _line(project: _Project, line: LogLine) -> Text:
    prefix = (f"{project.name:4} ", project.color)
    return Text.assemble(prefix, (f"{line.time:%H:%M:%S} ", "dim"), visible_text(render(line.message)))


def _outcomes(ended: Sequence[tuple[Build, str | None]]) -> Table:
    table = Table("Worker", "Outcome", "Reason")
    for project, (build, reason) in zip(_PROJECTS, ended, strict=True):
        table.add_row(Text(project.name, project.color), state_cell(build.state), visible_text(reason or ""))
    return table


def _add_workers(sim: BuildsSimulator, count: int) -> list[str]:
    tags = [sim.add_worker(f"worker-{number:03}") for number in range(count)]
    for number, (tag, outcome) in enumerate(zip(tags, cycle(_OUTCOMES), strict=False)):
        if number % 25 == 0:
            continue  # some Workers were never built
        if outcome is None:
            sim.add_build(build_script(1000, queued=0, initializing=0), external_script_id=tag)
        else:
            sim.add_finished_build(3, outcome, age=60.0 * number, external_script_id=tag)
    return tags


async def _look_up(console: Console, client: BuildsClient, tags: list[str]) -> list[BulkResult[Build]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results = []
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("client.builds.latest(tags)", total=len(tags))
        for start in range(0, len(tags), _BATCH):
            batch = tags[start : start + _BATCH]
            results.append(await client.builds.latest(batch))
            progress.advance(task, len(batch))
    return results


def _summary(results: list[BulkResult[Build]]) -> Table:
    states = Counter(build.state for result in results for build in result.found.values())
    states["never built"] = sum(len(result.missing) for result in results)
    table = Table("Latest build", "Workers")
    for state, count in states.most_common():
        table.add_row(state_cell(state), str(count))
    return table
