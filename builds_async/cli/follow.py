"""Follows logs for the commands: of one build until it has finished, or of Workers until a stop signal."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import datetime

from builds_async import (
    BuildsClient,
    LeaseLostError,
    LogLine,
    LogPosition,
    LogSummary,
    TailBatch,
    TailBatches,
    TailItem,
    TailLine,
    TailPosition,
)
from builds_async.cli.batches import BatchPrinter, BuildBatches, WorkerBatches
from builds_async.cli.cache import Cache
from builds_async.cli.executing import Commands, Finished
from builds_async.cli.exits import OK, usage_errors
from builds_async.cli.held import TailCommands
from builds_async.cli.links import page_of
from builds_async.cli.lookup import WorkerNames, all_workers, find_workers
from builds_async.cli.options import LineOptions
from builds_async.cli.outcome import RECENT, find_reason, reason_in, report_end, report_to_github
from builds_async.cli.printer import LinePrinter, Source, make_line_printer, source_of
from builds_async.cli.progress import Progress
from builds_async.cli.resume import Checkpoint, resume_file
from builds_async.cli.running import shielded
from builds_async.cli.story import Story
from builds_async.cli.terminal import stderr, stdout
from builds_async.cli.text import visible_text
from builds_async.cli.waiting import Waiting


async def follow_build(
    client: BuildsClient,
    build_uuid: str,
    options: LineOptions,
    *,
    resume: str | None = None,
    commands: Commands | None = None,
) -> int:
    """Print the log of a build until it has finished; return the exit code for its outcome."""
    printer = make_line_printer(options, stdout())
    file = None if resume is None else resume_file(resume, LogPosition, build_uuid=build_uuid)
    start = None if file is None else file.load()
    tail = options.tail if start is None else None
    with usage_errors("--resume"):
        log = client.follow(build_uuid, start=start, tail=tail)
    recent: deque[LogLine] = deque(maxlen=RECENT)
    progress = Progress(shown=options.output == "text")

    def write(lines: Sequence[LogLine], wrote: Callable[[int], None]) -> None:
        waiting.end()
        recent.extend(lines)
        source = source_of(log.build)
        source = source._replace(worker=names.of(source.external_script_id))
        for part in progress.parts(lines):
            printer.print([(source, line) for line in part], wrote)

    with progress:
        wanted = options.names_worker or commands is not None
        async with WorkerNames(client, wanted=wanted) as names, Waiting(log) as waiting:
            batches = BuildBatches(log, names, tail=tail is not None)
            await BatchPrinter(batches, write, Checkpoint(file, start)).run()
        # The printed lines suffice if they are the whole log, or at least the last RECENT lines.
        seen = len(recent) == RECENT or (start is None and tail is None)
        reason = (
            reason_in(log.build, recent) if seen and log.complete else await find_reason(client, log.build)
        )
        progress.end(log.build)
    code = report_end(log.build, reason, complete=log.complete)
    summary = LogSummary(reason=reason, steps=log.steps, versions=log.versions, preview_url=log.preview_url)
    await report_to_github(client, log.build, summary, options.output)
    if commands is not None:
        worker = names.of(source_of(log.build).external_script_id)
        async with commands:
            commands.add(Finished(log.build, worker, reason))
            await commands.drain()
    return code


async def follow_workers(
    client: BuildsClient,
    words: Sequence[str],
    options: LineOptions,
    *,
    resume: str | None = None,
    commands: Commands | None = None,
) -> int:
    """Print the logs of all running and future builds of Workers, merged, until a stop signal.

    Without words: of all Workers of the account, including new ones.
    """
    file = None if resume is None else resume_file(resume, TailPosition)
    start = None if file is None else file.load()
    async with _workers(client, words) as (names, name_of):
        if file is not None:
            file.follow(names)
        ends = TailCommands(commands, start)
        shown = list(map(name_of, names))
        output = _TailOutput(client, options, names=shown, name_of=name_of, start=start, ends=ends)
        if stderr().is_tty:
            listed = ", ".join(map(visible_text, shown)) if words else "all Workers"
            stderr().write(f"following {listed} until Ctrl-C\n")
        with usage_errors("--resume"):
            tail = client.tail(
                names if words else None, start=start, tail=options.tail if start is None else None
            )
        async with tail:
            await ends.print(WorkerBatches(tail), output.write, Checkpoint(file, start))
    return OK


@asynccontextmanager
async def _workers(
    client: BuildsClient, words: Sequence[str]
) -> AsyncIterator[tuple[dict[str, str], Callable[[str], str]]]:
    """The Workers that the words name, or all of the account, and a function for the name of each Worker."""
    names = await (find_workers(client, words) if words else all_workers(client))
    has_tags = any(tag == name for tag, name in names.items())
    async with WorkerNames(client, wanted=has_tags or not words, names=None if words else names) as known:
        await known.settle()
        yield names, lambda tag: known.of(tag) or names.get(tag, tag)


class _TailOutput:
    """Writes the items of a tail of Workers: its lines, the story of its builds, and their commands."""

    def __init__(
        self,
        client: BuildsClient,
        options: LineOptions,
        *,
        names: Sequence[str],
        name_of: Callable[[str], str],
        start: TailPosition | None,
        ends: TailCommands,
    ) -> None:
        self._client = client
        self._name_of = name_of
        self._printer: LinePrinter = make_line_printer(options, stdout(), names, self._page)
        self._cache = Cache.of(client)
        self._ends = ends
        self._story = Story(
            stderr(),
            lambda item: self._printer.format.prefix(_source(item, name_of), _time(item), stderr()),
            page=lambda item: self._page(_source(item, name_of)),
            known=() if start is None else start.logs,
            shown=options.output == "text",
            keep=ends.wanted,
        )

    def write(self, items: Sequence[TailItem], wrote: Callable[[int], None]) -> None:
        """Write the items in order; call `wrote` with the number of items that each write completes."""
        self._cache.add_builds(item.build for item in items)
        lines: list[tuple[Source, LogLine]] = []
        for item in items:
            source = _source(item, self._name_of)
            if self._story.has(item):  # the lines before it come first
                self._printer.print(lines, wrote)
                lines = []
            self._ends.take(item, source.worker, self._story.add(item))
            if isinstance(item, TailLine):
                lines.append((source, item.line))
            else:
                wrote(1)
        self._printer.print(lines, wrote)

    def _page(self, source: Source) -> str | None:
        return page_of(self._client, source.build_uuid, source.worker)


async def follow_group(
    client: BuildsClient,
    words: Sequence[str],
    options: LineOptions,
    *,
    engine: str,
    group: str,
    commands: Commands | None = None,
) -> int:
    """Print the part of the Workers that this member of a group has, until a stop signal.

    Without words: of all Workers of the account, including new ones.
    """
    from builds_async.fleet import Fleet  # noqa: PLC0415  # an extra

    with usage_errors("--group"):
        fleet = Fleet(engine, group=group)
    async with _workers(client, words) as (names, name_of):
        printer = make_line_printer(
            options,
            stdout(),
            map(name_of, names),
            lambda source: page_of(client, source.build_uuid, source.worker),
        )
        async with (
            fleet,
            client.tail(names if words else None, fleet=fleet, tail=options.tail) as batches,
            commands or nullcontext(),
        ):
            await _print_batches(batches, printer, name_of, commands)
    return OK


async def _print_batches(
    batches: TailBatches, printer: LinePrinter, name_of: Callable[[str], str], commands: Commands | None
) -> None:
    """Print each batch whole, then commit it, even if a stop signal arrives in between.

    A batch with ends is committed once their commands have ended.
    """
    printed: TailBatch | None = None
    try:
        async for batch in batches:
            with shielded():
                printer.print(((_source(line, name_of), line.line) for line in batch.lines), lambda _: None)
                printed = batch if commands is None or not batch.ends else None
            if commands is not None:
                for end in batch.ends:
                    commands.add(Finished(end.build, _source(end, name_of).worker))
                await commands.drain()
            with suppress(LeaseLostError):  # another member may have printed it too; it goes on from there
                await batch.commit()
            printed = None
    finally:
        if printed is not None:
            with suppress(LeaseLostError):
                await printed.commit()


def _source(item: TailItem, name_of: Callable[[str], str]) -> Source:
    tag = item.external_script_id
    name = name_of(tag)
    return Source(item.build.build_uuid, tag, None if name == tag else name)


def _time(item: TailItem) -> datetime | None:
    return item.line.time if isinstance(item, TailLine) else item.build.stopped_on
