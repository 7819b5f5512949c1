"""`builds-async retry`."""

from builds_async.cli.connect import connect
from builds_async.cli.lookup import find_build
from builds_async.cli.options import CONNECTION, BuildName, Connection, Output
from builds_async.cli.starting import Follow, Wait, check_follow_or_wait, names_for_started, report_started


async def retry_command(
    build: BuildName,
    /,
    *,
    follow: Follow = False,
    wait: Wait = False,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Build the commit of a build again."""
    check_follow_or_wait(follow=follow, wait=wait)
    async with connect(connection) as client:
        build_uuid = await find_build(client, build)
        async with names_for_started(client, output, follow=follow) as names:
            started = await client.builds.retry(build_uuid)
            return await report_started(client, started, names, output, follow=follow, wait=wait)
