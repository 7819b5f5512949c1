"""`builds-async logs`: what is there of a build's log."""

from collections import deque
from collections.abc import AsyncIterator
from typing import Annotated

from cyclopts import Parameter

from builds_async import BuildsClient, LogLine, LogPosition, NotFoundError
from builds_async.cli.connect import connect
from builds_async.cli.exits import NO_ANSWER, OK
from builds_async.cli.lines import Source, source_of
from builds_async.cli.options import CONNECTION, LINE_OPTIONS, Connection, LineOptions
from builds_async.cli.out import stderr, stdout
from builds_async.cli.outcome import INCOMPLETE
from builds_async.cli.progress import Waiting
from builds_async.cli.view import view_of
from builds_async.cli.workers import WorkerNames, checked_build
from builds_async.live.log_cursor import LogCursor, Step


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
    as_json = lines.output == "json"  # which tells more of where a line comes from
    async with connect(connection) as client, WorkerNames(client, wanted=as_json) as names:
        source = Source(build_uuid)
        if as_json:
            source = source_of(await client.builds.get(build_uuid))
            await names.settle()
            source = source._replace(worker=names.of(source.external_script_id))
        with Waiting(stderr(), "fetching the log", shown=not out.is_tty or lines.tail is not None) as waiting:
            async for step in _steps(client, build_uuid):
                count += len(step.lines)
                waiting.tell(f"{count} lines fetched")
                if lines.tail is None:
                    view.write((source, line) for line in step.lines)
                else:
                    last.extend(step.lines)
    view.write((source, line) for line in last)
    if step.complete:
        return OK
    stderr().write(f"{INCOMPLETE}\n")
    return NO_ANSWER


async def _steps(client: BuildsClient, build_uuid: str) -> AsyncIterator[Step]:
    """What is there of a log, page by page. A build without a log yet has none."""
    cursor = LogCursor(LogPosition())
    more = True
    while more:
        try:
            page = await client.builds.logs(build_uuid, cursor=cursor.asked)
        except NotFoundError:
            # Raises if it is the build that does not exist.
            step = cursor.not_found(await client.builds.get(build_uuid))
        else:
            step = cursor.take(page, final=True)
        more = step.more
        yield step
