"""`builds-async list`: the builds of a Worker."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async import Build
from builds_async.cli.connect import connect
from builds_async.cli.facts import BuildTable, row
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import stderr, stdout
from builds_async.cli.records import write_record
from builds_async.cli.workers import find_worker


async def list_command(
    worker: Annotated[str, Parameter(help="The name or the tag of a Worker.")],
    /,
    *,
    limit: Annotated[int, Parameter(help="At most so many builds (20).", validator=Number(gte=1))] = 20,
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
    if output == "json":
        for build in builds:
            write_record(out, build)
        return 0
    if not builds:
        stderr().write("no builds\n")
        return 0
    now = datetime.now(UTC)
    table = BuildTable()
    for build in builds:
        table.add(*row(build, now))
    out.print(table)
    return 0
