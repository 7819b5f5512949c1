"""`builds-async logs`."""

from collections import deque

from builds_async import LogLine
from builds_async.cli.connect import connect
from builds_async.cli.current_log import current_log
from builds_async.cli.exits import OK, UNAVAILABLE
from builds_async.cli.lookup import WorkerNames, find_build
from builds_async.cli.options import CONNECTION, LINE_OPTIONS, BuildName, Connection, LineOptions
from builds_async.cli.outcome import INCOMPLETE
from builds_async.cli.printer import Source, make_line_printer, source_of
from builds_async.cli.terminal import Spinner, stderr, stdout


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
    async with connect(connection) as client, WorkerNames(client, wanted=lines.names_worker) as names:
        build_uuid = await find_build(client, build)
        source = Source(build_uuid)
        if lines.names_worker:  # text and raw save these requests
            source = source_of(await client.builds.get(build_uuid))
            await names.settle()
            source = source._replace(worker=names.of(source.external_script_id))
        shown = not out.is_tty or lines.tail is not None  # otherwise the lines themselves show the progress
        with Spinner(stderr(), "fetching the log", shown=shown) as spinner:
            async for _page, step in current_log(client, build_uuid):
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
