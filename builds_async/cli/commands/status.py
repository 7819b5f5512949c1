"""`builds-async status`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.live import Live

from builds_async import Build, BuildsClient, BuildsError
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK
from builds_async.cli.lookup import WorkerNames, all_workers, find_workers
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.outcome import report_failures
from builds_async.cli.printer import print_record
from builds_async.cli.tables import BuildTable, build_cells, build_line, cell
from builds_async.cli.terminal import Screen, stderr, stdout


async def status_command(
    *workers: Annotated[str, Parameter(help="Names or tags of Workers. Default: all.")],
    watch: Annotated[
        bool, Parameter(help="Run until Ctrl-C: redraw the table on a terminal, otherwise print each change.")
    ] = False,
    interval: Annotated[
        float, Parameter(help="With --watch: seconds between lookups. Default: 15.", validator=Number(gt=0))
    ] = 15.0,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Show the latest build of Workers, or of all Workers of the account."""
    out = stdout()
    async with connect(connection) as client:
        names = await (find_workers(client, workers) if workers else all_workers(client))
        if not names:
            stderr().write("this account has no Workers\n")
            return OK
        async with WorkerNames(client, wanted=any(tag == name for tag, name in names.items())) as known:
            result = None if watch else await client.builds.latest(names)
            await known.settle()
            names = {tag: known.of(tag) or name for tag, name in names.items()}
        if result is None:
            return await _watch(client, names, interval, out, output)
    if output == "json":
        for tag, name in names.items():
            print_record(out, _record(tag, name, result.found.get(tag), result.failed.get(tag)))
    else:
        out.print(_table(names, result.found, result.failed))
    return report_failures(result.failed)


async def _watch(
    client: BuildsClient, names: Mapping[str, str], interval: float, out: Screen, output: str
) -> int:
    changes = client.watch(names, interval=interval)
    if output == "json" or not out.is_tty:
        async for change in changes:
            tag = change.external_script_id
            if output == "json":
                print_record(out, _record(tag, names[tag], change.build, None))
            else:
                out.print(build_line(names[tag], change.build))
        return OK
    found: dict[str, Build] = {}

    def draw() -> BuildTable:
        return _table(names, found, changes.failures)

    # Redrawn every second, because ages grow even if nothing changes.
    with Live(console=out.console, refresh_per_second=1, get_renderable=draw, vertical_overflow="ellipsis"):
        async for change in changes:
            if _is_latest(found.get(change.external_script_id), change.build):
                found[change.external_script_id] = change.build
    return OK


def _is_latest(known: Build | None, build: Build) -> bool:
    """Whether to show the build, which may be older than the known one and still change."""
    if known is None or known.created_on is None or build.created_on is None:
        return True
    return build.created_on >= known.created_on


def _table(
    names: Mapping[str, str], found: Mapping[str, Build], failed: Mapping[str, BuildsError]
) -> BuildTable:
    table = BuildTable("Worker")
    now = datetime.now(UTC)
    for tag, name in names.items():
        if tag in failed and tag not in found:
            table.add(cell(name), cell("no response", "red"))
        else:
            table.add(cell(name), *build_cells(found.get(tag), now))
    return table


def _record(tag: str, name: str, build: Build | None, error: BuildsError | None) -> dict[str, object]:
    record: dict[str, object] = {
        "external_script_id": tag,
        "worker": None if name == tag else name,
        "build": build,
    }
    return record if error is None else {**record, "error": str(error)}
