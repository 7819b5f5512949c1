"""Reads the log of a build as it is now, without waiting for more of it."""

from collections.abc import AsyncGenerator

from builds_async import BuildsClient, LogPage, LogPosition, NotFoundError
from builds_async.live.log_cursor import LogCursor, Step


async def current_log(client: BuildsClient, build_uuid: str) -> AsyncGenerator[tuple[LogPage, Step]]:
    """The pages of the log, each with its new lines. A build without a log yet has one empty page."""
    cursor = LogCursor(LogPosition())
    more = True
    while more:
        try:
            page = await client.builds.logs(build_uuid, cursor=cursor.asked)
        except NotFoundError:
            # Either the log or the build is missing. If it is the build, this request raises.
            page, step = LogPage(), cursor.not_found(await client.builds.get(build_uuid))
        else:
            step = cursor.take(page, final=True)
        more = step.more
        yield page, step
