"""`builds-async show`."""

import asyncio
from datetime import UTC, datetime

from builds_async.cli.connect import connect
from builds_async.cli.exits import OK
from builds_async.cli.lookup import find_build, name_of
from builds_async.cli.options import CONNECTION, BuildUUID, Connection, Output
from builds_async.cli.outcome import find_reason
from builds_async.cli.printer import print_record
from builds_async.cli.tables import build_details
from builds_async.cli.terminal import stdout


async def show_command(
    build_uuid: BuildUUID,
    /,
    *,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Show everything about a build, including the reason for a failure."""
    async with connect(connection) as client:
        build = await client.builds.get(find_build(build_uuid))
        if output == "json":
            print_record(stdout(), build)
            return OK
        worker, reason = await asyncio.gather(name_of(client, build), find_reason(client, build))
    stdout().print(build_details(build, worker, reason, datetime.now(UTC)))
    return OK
