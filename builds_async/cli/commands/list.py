"""`builds-async list`."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async import Build
from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK
from builds_async.cli.lookup import find_worker
from builds_async.cli.options import CONNECTION, Connection, Output, WorkerName
from builds_async.cli.printer import print_record
from builds_async.cli.tables import BuildTable, build_cells
from builds_async.cli.terminal import stderr, stdout


async def list_command(
    worker: WorkerName,
    /,
    *,
    limit: Annotated[
        int, Parameter(help="List at most N builds. Default: 20.", validator=Number(gte=1))
    ] = 20,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """List the builds of a Worker, newest first."""
    out = stdout()
    builds: list[Build] = []
    async with connect(connection) as client:
        tag = await find_worker(client, worker)
        async for build in client.builds.iter(tag):
            builds.append(build)
            if len(builds) == limit:
                break
        Cache.of(client).add_builds(reversed(builds))
    if output == "json":
        for build in builds:
            print_record(out, build)
        return OK
    if not builds:
        stderr().write("no builds\n")
        return OK
    now = datetime.now(UTC)
    table = BuildTable()
    for build in builds:
        table.add(*build_cells(build, now))
    out.print(table)
    return OK
