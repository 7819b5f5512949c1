"""An account at scale: an hour within its rate limit, and a thousand followers in one loop."""

import asyncio
import time

from tests.benchmarks.answers import build, ids, log_lines, log_target, response
from tests.benchmarks.getting import target, unlimited
from tests.benchmarks.server import serving
from tests.benchmarks.table import VALUE_HEAD, Target, show, value_row
from tests.support.hour import Client, Hour, follow, naive, tail

FOLLOWERS = 1_000
GATE = 1.25
CORE = Target(50, unit=" % of a core")
_RUNNING = ids(1, "running")[0]
_HEAD = ("", "mean lag", "of the best", "longest", "requests", "429", "blocked", "lines", "verdict")


async def run(*, quick: bool) -> None:
    """Measure and print."""
    rows = [
        await _hour(name, client, seconds=900 if quick else 3600)
        for name, client in (
            ("client.follow, a task each", follow),
            ("client.tail", tail),
            ("naive: each log every second", naive),
        )
    ]
    show(
        f"{'15 minutes' if quick else 'An hour'}, simulated: 50 builds followed, 1,000 Workers looked up"
        " every minute, 1,200 requests per 300 s",
        _HEAD,
        rows,
        f"The best: every poll that the lookups leave, spread evenly. Gate: {GATE}x; aim: 1.15x.",
    )
    show(
        f"{FOLLOWERS:,} followers of running builds at 1 Hz in one loop, on real sockets",
        VALUE_HEAD,
        [value_row("client CPU", await _followers(seconds=3 if quick else 10), CORE)],
        "Two requests a second each: the log, which has nothing new, and the build.",
    )


async def _hour(name: str, client: Client, *, seconds: float) -> tuple[str, ...]:
    hour = Hour(seconds=seconds)
    await hour.run(client)
    ratio = hour.mean_lag / hour.best_lag
    good = ratio <= GATE and hour.complete and not hour.statuses[429]
    return (
        name,
        f"{hour.mean_lag:.1f} s",
        f"{ratio:.2f}x",
        f"{max(hour.lags):.0f} s",
        f"{hour.statuses.total():,}",
        f"{hour.statuses[429]:,}",
        f"{len(hour.blocked) / 60:.0f} min",
        "once, in order" if hour.complete else "some lost",
        "met" if good else "not met",
    )


async def _followers(*, seconds: float) -> float:
    """Percent of a core that the followers use, once all have started."""
    page = response({"cursor": None, "truncated": False, "lines": log_lines(5)})
    answers = {log_target(_RUNNING, None): page, target(_RUNNING): response(build(_RUNNING, running=True))}
    with serving(answers) as origin:
        async with unlimited(origin) as client:

            async def one(number: int) -> None:
                await asyncio.sleep(number / FOLLOWERS)
                async for _ in client.follow(_RUNNING, poll_interval=1.0, max_poll_interval=1.0):
                    pass

            tasks = [asyncio.create_task(one(number)) for number in range(FOLLOWERS)]
            await asyncio.sleep(2)
            began, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(seconds)
            share = (time.process_time() - cpu) / (time.perf_counter() - began)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return 100 * share
