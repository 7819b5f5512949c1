"""The demo: a simulator, one real build followed live, and many Workers looked up at once."""

import sys
import sysconfig
import tempfile
from collections import Counter
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from builds_async import Build, BuildOutcome, BuildsClient, BuildStatus, BulkResult
from builds_async.cli.render import render
from builds_async.cli.text import plain
from builds_async.simulator import BuildsSimulator, build_script

WORKERS = 500

_BATCH = 100  # what the progress bar shows as one step
_PACKAGES = ("asyncio", "email", "http", "json", "logging", "multiprocessing", "unittest", "xml")
_OPTIMIZED = ("-o0", "-o1", "-o2")  # three times the work for the same lines
_OUTCOMES = (*[BuildOutcome.SUCCESS] * 7, BuildOutcome.FAIL, BuildOutcome.CANCELLED, None)
_STYLES = {"success": "green", "fail": "bold red", "cancelled": "yellow", "running": "cyan"}
_CODE = """\
async with BuildsClient() as client:
    async for line in client.follow(build_uuid): print(line.time, line.message)
    result = await client.builds.latest(script_tags)
"""


async def run_demo(console: Console, workers: int) -> None:
    """Show what the library does, on a simulator in this process."""
    # Outside of the simulator, which ends the process that writes there.
    with tempfile.TemporaryDirectory() as cache:
        async with (
            BuildsSimulator() as sim,
            BuildsClient(account_id=sim.account_id, api_token=sim.api_token, base_url=sim.url) as client,
        ):
            console.rule(Text("A real build, in an embedded Workers Builds", "bold"))
            console.print(f"Simulator at {sim.url}", highlight=False)
            await _follow(console, sim, client, cache)
            console.rule(Text(f"The latest build of {workers} Workers", "bold"))
            result = await _look_up(console, client, _add_workers(sim, workers))
            console.print(_summary(result))
    console.rule(Text("What did it", "bold"))
    console.print(Syntax(_CODE, "python", background_color="default"))


async def _follow(console: Console, sim: BuildsSimulator, client: BuildsClient, cache: str) -> None:
    """Follow a build that any machine with Python can do: byte-compile a part of the standard library."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = [name for name in _PACKAGES if (library / name).is_dir()]
    command = [sys.executable, "-u", "-m", "compileall", "-f", *_OPTIMIZED, *packages]
    build = await sim.run_build(command, cwd=library, env={"PYTHONPYCACHEPREFIX": cache})
    log = client.follow(build.build_uuid, poll_interval=0.2)
    count = 0
    async for line in log:
        count += 1
        text = Text.assemble((f"{line.time:%H:%M:%S.%f}"[:-3], "dim"), " ", plain(render(line.message)))
        console.print(text, overflow="ellipsis", no_wrap=True)
    outcome = log.build.build_outcome or "unknown"
    console.print(f"The log ended by itself after {count} lines:", Text(outcome, _STYLES.get(outcome, "")))


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
    states = Counter(_state(build) for result in results for build in result.found.values())
    states["never built"] = sum(len(result.missing) for result in results)
    table = Table("Latest build", "Workers")
    for state, count in states.most_common():
        table.add_row(Text(state, _STYLES.get(state, "dim")), str(count))
    return table


def _state(build: Build) -> str:
    if build.status == BuildStatus.STOPPED:
        return str(build.build_outcome)
    return str(build.status)
