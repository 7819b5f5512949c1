"""CPU time by comparison: alternating slices, and the median of the ratios between neighbours.

The machine may be shared and its clock rate may change, so a time says little; a candidate is measured
between two slices of its baseline and compared with the mean of the two.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles


@dataclass(frozen=True, eq=False, slots=True)
class Work:
    """Something to measure: `run(n)` does it n times; a slice is `slice_of` times."""

    name: str
    run: Callable[[int], Awaitable[object]]
    slice_of: int


@dataclass(eq=False, slots=True)
class Ratio:
    """What a candidate costs beside its baseline, slice by slice."""

    name: str
    ratios: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """The median ratio."""
        return median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between which the middle half of the ratios lies."""
        if len(self.ratios) == 1:
            return self.ratios[0], self.ratios[0]
        low, _, high = quantiles(self.ratios, n=4, method="inclusive")
        return low, high

    @property
    def cost(self) -> float:
        """The median CPU seconds of one time."""
        return median(self.costs)


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """A candidate and what it is measured against."""

    candidate: Work
    base: Work


async def compare(pairs: Sequence[Pair], *, rounds: int) -> dict[str, Ratio]:
    """Measure every pair once a round, in rotating order. The baselines are in the result, too."""
    works = {work.name: work for pair in pairs for work in (pair.base, pair.candidate)}
    results = {name: Ratio(name) for name in works}
    for work in works.values():
        await work.run(work.slice_of)  # warm up: connections, caches, specialised byte code
    # What lives by now is not collected between the slices, or scanned in them, of anybody.
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
        # The slice behind one candidate is the slice before the next.
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
    """`calls` calls by so many workers, each calling in a loop."""

    async def work() -> None:
        for _ in range(calls // workers):
            await call()

    if workers == 1:
        await work()
    else:
        await asyncio.gather(*(work() for _ in range(workers)))
