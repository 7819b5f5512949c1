"""`builds-async logs`."""

from collections import deque
from collections.abc import AsyncIterator

from builds_async import BuildsClient, LogLine, LogPosition, NotFoundError
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, UNAVAILABLE
from builds_async.cli.lookup import WorkerNames, find_build
from builds_async.cli.options import CONNECTION, LINE_OPTIONS, BuildName, Connection, LineOptions
from builds_async.cli.outcome import INCOMPLETE
from builds_async.cli.printer import Source, make_line_printer, source_of
from builds_async.cli.terminal import Spinner, stderr, stdout
from builds_async.live.log_cursor import LogCursor, Step


async def logs_command(
    build: BuildName,
    /,
    *,
    lines: LineOptions = LINE_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Print the current log of a build."""
    out = stdout()
    printer = make_line_printer(lines, out)
    last: deque[LogLine] = deque(maxlen=lines.tail)
    count = 0
    as_json = lines.output == "json"
    async with connect(connection) as client, WorkerNames(client, wanted=as_json) as names:
        build_uuid = await find_build(client, build)
        source = Source(build_uuid)
        if as_json:  # only JSON names the Worker; text and raw save these requests
            source = source_of(await client.builds.get(build_uuid))
            await names.settle()
            source = source._replace(worker=names.of(source.external_script_id))
        shown = not out.is_tty or lines.tail is not None  # otherwise the lines themselves show the progress
        with Spinner(stderr(), "fetching the log", shown=shown) as spinner:
            async for step in _steps(client, build_uuid):
                count += len(step.lines)
                spinner.update(f"{count} lines fetched")
                if lines.tail is None:
                    printer.print((source, line) for line in step.lines)
                else:
                    last.extend(step.lines)
    printer.print((source, line) for line in last)
    if step.complete:
        return OK
    stderr().write(f"{INCOMPLETE}\n")
    return UNAVAILABLE


async def _steps(client: BuildsClient, build_uuid: str) -> AsyncIterator[Step]:
    """The current log, page by page. A build without a log yet has no lines."""
    cursor = LogCursor(LogPosition())
    more = True
    while more:
        try:
            page = await client.builds.logs(build_uuid, cursor=cursor.asked)
        except NotFoundError:
            # Either the log or the build is missing. If it is the build, this request raises.
            step = cursor.not_found(await client.builds.get(build_uuid))
        else:
            step = cursor.take(page, final=True)
        more = step.more
        yield step
