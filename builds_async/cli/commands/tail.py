"""`builds-async tail`: log lines while they are written."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated

from cyclopts import Parameter

from builds_async import BuildsClient, BuildTail, LogLine, LogPosition, TailLine, TailPosition
from builds_async.cli.connect import connect
from builds_async.cli.exits import CommandError
from builds_async.cli.lines import Source, source_of
from builds_async.cli.options import CONNECTION, LINE_OPTIONS, Connection, LineOptions
from builds_async.cli.out import stderr, stdout
from builds_async.cli.outcome import RECENT, reason_in, reason_of, report_end
from builds_async.cli.resume import ResumeFile
from builds_async.cli.safe import plain
from builds_async.cli.view import view_of
from builds_async.cli.workers import find_workers, is_build_uuid, name_of

_BATCH = 1000


async def tail_command(
    *what: Annotated[str, Parameter(help="Names or tags of Workers, or the UUID of one build.")],
    resume: Annotated[
        str | None,
        Parameter(
            help="Keep in this file how far the output has come, and go on there: after a restart nothing is"
            " lost and nothing repeated. --tail counts only when the file does not exist yet. Not for two"
            " tails at once."
        ),
    ] = None,
    lines: LineOptions = LINE_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Follow the logs of Workers without end, or of one build until it has finished."""
    builds = [word for word in what if is_build_uuid(word)]
    if not what or (builds and len(what) > 1):
        raise CommandError("tail takes the UUID of one build, or Workers by name or tag")
    async with connect(connection, patient=True) as client:
        if builds:
            return await follow_build(client, builds[0].lower(), lines, resume=resume)
        return await _follow_workers(client, what, lines, resume)


async def follow_build(
    client: BuildsClient, build_uuid: str, options: LineOptions, *, resume: str | None = None
) -> int:
    """Print the log of a build until it has finished; the exit code by its outcome."""
    view = view_of(options, stdout())
    file = None if resume is None else ResumeFile(resume, LogPosition, build_uuid=build_uuid)
    start = None if file is None else file.load()
    log = client.follow(build_uuid, start=start, tail=options.tail if start is None else None)
    recent: deque[LogLine] = deque(maxlen=RECENT)
    source: Source | None = None
    while batch := await log.read():
        if source is None:  # JSON tells more of where a line comes from
            worker = await name_of(client, log.build) if options.output == "json" else None
            source = source_of(log.build, worker)
        view.write((source, line) for line in batch)
        if file is not None:
            file.save(log.position)
        recent.extend(batch)
    if file is not None:
        file.save(log.position)
    reason = reason_in(log.build, recent) if recent else await reason_of(client, log.build)
    return report_end(stderr(), log.build, reason, complete=log.complete)


async def _follow_workers(
    client: BuildsClient, words: tuple[str, ...], options: LineOptions, resume: str | None
) -> int:
    names = await find_workers(client, words)
    view = view_of(options, stdout(), names.values())
    file = None if resume is None else ResumeFile(resume, TailPosition, workers=names)
    start = None if file is None else file.load()
    if stderr().is_tty:
        stderr().write(f"following {', '.join(map(plain, names.values()))} until Ctrl-C\n")
    lines = client.tail(names, start=start, tail=options.tail if start is None else None)
    async with lines, aclosing(_batches(lines)) as batches:
        async for batch in batches:
            view.write((_source(line, names), line.line) for line in batch)
            if file is not None:
                file.save(lines.position)
    return 0


def _source(line: TailLine, names: Mapping[str, str]) -> Source:
    tag = line.external_script_id
    return Source(line.build.build_uuid, tag, None if names[tag] == tag else names[tag])


async def _batches(tail: BuildTail) -> AsyncGenerator[list[TailLine]]:
    """The lines of the tail, together as many as are there without waiting.

    When a batch is given, no line beyond it was taken: the tail's position is the place behind it.
    """
    batch: list[TailLine] = []
    while True:
        step = asyncio.ensure_future(anext(tail))
        try:
            await asyncio.sleep(0)  # one turn for it: a line in hand comes without waiting
            if batch and not (step.done() and step.exception() is None):
                yield batch
                batch = []
            batch.append(await step)
        finally:
            await _ended(step)
        if len(batch) >= _BATCH:
            yield batch
            batch = []


async def _ended(step: asyncio.Future[TailLine]) -> None:
    if not step.done():
        step.cancel()
        await asyncio.wait((step,))
