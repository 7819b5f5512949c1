"""`builds-async show`."""

import asyncio
from datetime import UTC, datetime

from msgspec.structs import replace

from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK
from builds_async.cli.facts import BUILD_FIELDS, LOG_FIELDS
from builds_async.cli.links import page_of
from builds_async.cli.lookup import best_effort, find_build, name_of
from builds_async.cli.options import (
    CONNECTION,
    BuildName,
    Connection,
    LogFailed,
    TemplateOutput,
    TemplateText,
)
from builds_async.cli.outcome import print_around, print_build, summarize
from builds_async.cli.tables import build_details
from builds_async.cli.template import make_template
from builds_async.cli.terminal import stdout


async def show_command(
    build: BuildName,
    /,
    *,
    log_failed: LogFailed = False,
    output: TemplateOutput = "text",
    template: TemplateText = None,
    connection: Connection = CONNECTION,
) -> int:
    """Show everything about a build: its steps, the reason for a failure, and where to see it."""
    form = make_template(output, template, (*BUILD_FIELDS, *LOG_FIELDS))
    async with connect(connection) as client:
        found = await client.builds.get(await find_build(client, build))
        Cache.of(client).add_builds([found])
        preview = best_effort(client.preview_url(found))
        if output == "json" or form is not None:
            found = replace(found, preview_url=await preview)
            await print_build(client, found, log_failed=log_failed, template=form)
            return OK
        worker, log, preview_url = await asyncio.gather(
            name_of(client, found), summarize(client, found), preview
        )
    found, page = replace(found, preview_url=preview_url), page_of(client, found.build_uuid, worker)
    stdout().print(build_details(found, worker, log.reason, datetime.now(UTC), log.steps, page=page))
    if log_failed:
        print_around(log)
    return OK
