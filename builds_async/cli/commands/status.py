"""`builds-async status`: the latest build of Workers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.live import Live
from rich.table import Table

from builds_async import Build, BuildsClient, BuildsError, BulkResult
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, code_of
from builds_async.cli.facts import BuildTable, row, text
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import Screen, stderr, stdout
from builds_async.cli.records import write_record
from builds_async.cli.workers import WorkerNames, all_workers, find_workers


async def status_command(
    *workers: Annotated[str, Parameter(help="Names or tags of Workers (all of the account).")],
    watch: Annotated[
        bool, Parameter(help="Go on without end: redraw on a terminal, else print each change as it comes.")
    ] = False,
    interval: Annotated[
        float, Parameter(help="With --watch: look every so many seconds (15).", validator=Number(gt=0))
    ] = 15.0,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Show the latest build of Workers, of all in the account if none is named."""
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
            write_record(out, _record(tag, name, result.found.get(tag), result.failed.get(tag)))
    else:
        out.print(_table(names, result.found, result.failed))
    return _complain(result)


async def _watch(
    client: BuildsClient, names: Mapping[str, str], interval: float, out: Screen, output: str
) -> int:
    changes = client.watch(names, interval=interval)
    if output == "json" or not out.is_tty:
        async for change in changes:
            tag = change.external_script_id
            if output == "json":
                write_record(out, _record(tag, names[tag], change.build, None))
            else:
                out.print(_line(names[tag], change.build))
        return OK
    found: dict[str, Build] = {}

    def draw() -> BuildTable:
        return _table(names, found, changes.failures)

    # Ages grow also while nothing changes.
    with Live(console=out.console, refresh_per_second=1, get_renderable=draw, vertical_overflow="ellipsis"):
        async for change in changes:
            if _is_latest(found.get(change.external_script_id), change.build):
                found[change.external_script_id] = change.build
    return OK


def _is_latest(known: Build | None, build: Build) -> bool:
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
            table.add(text(name), text("no answer", "red"))
        else:
            table.add(text(name), *row(found.get(tag), now))
    return table


def _line(name: str, build: Build) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_row(text(name), *row(build, datetime.now(UTC)))
    return table


def _record(tag: str, name: str, build: Build | None, error: BuildsError | None) -> dict[str, object]:
    record: dict[str, object] = {
        "external_script_id": tag,
        "worker": None if name == tag else name,
        "build": build,
    }
    return record if error is None else {**record, "error": str(error)}


def _complain(result: BulkResult[Build]) -> int:
    """Tell what kept Workers from being looked up, each thing once; the exit code for it."""
    messages = dict.fromkeys(str(error) for error in result.failed.values())
    for message in messages:
        stderr().write(f"builds-async: {message}\n")
    return max((code_of(error) for error in result.failed.values()), default=OK)
