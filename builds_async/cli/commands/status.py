"""`builds-async status`."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Annotated, NamedTuple

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from builds_async import Build, BuildChange, BuildsClient, BuildsError, BulkResult
from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, CommandError
from builds_async.cli.facts import STATUS_FIELDS, build_facts
from builds_async.cli.filters import NO_FILTERS, BuildFilters
from builds_async.cli.links import page_of
from builds_async.cli.live_state import LiveState, live_states
from builds_async.cli.lookup import WorkerNames, all_workers, find_workers
from builds_async.cli.options import CONNECTION, Connection, TemplateOutput, TemplateText, Wide
from builds_async.cli.outcome import report_failures
from builds_async.cli.overview import Overview, Row, Standing, overview
from builds_async.cli.printer import print_record
from builds_async.cli.tables import BUILD_COLUMNS, BuildTable, build_cells, build_line, cell, uuid_cell
from builds_async.cli.template import Template, make_template
from builds_async.cli.terminal import Screen, Spinner, stderr, stdout
from builds_async.cli.times import format_duration
from builds_async.cli.watching import View, draw_changes


async def status_command(
    *workers: Annotated[str, Parameter(help="Names or tags of Workers. Default: all.")],
    filters: BuildFilters = NO_FILTERS,
    watch: Annotated[
        bool,
        Parameter(
            help="Run until Ctrl-C: redraw the table on a terminal, otherwise print a line for each change."
        ),
    ] = False,
    live: Annotated[
        bool,
        Parameter(
            help="Also show whether each build serves traffic, with its share, or why not. One or two more"
            " requests for each Worker; not with --watch."
        ),
    ] = False,
    interval: Annotated[
        float, Parameter(help="With --watch: seconds between lookups. Default: 15.", validator=Number(gt=0))
    ] = 15.0,
    wide: Wide = False,
    output: TemplateOutput = "text",
    template: TemplateText = None,
    connection: Connection = CONNECTION,
) -> int:
    """Show the latest build of Workers, or of all Workers of the account."""
    if live and watch:
        raise CommandError("--live shows one moment and can't be combined with --watch")
    out, form = stdout(), make_template(output, template, STATUS_FIELDS)
    async with connect(connection) as client:
        names = await (find_workers(client, workers) if workers else all_workers(client))
        if not names:
            stderr().write("this account has no Workers\n")
            return OK
        async with WorkerNames(client, wanted=any(tag == name for tag, name in names.items())) as known:
            result = None if watch else await client.builds.latest(names)
            await known.settle()
            names = {tag: known.of(tag) or name for tag, name in names.items()}
        look = _Look(names, filters, partial(page_of, client), whole=wide or not out.is_tty)
        if result is None:
            return await _watch(client, look, interval, out, output, form=form, wide=wide)
        found = look.at({**dict.fromkeys(result.missing), **result.found}, result.failed)
        shown = {row.tag: names[row.tag] for row in found.rows}
        states, failed = await _live(client, shown, result) if live else ({}, {})
    Cache.of(client).add_builds(row.build for row in found.rows if row.build is not None)
    for tag in (tag for tag in names if tag in shown):
        worker = (tag, names[tag], result.found.get(tag), result.failed.get(tag))
        if form is not None:
            form.print(out, _facts(look, *worker))
        elif output == "json":
            record = _record(*worker)
            print_record(out, record if not live else {**record, "live": states[tag].record()})
    if not shown and output != "json":
        stderr().write(f"{found.summary} match {filters.words}\n")
    elif output == "text" and form is None:
        look.view(found, states).print(out, wide=wide)
    return report_failures({**result.failed, **failed})


async def _live(
    client: BuildsClient, names: Mapping[str, str], builds: BulkResult[Build]
) -> tuple[Mapping[str, LiveState], Mapping[str, BuildsError]]:
    """Whether the latest builds serve, by tag, and the failures by name."""
    if any(tag == name for tag, name in names.items()):  # deployments go by name
        known = await all_workers(client)
        names = {tag: known.get(tag, name) for tag, name in names.items()}
    with Spinner(stderr(), "looking up deployments"):
        result = await client.live(dict.fromkeys(names.values()))
    return live_states(names, builds.found, result), result.failed


async def _watch(
    client: BuildsClient,
    look: "_Look",
    interval: float,
    out: Screen,
    output: str,
    *,
    form: Template | None,
    wide: bool,
) -> int:
    watcher = client.watch(look.names, interval=interval)
    cache, printed = Cache.of(client), list[Build]()

    async def noted() -> AsyncIterator[BuildChange]:
        async for change in watcher:
            if look.filters.match(change.build):
                printed.append(change.build)
            yield change

    def view(most: int | None) -> View:
        # Once for a frame: at the beginning, the changes of all Workers come at once.
        cache.add_builds(printed)
        printed.clear()
        return look.view(look.at(watcher.current, watcher.failures), most=most)

    if output == "text" and form is None and out.can_redraw:
        every = format_duration(interval) if interval >= 1 else f"{interval:g}s"
        await draw_changes(noted(), view, out, wide=wide, hint=f"every {every}, until Ctrl-C")
        return OK
    async for change in watcher:
        if not look.filters.match(change.build):
            continue
        cache.add_builds([change.build])
        tag = change.external_script_id
        if form is not None:
            form.print(out, _facts(look, tag, look.names[tag], change.build, None))
        elif output == "json":
            print_record(out, _record(tag, look.names[tag], change.build, None))
        else:
            out.print(build_line(look.names[tag], change.build, datetime.now(UTC)), wide=True)
    return OK


class _Look(NamedTuple):
    """What the command shows of Workers, named by tag."""

    names: Mapping[str, str]
    filters: BuildFilters
    page: Callable[[str, str], str | None]
    """The address of a build's page, by its UUID and the name of its Worker."""
    whole: bool
    """Whether UUIDs are shown whole."""

    def at(self, latest: Mapping[str, Build | None], failed: Mapping[str, BuildsError]) -> Overview:
        """The Workers to show; see `overview`."""
        return overview(self.names, latest, failed, self.filters)

    def view(
        self,
        found: Overview,
        states: Mapping[str, LiveState] = MappingProxyType({}),
        most: int | None = None,
    ) -> View:
        """The table of these Workers, with what is live if `states` has it, and at most so many rows."""
        rows = found.rows[:most]
        table = BuildTable("Build", "Worker", *(("Live",) if states else ()), *BUILD_COLUMNS)
        now = datetime.now(UTC)
        for row in rows:
            live = (states[row.tag].cell(),) if row.tag in states else ()
            cells = _cells(row, now)
            page = None if row.build is None else self.page(row.build.build_uuid, row.name)
            table.add(uuid_cell(row.build, page, whole=self.whole), cell(row.name), *live, *cells)
        return View(table, found.summary, len(found.rows) - len(rows))


def _cells(row: Row, now: datetime) -> tuple[Text, ...]:
    if row.build is not None:
        return build_cells(row.build, now)
    return (cell(row.standing, "red" if row.standing is Standing.NO_RESPONSE else "dim"),)


def _record(tag: str, name: str, build: Build | None, error: BuildsError | None) -> dict[str, object]:
    record: dict[str, object] = {
        "external_script_id": tag,
        "worker": None if name == tag else name,
        "build": build,
    }
    return record if error is None else {**record, "error": str(error)}


def _facts(
    look: _Look, tag: str, name: str, build: Build | None, error: BuildsError | None
) -> Mapping[str, str]:
    """The fields of a template. Without a response, the outcome is `no response`."""
    page = None if build is None else look.page(build.build_uuid, name)
    facts = build_facts(build, worker=None if name == tag else name, tag=tag, page=page)
    return facts if error is None else {**facts, "outcome": "no response", "error": str(error)}
