"""`builds-async show`: all that is known of a build."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from builds_async.cli.connect import connect
from builds_async.cli.facts import details
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import stdout
from builds_async.cli.outcome import reason_of
from builds_async.cli.records import write_record
from builds_async.cli.workers import checked_build, name_of


async def show_command(
    build_uuid: Annotated[str, Parameter(help="The UUID of a build.")],
    /,
    *,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Show all that is known of a build, and why it failed if it did."""
    async with connect(connection) as client:
        build = await client.builds.get(checked_build(build_uuid))
        if output == "json":
            write_record(stdout(), build)
            return 0
        worker, reason = await asyncio.gather(name_of(client, build), reason_of(client, build))
    stdout().print(details(build, worker, reason, datetime.now(UTC)))
    return 0
