"""`builds-async logs`."""

from typing import Annotated

from cyclopts import Parameter

from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, UNAVAILABLE
from builds_async.cli.follow import follow_build
from builds_async.cli.lookup import WorkerNames, find_build
from builds_async.cli.options import CONNECTION, LINE_OPTIONS, BuildName, Connection, LineOptions
from builds_async.cli.outcome import INCOMPLETE
from builds_async.cli.printer import make_line_printer, source_of
from builds_async.cli.terminal import Spinner, stderr, stdout


async def logs_command(
    build: BuildName,
    /,
    *,
    follow: Annotated[
        bool,
        Parameter(
            name=("--follow", "-f"),
            negative="",
            help="Go on until the build has finished, as `tail BUILD` does; the exit code shows the outcome.",
        ),
    ] = False,
    lines: LineOptions = LINE_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Print the current log of a build."""
    out = stdout()
    printer = make_line_printer(lines, out)
    # Text and raw name no Worker, and save the request.
    async with (
        connect(connection) as client,
        WorkerNames(client, wanted=lines.names_worker and not follow) as names,
    ):
        build_uuid = await find_build(client, build)
        if follow:
            return await follow_build(client, build_uuid, lines)
        log = client.follow(build_uuid, tail=lines.tail, wait=False)
        with Spinner(stderr(), "fetching the log"):
            page = await log.read()
        await names.settle()
        count = 0
        # On a terminal the lines themselves show the progress.
        with Spinner(stderr(), "fetching the log", shown=not out.is_tty) as spinner:
            while page:
                source = source_of(log.build)
                source = source._replace(worker=names.of(source.external_script_id))
                printer.print((source, line) for line in page)
                count += len(page)
                spinner.update(f"{count} lines fetched")
                page = await log.read()
    if log.complete:
        return OK
    stderr().write(f"{INCOMPLETE}\n")
    return UNAVAILABLE
