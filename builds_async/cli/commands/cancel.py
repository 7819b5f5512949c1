"""`builds-async cancel`: end a build."""

from typing import Annotated

from cyclopts import Parameter

from builds_async import BuildOutcome
from builds_async.cli.connect import connect
from builds_async.cli.exits import NO_SUCCESS, OK
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import stderr, stdout
from builds_async.cli.records import write_record
from builds_async.cli.safe import plain
from builds_async.cli.workers import checked_build


async def cancel_command(
    build_uuid: Annotated[str, Parameter(help="The UUID of a build.")],
    /,
    *,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Cancel a build."""
    build_uuid = checked_build(build_uuid)
    async with connect(connection) as client:
        ended = await client.builds.cancel(build_uuid)
    if output == "json":
        write_record(stdout(), ended)
    cancelled = ended.build_outcome in {None, BuildOutcome.CANCELLED}
    if not cancelled:
        stderr().write("the build had ended before it could be cancelled\n")
    stderr().write(f"build {build_uuid}: {plain(ended.build_outcome or 'cancelled')}\n")
    return OK if cancelled else NO_SUCCESS
