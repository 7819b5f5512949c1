"""A finished log, followed by line and by batch, against a handwritten page loop."""

from collections.abc import Awaitable, Callable

from builds_async import BuildsClient
from tests.benchmarks import hand
from tests.benchmarks.answers import build, ids, log_pages, log_target, response
from tests.benchmarks.getting import target, unlimited
from tests.benchmarks.measure import Pair, Work, compare
from tests.benchmarks.server import serving
from tests.benchmarks.table import RATIO_HEAD, Target, ratio_row, show

TARGETS = {"follow, line by line": Target(1.25, 1.5)}
LINES, PER_PAGE = 200_000, 1_000
(UUID,) = ids(1, "log")


async def run(*, quick: bool) -> None:
    """Measure and print."""
    lines = LINES // 10 if quick else LINES
    answers = {log_target(UUID, cursor): response(page) for cursor, page in log_pages(lines, PER_PAGE)}
    answers[target(UUID)] = response(build(UUID))
    with serving(answers) as origin:
        async with hand.session() as first, hand.session() as second, unlimited(origin) as client:
            base = _whole("hand-written page loop", lines, lambda: hand.count_log(first, origin, UUID))
            again = _whole("hand loop again (A/A)", lines, lambda: hand.count_log(second, origin, UUID))
            singly = _whole("follow, line by line", lines, lambda: _line_by_line(client))
            batches = _whole("follow, read() batches", lines, lambda: _batches(client))
            results = await compare(
                [Pair(again, base), Pair(singly, base), Pair(batches, base)], rounds=5 if quick else 20
            )
    show(
        f"A finished log of {lines:,} lines in pages of {PER_PAGE:,}",
        RATIO_HEAD,
        [ratio_row(result, TARGETS.get(result.name), unit="ms") for result in results.values()],
        "One call is the whole log.",
    )


def _whole(name: str, lines: int, count: Callable[[], Awaitable[tuple[int, int]]]) -> Work:
    async def work(times: int) -> None:
        for _ in range(times):
            counted, _ = await count()
            if counted != lines:
                raise RuntimeError(f"{name}: {counted} lines of {lines}")

    return Work(name, work, slice_of=1)


async def _line_by_line(client: BuildsClient) -> tuple[int, int]:
    count = total = 0
    async for line in client.follow(UUID):
        count += 1
        total += len(line.message)
    return count, total


async def _batches(client: BuildsClient) -> tuple[int, int]:
    count = total = 0
    log = client.follow(UUID)
    while lines := await log.read():
        for line in lines:
            count += 1
            total += len(line.message)
    return count, total
