"""`builds-async status`."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Annotated, NamedTuple

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from builds_async import Build, BuildChange, BuildsClient, BuildsError, BuildWatcher, BulkResult
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
            " Without names, new Workers join."
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
    form = _Form(
        stdout(), make_template(output, template, STATUS_FIELDS), is_json=output == "json", wide=wide
    )
    async with connect(connection) as client:
        names = await (find_workers(client, workers) if workers else all_workers(client))
        if not names:
            stderr().write("this account has no Workers\n")
            return OK
        async with WorkerNames(client, wanted=any(tag == name for tag, name in names.items())) as known:
            result = None if watch else await client.builds.latest(names)
            await known.settle()
            names = {tag: known.of(tag) or name for tag, name in names.items()}
        selection = _Selection(names, filters, partial(page_of, client), whole=wide or not form.out.is_tty)
        if result is None:
            return await _watch(client, selection, form, interval=interval, with_new=not workers)
        found = selection.at({**dict.fromkeys(result.missing), **result.found}, result.failed)
        shown = {row.tag: names[row.tag] for row in found.rows}
        states, failed = await _live(client, shown, result) if live else ({}, {})
    Cache.of(client).add_builds(row.build for row in found.rows if row.build is not None)
    if not form.is_table:
        for tag in names:
            if tag in shown:
                worker = _Worker(tag, names[tag], result.found.get(tag), result.failed.get(tag))
                form.print(selection, worker, states.get(tag))
    elif shown:
        selection.view(found, states).print(form.out, wide=wide)
    if not shown and output != "json":
        stderr().write(f"{found.summary} match {filters.words}\n")
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
    selection: "_Selection",
    form: "_Form",
    *,
    interval: float,
    with_new: bool,
) -> int:
    """Show each change until a stop signal; `with_new` includes those of new Workers."""
    watcher = client.watch(None if with_new else selection.names, interval=interval)
    async with WorkerNames(client, wanted=with_new, names=selection.names) as known:
        watched = _WatchedBuilds(selection, watcher, known, Cache.of(client))
        if form.is_table and form.out.can_redraw:
            every = format_duration(interval) if interval >= 1 else f"{interval:g}s"
            hint = f"every {every}, until Ctrl-C"
            await draw_changes(watched.changes(), watched.view, form.out, wide=form.wide, hint=hint)
            return OK
        async for change in watched.changes():
            watched.remember()
            tag = change.external_script_id
            name = watched.name_of(tag)
            if form.is_table:
                form.out.print(build_line(name, change.build, datetime.now(UTC)), wide=True)
            else:
                form.print(selection, _Worker(tag, name, change.build))
    return OK


class _WatchedBuilds:
    """The present state of watched Workers, and its changes."""

    def __init__(
        self, selection: "_Selection", watcher: BuildWatcher, known: WorkerNames, cache: Cache
    ) -> None:
        self._selection = selection
        self._watcher = watcher
        self._known = known
        self._cache = cache
        self._printed: list[Build] = []

    def name_of(self, tag: str) -> str:
        """The name of a Worker; its tag if it is new and its name not known yet."""
        return self._selection.names.get(tag) or self._known.of(tag) or tag

    async def changes(self) -> AsyncIterator[BuildChange]:
        """The changes that pass the filters."""
        async for change in self._watcher:
            if self._selection.filters.match(change.build):
                self._printed.append(change.build)
                yield change

    def remember(self) -> None:
        """Remember the builds of the changes as printed."""
        self._cache.add_builds(self._printed)
        self._printed.clear()

    def view(self, most: int) -> View:
        """The table with at most `most` rows."""
        self.remember()  # once for a frame: at the beginning, the changes of all Workers come at once
        current = self._watcher.current
        names = {tag: self.name_of(tag) for tag in {**self._selection.names, **current}}
        selection = self._selection._replace(names=names)
        return selection.view(selection.at(current, self._watcher.failures), most=most)


class _Selection(NamedTuple):
    """The choice of Workers, named by tag, and how builds are shown."""

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
        """The table of these Workers with at most `most` rows; `states` adds the column `Live`."""
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


class _Worker(NamedTuple):
    """A Worker with its latest build, or with the error of its lookup."""

    tag: str
    name: str
    build: Build | None
    error: BuildsError | None = None

    def record(self) -> dict[str, object]:
        """The Worker as JSON."""
        record: dict[str, object] = {
            "external_script_id": self.tag,
            "worker": None if self.name == self.tag else self.name,
            "build": self.build,
        }
        return record if self.error is None else {**record, "error": str(self.error)}

    def facts(self, page: str | None) -> Mapping[str, str]:
        """The fields of a template. Without a response, the outcome is `no response`."""
        name = None if self.name == self.tag else self.name
        facts = build_facts(self.build, worker=name, tag=self.tag, page=page)
        return facts if self.error is None else {**facts, "outcome": "no response", "error": str(self.error)}


class _Form(NamedTuple):
    """The form of the output: a table, JSON, or lines by a template."""

    out: Screen
    template: Template | None
    is_json: bool
    wide: bool

    @property
    def is_table(self) -> bool:
        """Whether it is for people."""
        return self.template is None and not self.is_json

    def print(self, selection: _Selection, worker: _Worker, state: LiveState | None = None) -> None:
        """Print one Worker as JSON or by the template."""
        if self.template is not None:
            build = worker.build
            page = None if build is None else selection.page(build.build_uuid, worker.name)
            self.template.print(self.out, worker.facts(page))
        else:
            record = worker.record()
            print_record(self.out, record if state is None else {**record, "live": state.record()})
