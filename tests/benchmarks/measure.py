"""CPU time by comparison: alternating slices, and the median of the ratios between neighbors.

A shared machine with a variable clock rate makes absolute times unreliable. A candidate is therefore measured
between two slices of its baseline and compared with their mean.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles


@dataclass(frozen=True, eq=False, slots=True)
class Work:
    """A unit of work: `run(n)` does it n times, and a slice is `slice_of` times."""

    name: str
    run: Callable[[int], Awaitable[object]]
    slice_of: int


@dataclass(eq=False, slots=True)
class Ratio:
    """The cost of a candidate relative to its baseline, slice by slice."""

    name: str
    ratios: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """The median ratio."""
        return median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and third quartile of the ratios."""
        if len(self.ratios) == 1:
            return self.ratios[0], self.ratios[0]
        low, _, high = quantiles(self.ratios, n=4, method="inclusive")
        return low, high

    @property
    def cost(self) -> float:
        """The median CPU seconds per repetition."""
        return median(self.costs)


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """A candidate and its baseline."""

    candidate: Work
    base: Work


async def compare(pairs: Sequence[Pair], *, rounds: int) -> dict[str, Ratio]:
    """Measure every pair once per round, in rotating order. The result includes the baselines."""
    works = {work.name: work for pair in pairs for work in (pair.base, pair.candidate)}
    results = {name: Ratio(name) for name in works}
    for work in works.values():
        await work.run(work.slice_of)  # warm up: connections, caches, specialized bytecode
    # Objects alive by now are excluded from garbage collection in and between the slices.
    gc.collect()
    gc.freeze()
    try:
        for turn in range(rounds):
            shift = turn % len(pairs)
            await _round([*pairs[shift:], *pairs[:shift]], results)
    finally:
        gc.unfreeze()
    return results


async def _round(pairs: Sequence[Pair], results: dict[str, Ratio]) -> None:
    last: tuple[Work, float] | None = None
    for pair in pairs:
        # The slice after one candidate is the slice before the next.
        before = last[1] if last and last[0] is pair.base else await _slice(pair.base, results)
        cost = await _slice(pair.candidate, results)
        after = await _slice(pair.base, results)
        results[pair.candidate.name].ratios.append(2 * cost / (before + after))
        last = pair.base, after


async def _slice(work: Work, results: dict[str, Ratio]) -> float:
    gc.collect()
    start = time.process_time()
    await work.run(work.slice_of)
    cost = (time.process_time() - start) / work.slice_of
    results[work.name].costs.append(cost)
    return cost


async def at_once(call: Callable[[], Awaitable[object]], workers: int, calls: int) -> None:
    """Run `calls` calls on this many workers, each calling in a loop."""

    async def work() -> None:
        for _ in range(calls // workers):
            await call()

    if workers == 1:
        await work()
    else:
        await asyncio.gather(*(work() for _ in range(workers)))
