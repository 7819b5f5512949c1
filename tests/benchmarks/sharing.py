"""`client.builds.get` with a `SharedBudget` against a `RateBudget`, and the work of the engine."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from statistics import median

from builds_async import Budget, BuildsClient
from builds_async.fleet import SharedBudget
from builds_async.fleet.group import Beat, Standing
from builds_async.fleet.keys import key
from builds_async.fleet.redis import RedisEngine
from builds_async.fleet.redis_group import RedisGroup
from tests.benchmarks.answers import ACCOUNT, TOKEN, build, ids, response
from tests.benchmarks.getting import target, unlimited
from tests.benchmarks.measure import Pair, Work, at_once, compare
from tests.benchmarks.server import serving
from tests.benchmarks.table import RATIO_HEAD, VALUE_HEAD, Target, ratio_row, show, value_row
from tests.support.engines import EngineServer, own_server

SHARED = "SharedBudget"
WORKERS = 5
RATIO = Target(1.06, 1.15)
TRIPS = Target(0.05, unit=" per call")
SCRIPT = Target(200, unit=" us")
[BUILD] = ids(1, "build")
MEMBER_HAS = 100


async def run(*, quick: bool) -> None:
    """Measure and print."""
    with serving({target(BUILD): response(build(BUILD), ratelimit=False)}) as origin, own_server() as engine:
        # An engine with a past has no grace period.
        engine.command("SET", key("budget", "default", "born"), "1")
        rounds = 5 if quick else 40
        async with AsyncExitStack() as stack:
            shared = await stack.enter_async_context(SharedBudget(engine.url, limit=10**9))
            other = await stack.enter_async_context(_client(origin, shared))
            base = await stack.enter_async_context(unlimited(origin))
            again = await stack.enter_async_context(unlimited(origin))
            calls = 0

            async def get_shared() -> None:
                nonlocal calls
                calls += 1
                await other.builds.get(BUILD)

            get, get_again = partial(base.builds.get, BUILD), partial(again.builds.get, BUILD)
            plain = Work("RateBudget", partial(at_once, get, WORKERS), 500)
            pairs = [
                Pair(Work("RateBudget again (A/A)", partial(at_once, get_again, WORKERS), 500), plain),
                Pair(Work(SHARED, partial(at_once, get_shared, WORKERS), 500), plain),
            ]
            before = _scripts(engine)
            results = await compare(pairs, rounds=rounds)
            after = _scripts(engine)
    rows = [ratio_row(it, RATIO if it.name == SHARED else None) for it in results.values()]
    show(f"builds.get with a shared budget, {WORKERS} at once", RATIO_HEAD, rows)
    runs, micros = (late - early for late, early in zip(after, before, strict=True))
    show(
        "the engine of a shared budget",
        VALUE_HEAD,
        [
            (
                "round trips of the engine",
                f"{runs / calls:.3f} per call",
                *TRIPS.cells(runs / calls)[::2],
            ),
            value_row("the script on the server", micros / runs, SCRIPT),
        ],
    )
    show(
        f"the scripts of a fleet on the server, a member with {MEMBER_HAS} Workers",
        VALUE_HEAD,
        [
            value_row(name, micros, SCRIPT) if is_frequent else (name, f"{micros:.1f} us", "", "")
            async for name, micros, is_frequent in _beats(slices=5 if quick else 50)
        ],
        "The median of slices. A beat lists Workers only after a change.",
    )


def _client(origin: str, budget: Budget) -> BuildsClient:
    return BuildsClient(
        account_id=ACCOUNT,
        api_token=TOKEN,
        base_url=f"{origin}/client/v4",
        budget=budget,
        max_in_flight=50,
    )


def _scripts(engine: EngineServer) -> tuple[int, int]:
    """The number of scripts that the engine has run, and their total microseconds."""
    found = re.findall(r"cmdstat_eval(?:sha)?:calls=(\d+),usec=(\d+)", engine.bulk("INFO", "commandstats"))
    return sum(int(calls) for calls, _ in found), sum(int(micros) for _, micros in found)


async def _beats(*, slices: int) -> AsyncIterator[tuple[str, float, bool]]:
    """The microseconds of each script of a group, and whether it runs all the time."""
    with own_server() as engine:
        async with _group(engine) as group:
            workers = ids(MEMBER_HAS, "worker")
            held = dict[str, int]()
            version = seq = 0

            async def beat(*, says_all: bool) -> None:
                nonlocal version
                answer = await group.beat(
                    Beat(
                        member="1#abcdef01",
                        lease=900,
                        digest="d" * 16,
                        most=MEMBER_HAS,
                        follows=dict(held) if says_all else None,
                        version=0 if says_all else version,
                        workers=None if held else workers,
                    )
                )
                assert isinstance(answer, Standing)
                held.update(answer.taken)
                version = answer.version

            async def commit() -> None:
                nonlocal seq
                seq += 1
                assert await group.save(workers[0], held[workers[0]], seq, "{}")

            await beat(says_all=True)
            calls: list[tuple[str, Callable[[], Awaitable[None]], bool]] = [
                ("a beat", partial(beat, says_all=False), True),
                ("a commit", commit, True),
                ("a beat that lists what it has", partial(beat, says_all=True), False),
            ]
            for name, call, is_frequent in calls:
                yield name, median([await _micros(engine, call) for _ in range(slices)]), is_frequent


async def _micros(engine: EngineServer, call: Callable[[], Awaitable[None]], times: int = 20) -> float:
    runs, micros = _scripts(engine)
    for _ in range(times):
        await call()
    runs_after, micros_after = _scripts(engine)
    return (micros_after - micros) / (runs_after - runs)


@asynccontextmanager
async def _group(engine: EngineServer) -> AsyncIterator[RedisGroup]:
    group = RedisGroup(RedisEngine(engine.url), "g")
    yield group
    await group.aclose()
