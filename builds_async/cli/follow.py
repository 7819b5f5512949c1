"""Follows logs for the commands: of one build until it has finished, or of Workers until a stop signal."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress

from builds_async import (
    BuildsClient,
    LeaseLostError,
    LogLine,
    LogPosition,
    TailBatch,
    TailBatches,
    TailLine,
    TailPosition,
)
from builds_async.cli.batches import BatchPrinter, BuildBatches, WorkerBatches
from builds_async.cli.exits import OK, usage_errors
from builds_async.cli.lookup import WorkerNames, find_workers
from builds_async.cli.options import LineOptions
from builds_async.cli.outcome import RECENT, find_reason, reason_in, report_end
from builds_async.cli.printer import LinePrinter, Source, make_line_printer, source_of
from builds_async.cli.resume import Checkpoint, resume_file
from builds_async.cli.running import shielded
from builds_async.cli.terminal import stderr, stdout
from builds_async.cli.text import visible_text


async def follow_build(
    client: BuildsClient, build_uuid: str, options: LineOptions, *, resume: str | None = None
) -> int:
    """Print the log of a build until it has finished; return the exit code for its outcome."""
    printer = make_line_printer(options, stdout())
    file = None if resume is None else resume_file(resume, LogPosition, build_uuid=build_uuid)
    start = None if file is None else file.load()
    tail = options.tail if start is None else None
    with usage_errors("--resume"):
        log = client.follow(build_uuid, start=start, tail=tail)
    recent: deque[LogLine] = deque(maxlen=RECENT)

    def write(lines: Sequence[LogLine], wrote: Callable[[int], None]) -> None:
        recent.extend(lines)
        source = source_of(log.build)
        source = source._replace(worker=names.of(source.external_script_id))
        printer.print(((source, line) for line in lines), wrote)

    async with WorkerNames(client, wanted=options.output == "json") as names:
        batches = BuildBatches(log, names, tail=tail is not None)
        await BatchPrinter(batches, write, Checkpoint(file, start)).run()
    # The printed lines suffice if they are the whole log, or at least the last RECENT lines.
    seen = len(recent) == RECENT or (start is None and tail is None)
    reason = reason_in(log.build, recent) if seen and log.complete else await find_reason(client, log.build)
    return report_end(log.build, reason, complete=log.complete)


async def follow_workers(
    client: BuildsClient, words: Sequence[str], options: LineOptions, *, resume: str | None = None
) -> int:
    """Print the logs of all running and future builds of Workers, merged, until a stop signal."""
    file = None if resume is None else resume_file(resume, TailPosition)
    start = None if file is None else file.load()
    names = await find_workers(client, words)
    if file is not None:
        file.follow(names)
    async with WorkerNames(client, wanted=any(tag == name for tag, name in names.items())) as known:
        await known.settle()

        def name_of(tag: str) -> str:
            return known.of(tag) or names[tag]

        printer = make_line_printer(options, stdout(), map(name_of, names))

        def write(lines: Sequence[TailLine], wrote: Callable[[int], None]) -> None:
            printer.print(((_source(line, name_of), line.line) for line in lines), wrote)

        if stderr().is_tty:
            stderr().write(
                f"following {', '.join(visible_text(name_of(tag)) for tag in names)} until Ctrl-C\n"
            )
        with usage_errors("--resume"):
            tail = client.tail(names, start=start, tail=options.tail if start is None else None)
        async with tail, aclosing(WorkerBatches(tail)) as batches:
            await BatchPrinter(batches, write, Checkpoint(file, start)).run()
    return OK


async def follow_group(
    client: BuildsClient, words: Sequence[str], options: LineOptions, *, engine: str, group: str
) -> int:
    """Print the part of the Workers that this member of a group has, until a stop signal."""
    from builds_async.fleet import Fleet  # noqa: PLC0415  # an extra

    with usage_errors("--group"):
        fleet = Fleet(engine, group=group)
    names = await find_workers(client, words)
    async with WorkerNames(client, wanted=any(tag == name for tag, name in names.items())) as known:
        await known.settle()

        def name_of(tag: str) -> str:
            return known.of(tag) or names[tag]

        printer = make_line_printer(options, stdout(), map(name_of, names))
        async with fleet, client.tail(names, fleet=fleet, tail=options.tail) as batches:
            await _print_batches(batches, printer, name_of)
    return OK


async def _print_batches(batches: TailBatches, printer: LinePrinter, name_of: Callable[[str], str]) -> None:
    """Print each batch whole, then commit it, also when a stop signal comes in between."""
    printed: TailBatch | None = None
    try:
        async for batch in batches:
            with shielded():
                printer.print(((_source(line, name_of), line.line) for line in batch.lines), lambda _: None)
                printed = batch
            with suppress(LeaseLostError):  # another member may have printed it too; it goes on from there
                await batch.commit()
            printed = None
    finally:
        if printed is not None:
            with suppress(LeaseLostError):
                await printed.commit()


def _source(line: TailLine, name_of: Callable[[str], str]) -> Source:
    tag = line.external_script_id
    name = name_of(tag)
    return Source(line.build.build_uuid, tag, None if name == tag else name)
