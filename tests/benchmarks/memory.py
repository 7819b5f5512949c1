"""The memory of a held line and of an idle follower."""

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable

from builds_async import BuildsClient, LogFollower, LogLine
from tests.benchmarks import hand
from tests.benchmarks.answers import build, ids, log_lines, log_target, response
from tests.benchmarks.getting import WORKERS, target, unlimited
from tests.benchmarks.server import serving
from tests.benchmarks.table import VALUE_HEAD, Target, broken, show, value_row
from tests.support import tags
from tests.support.weight import GROWTH, PER_FOLLOWER, PER_WORKER, weigh

# Bytes are the same on every machine, so these limits are kept: beyond one, the run ends with 1.
LINE = Target(220, unit=" bytes")  # a log of a million lines fits into 220 MB
FOLLOWER = Target(PER_FOLLOWER / 1024, unit=" KiB")
WORKER = Target(PER_WORKER / 1024, unit=" KiB")
GROWN = Target(GROWTH / 1024, unit=" KiB")
PER_PAGE = 1_000
SHORT, LONG = ids(2, "running")
_SHORT_PAGE = 20
_WORKERS = 200


async def run(*, quick: bool) -> list[str]:
    """Measure and print; the limits that are broken."""
    lines, followers = (10_000, 100) if quick else (100_000, 1_000)
    answers = {
        log_target(uuid, None): response(
            {"cursor": "WzAsMV0=", "truncated": False, "lines": log_lines(count)}
        )
        for uuid, count in ((SHORT, _SHORT_PAGE), (LONG, PER_PAGE))
    } | {target(uuid): response(build(uuid, running=True)) for uuid in (SHORT, LONG)}
    with serving(answers) as origin:
        async with unlimited(origin) as client:
            idle = "an idle follower whose last page had "
            values = [
                ("a held line of 60 characters", _line(lines), LINE),
                (f"{idle}{_SHORT_PAGE} lines", await _idle(client, SHORT, followers), FOLLOWER),
                (f"{idle}{PER_PAGE:,} lines", await _idle(client, LONG, followers), FOLLOWER),
                ("a follower that waits, with its task", await _waiting(client, SHORT, followers), FOLLOWER),
            ]
    values += await _long_runs(quick=quick)
    title = f"Memory, of {lines:,} lines and {followers:,} followers"
    show(title, VALUE_HEAD, [value_row(*value) for value in values])
    return [text for value in values for text in broken(*value)]


async def _long_runs(*, quick: bool) -> list[tuple[str, float, Target]]:
    """What thousands of polls leave behind, without a socket, and what a Worker takes."""
    polls, passes = (1_000, 100) if quick else (20_000, 1_000)
    before, after = await weigh(lambda client: client.follow(SHORT), sleeps=(200, 200 + polls), count=20)
    first, last = await weigh(lambda client: client.watch(tags(_WORKERS)), sleeps=(40, 40 + passes))
    return [
        (f"20 idle followers after {polls:,} polls more", (after - before) / 1024, GROWN),
        ("a watched Worker, with its latest build", first / _WORKERS / 1024, WORKER),
        (f"{_WORKERS} watched Workers after {passes:,} pauses more", (last - first) / 1024, GROWN),
    ]


def _line(count: int) -> float:
    """Bytes per line of a log held in a list."""
    pages = [
        response({"lines": log_lines(PER_PAGE, first=first)}).partition(b"\r\n\r\n")[2]
        for first in range(0, count, PER_PAGE)
    ]
    held: list[LogLine] = []
    before = _traced(start=True)
    for page in pages:
        result = hand.LOGS.decode(page).result
        assert result
        held.extend(result.lines)
    del result
    return (_traced() - before) / len(held)


async def _idle(client: BuildsClient, build_uuid: str, count: int) -> float:
    """KiB per follower that has read the available log and is kept."""

    async def read() -> LogFollower:
        log = client.follow(build_uuid)
        await log.read()
        return log

    return await _weigh(read, count)


async def _waiting(client: BuildsClient, build_uuid: str, count: int) -> float:
    """KiB per follower that waits for more, including the waiting task."""
    tasks: list[asyncio.Task[object]] = []

    async def wait() -> asyncio.Task[object]:
        log = client.follow(build_uuid, poll_interval=3600)
        await log.read()
        tasks.append(asyncio.create_task(log.read()))
        await asyncio.sleep(0)
        return tasks[-1]

    try:
        return await _weigh(wait, count)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _weigh(make: Callable[[], Awaitable[object]], count: int) -> float:
    async def some(number: int) -> list[object]:
        return [await make() for _ in range(number)]

    await asyncio.gather(*(some(1) for _ in range(WORKERS)))  # opens the connections
    before = _traced(start=True)
    held = await asyncio.gather(*(some(count // WORKERS) for _ in range(WORKERS)))
    return (_traced() - before) / sum(map(len, held)) / 1024


def _traced(*, start: bool = False) -> int:
    """Bytes allocated and still held since tracing began; the last call ends the tracing."""
    gc.collect()
    if start:
        tracemalloc.start()
    held, _ = tracemalloc.get_traced_memory()
    if not start:
        tracemalloc.stop()
    return held
