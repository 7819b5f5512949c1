"""`builds-async cancel`."""

from builds_async import BuildOutcome
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, UNSUCCESSFUL
from builds_async.cli.lookup import find_build
from builds_async.cli.options import CONNECTION, BuildName, Connection, Output
from builds_async.cli.printer import print_record
from builds_async.cli.terminal import stderr, stdout
from builds_async.cli.text import visible_text


async def cancel_command(
    build: BuildName,
    /,
    *,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Cancel a build."""
    async with connect(connection) as client:
        build_uuid = await find_build(client, build)
        ended = await client.builds.cancel(build_uuid)
    if output == "json":
        print_record(stdout(), ended)
    canceled = ended.build_outcome in {None, BuildOutcome.CANCELLED}
    if not canceled:
        stderr().write("the build had ended before it could be canceled\n")
    stderr().write(f"build {build_uuid}: {visible_text(ended.build_outcome or 'cancelled')}\n")
    return OK if canceled else UNSUCCESSFUL
