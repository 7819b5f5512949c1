"""`builds-async tail`."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from builds_async.cli.connect import connect, shared_url
from builds_async.cli.executing import Commands
from builds_async.cli.exits import CommandError
from builds_async.cli.follow import follow_build, follow_group, follow_workers
from builds_async.cli.lookup import find_printed_build
from builds_async.cli.options import (
    CONNECTION,
    EXEC_OPTIONS,
    LINE_OPTIONS,
    Connection,
    ExecOptions,
    LineOptions,
)
from builds_async.session.ids import is_uuid


async def tail_command(
    *what: Annotated[
        str,
        Parameter(
            help="Workers by name, tag or pattern such as 'shop-*', or one build by its UUID or first 8"
            " digits. Default: all Workers of the account."
        ),
    ],
    resume: Annotated[
        str | None,
        Parameter(
            help="Save the position of the output in this file, and resume there: after a restart no line is"
            " missing, and none is repeated unless the process was killed while it printed. Each Worker has"
            " its own position: a new Worker starts at its running builds, and the position of an omitted"
            " Worker is kept. --tail has an effect only while the file is missing or empty. Two tails can't"
            " share a file."
        ),
    ] = None,
    group: Annotated[
        str | None,
        Parameter(
            help="Divide the Workers among all tails with this group over the engine of --shared. Each line"
            " is printed by one tail, and all tails share one position. A tail that ends hands over its"
            " Workers. A killed tail is replaced after 15 s, and its last lines may be repeated."
        ),
    ] = None,
    lines: LineOptions = LINE_OPTIONS,
    commands: ExecOptions = EXEC_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Follow the logs of Workers, or of one build until it has finished."""
    has_build = any(map(is_uuid, what))
    if has_build and len(what) > 1:
        raise CommandError("tail takes one build, or Workers by name or tag")
    if group is not None:
        is_alone = resume is None and not has_build
        return await _in_group(what, group, lines, commands, connection, is_alone=is_alone)
    async with connect(connection) as client:
        runner = Commands.of(client, commands)
        build = await find_printed_build(client, what[0]) if len(what) == 1 else None
        if build is not None:
            return await follow_build(client, build, lines, resume=resume, commands=runner)
        return await follow_workers(client, what, lines, resume=resume, commands=runner)


async def _in_group(
    words: Sequence[str],
    group: str,
    lines: LineOptions,
    commands: ExecOptions,
    connection: Connection,
    *,
    is_alone: bool,
) -> int:
    if not is_alone:
        raise CommandError(
            "--group is for Workers, and keeps their positions itself: use it without --resume"
        )
    url = shared_url(connection)
    if url is None:
        raise CommandError("--group needs --shared, the URL of a Redis or Valkey, or BUILDS_ASYNC_SHARED")
    async with connect(connection) as client:
        runner = Commands.of(client, commands)
        return await follow_group(client, words, lines, engine=url, group=group, commands=runner)
