"""`builds-async logs`: what is there of a build's log."""

from collections import deque
from collections.abc import AsyncIterator
from typing import Annotated

from cyclopts import Parameter

from builds_async import BuildsClient, LogLine, LogPage, NotFoundError
from builds_async.cli.connect import connect
from builds_async.cli.lines import Source, source_of
from builds_async.cli.options import CONNECTION, LINE_OPTIONS, Connection, LineOptions
from builds_async.cli.out import stderr, stdout
from builds_async.cli.progress import Waiting
from builds_async.cli.view import view_of
from builds_async.cli.workers import checked_build, name_of


async def logs_command(
    build_uuid: Annotated[str, Parameter(help="The UUID of a build.")],
    /,
    *,
    lines: LineOptions = LINE_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Print what is there of a build's log, and end."""
    build_uuid = checked_build(build_uuid)
    out = stdout()
    view = view_of(lines, out)
    last: deque[LogLine] = deque(maxlen=lines.tail)
    count = 0
    async with connect(connection) as client:
        source = Source(build_uuid)
        if lines.output == "json":  # which tells more of where a line comes from
            build = await client.builds.get(build_uuid)
            source = source_of(build, await name_of(client, build))
        with Waiting(stderr(), "fetching the log", shown=not out.is_tty or lines.tail is not None) as waiting:
            async for batch in _pages(client, build_uuid):
                count += len(batch)
                waiting.tell(f"{count} lines fetched")
                if lines.tail is None:
                    view.write((source, line) for line in batch)
                else:
                    last.extend(batch)
    view.write((source, line) for line in last)
    return 0


async def _pages(client: BuildsClient, build_uuid: str) -> AsyncIterator[tuple[LogLine, ...]]:
    """The pages of a log until one has nothing new. A build without a log yet has none."""
    cursor = None
    while True:
        page = await _page(client, build_uuid, cursor)
        yield page.lines
        if not (page.truncated and page.lines) or page.cursor in {None, cursor}:
            return
        cursor = page.cursor


async def _page(client: BuildsClient, build_uuid: str, cursor: str | None) -> LogPage:
    try:
        return await client.builds.logs(build_uuid, cursor=cursor)
    except NotFoundError:
        await client.builds.get(build_uuid)  # raises if it is the build that does not exist
        return LogPage()
