"""`builds-async list`."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async import Build
from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK
from builds_async.cli.facts import BUILD_FIELDS, build_facts
from builds_async.cli.filters import NO_FILTERS, BuildFilters
from builds_async.cli.links import page_of
from builds_async.cli.lookup import find_worker
from builds_async.cli.options import CONNECTION, Connection, TemplateOutput, TemplateText, Wide, WorkerName
from builds_async.cli.printer import print_record
from builds_async.cli.tables import BUILD_COLUMNS, BuildTable, build_cells, uuid_cell
from builds_async.cli.template import make_template
from builds_async.cli.terminal import stderr, stdout
from builds_async.session.ids import is_tag

_MAX_SEARCHED = 1000
"""How many builds are read for a filter. The API has no filters, and a request returns 50 builds."""


async def list_command(
    worker: WorkerName,
    /,
    *,
    filters: BuildFilters = NO_FILTERS,
    limit: Annotated[
        int, Parameter(help="List at most N builds. Default: 20.", validator=Number(gte=1))
    ] = 20,
    wide: Wide = False,
    output: TemplateOutput = "text",
    template: TemplateText = None,
    connection: Connection = CONNECTION,
) -> int:
    """List the builds of a Worker, newest first."""
    form = make_template(output, template, BUILD_FIELDS)
    out = stdout()
    builds: list[Build] = []
    searched = 0
    async with connect(connection) as client:
        tag = await find_worker(client, worker)
        async for build in client.builds.iter(tag):
            searched += 1
            if filters.match(build):
                builds.append(build)
            if len(builds) == limit or (filters and searched == _MAX_SEARCHED):
                break
        Cache.of(client).add_builds(reversed(builds))
    page = partial(page_of, client, worker=worker)
    if form is not None:
        name = None if is_tag(worker) else worker
        for build in builds:
            form.print(out, build_facts(build, worker=name, page=page(build.build_uuid)))
    elif output == "json":
        for build in builds:
            print_record(out, build)
    else:
        if builds:
            out.print(_table(builds, page), wide=wide)
        _explain(len(builds), searched, limit, filters)
    return OK


def _explain(found: int, searched: int, limit: int, filters: BuildFilters) -> None:
    """Say why there are no builds, or fewer than there may be."""
    if not searched:
        stderr().write("no builds\n")
    elif filters and found < limit and searched == _MAX_SEARCHED:
        stderr().write(
            f"{found} of the latest {searched:,} builds match {filters.words}: older ones were not read\n"
        )
    elif not found:
        stderr().write(f"0 of {searched} builds match {filters.words}\n")


def _table(builds: Iterable[Build], page: Callable[[str], str | None]) -> BuildTable:
    now = datetime.now(UTC)
    table = BuildTable("Build", *BUILD_COLUMNS)
    for build in builds:
        table.add(uuid_cell(build, page(build.build_uuid)), *build_cells(build, now))
    return table
