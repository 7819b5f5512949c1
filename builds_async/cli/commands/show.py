"""`builds-async show`."""

import asyncio
from datetime import UTC, datetime

from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK
from builds_async.cli.lookup import find_build, name_of
from builds_async.cli.options import CONNECTION, BuildName, Connection, Output
from builds_async.cli.outcome import find_reason
from builds_async.cli.printer import print_record
from builds_async.cli.tables import build_details
from builds_async.cli.terminal import stdout


async def show_command(
    build: BuildName,
    /,
    *,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Show everything about a build, including the reason for a failure."""
    async with connect(connection) as client:
        found = await client.builds.get(await find_build(client, build))
        Cache.of(client).add_builds([found])
        if output == "json":
            print_record(stdout(), found)
            return OK
        worker, reason = await asyncio.gather(name_of(client, found), find_reason(client, found))
    stdout().print(build_details(found, worker, reason, datetime.now(UTC)))
    return OK
