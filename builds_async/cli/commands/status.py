"""`builds-async status`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.live import Live

from builds_async import Build, BuildsClient, BuildsError, BulkResult
from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, CommandError
from builds_async.cli.live_state import LiveState, live_states
from builds_async.cli.lookup import WorkerNames, all_workers, find_workers
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.outcome import report_failures
from builds_async.cli.printer import print_record
from builds_async.cli.tables import BuildTable, build_cells, build_line, cell
from builds_async.cli.terminal import Screen, Spinner, stderr, stdout


async def status_command(
    *workers: Annotated[str, Parameter(help="Names or tags of Workers. Default: all.")],
    watch: Annotated[
        bool, Parameter(help="Run until Ctrl-C: redraw the table on a terminal, otherwise print each change.")
    ] = False,
    live: Annotated[
        bool,
        Parameter(
            help="Also show whether each build serves traffic, with its share, or why not. One or two more"
            " requests for each Worker; not with --watch."
        ),
    ] = False,
    interval: Annotated[
        float, Parameter(help="With --watch: seconds between lookups. Default: 15.", validator=Number(gt=0))
    ] = 15.0,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Show the latest build of Workers, or of all Workers of the account."""
    if live and watch:
        raise CommandError("--live shows one moment and can't be combined with --watch")
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
        states, failed = await _live(client, names, result) if live else ({}, {})
    Cache.of(client).add_builds(result.found.values())
    if output == "json":
        for tag, name in names.items():
            record = _record(tag, name, result.found.get(tag), result.failed.get(tag))
            print_record(out, record if not live else {**record, "live": states[tag].record()})
    else:
        out.print(_table(names, {**dict.fromkeys(result.missing), **result.found}, result.failed, states))
    return report_failures({**result.failed, **failed})


async def _live(
    client: BuildsClient, names: Mapping[str, str], builds: BulkResult[Build]
) -> tuple[Mapping[str, LiveState], Mapping[str, BuildsError]]:
    """Whether the latest builds serve, by tag, and the failures by name."""
    if any(tag == name for tag, name in names.items()):  # deployments go by name
        known = await all_workers(client)
        names = {tag: known.get(tag, name) for tag, name in names.items()}
    with Spinner(stderr(), "looking up deployments"):
        result = await client.live(dict.fromkeys(names.values()))
    return live_states(names, builds.found, result), result.failed


async def _watch(
    client: BuildsClient, names: Mapping[str, str], interval: float, out: Screen, output: str
) -> int:
    changes = client.watch(names, interval=interval)
    cache = Cache.of(client)
    if output == "json" or not out.is_tty:
        async for change in changes:
            cache.add_builds([change.build])
            tag = change.external_script_id
            if output == "json":
                print_record(out, _record(tag, names[tag], change.build, None))
            else:
                out.print(build_line(names[tag], change.build))
        return OK

    def draw() -> BuildTable:
        return _table(names, changes.current, changes.failures)

    # Redrawn every second, because ages grow even if nothing changes.
    with Live(console=out.console, refresh_per_second=1, get_renderable=draw, vertical_overflow="ellipsis"):
        async for change in changes:
            cache.add_builds([change.build])  # `current` has them for the table
    return OK


def _table(
    names: Mapping[str, str],
    latest: Mapping[str, Build | None],
    failed: Mapping[str, BuildsError],
    states: Mapping[str, LiveState] = MappingProxyType({}),
) -> BuildTable:
    """The table; `latest` has None for a Worker that was never built, and lacks one that is not known."""
    table = BuildTable("Worker", *(("Live",) if states else ()))
    now = datetime.now(UTC)
    for tag, name in names.items():
        live = (states[tag].cell(),) if tag in states else ()
        if tag in latest:
            cells = build_cells(latest[tag], now)
        else:
            cells = (cell("no response", "red") if tag in failed else cell("not known yet", "dim"),)
        table.add(cell(name), *live, *cells)
    return table


def _record(tag: str, name: str, build: Build | None, error: BuildsError | None) -> dict[str, object]:
    record: dict[str, object] = {
        "external_script_id": tag,
        "worker": None if name == tag else name,
        "build": build,
    }
    return record if error is None else {**record, "error": str(error)}
