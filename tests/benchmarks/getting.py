"""`client.builds.get`, singly and 50 at once, against the handwritten loop and the official SDK."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec

from yarl import URL

from builds_async import BuildsClient, RateBudget
from tests.benchmarks import hand
from tests.benchmarks.answers import ACCOUNT, BASE, TOKEN, build, ids, response
from tests.benchmarks.measure import Pair, Ratio, Work, at_once, compare
from tests.benchmarks.server import serving
from tests.benchmarks.table import RATIO_HEAD, Target, ratio_row, show

OURS = "builds_async"
OURS_LIMITED = "builds_async, both Ratelimit headers"
TARGETS = {OURS: Target(1.10), OURS_LIMITED: Target(1.15)}
PLAIN, LIMITED = ids(2, "build")
WORKERS = 50


def unlimited(origin: str) -> BuildsClient:
    """A client that never has to wait."""
    return BuildsClient(
        account_id=ACCOUNT,
        api_token=TOKEN,
        base_url=f"{origin}/client/v4",
        budget=RateBudget(limit=10**9),
        max_in_flight=WORKERS,
    )


async def run(*, quick: bool) -> None:
    """Measure and print."""
    answers = {
        target(PLAIN): response(build(PLAIN)),
        target(LIMITED): response(build(LIMITED), ratelimit=True),
    }
    with serving(answers) as origin:
        for workers in (1, WORKERS):
            results = await _measure(origin, workers, rounds=5 if quick else 40)
            show(
                f"builds.get, {'one by one' if workers == 1 else f'{workers} at once'}",
                RATIO_HEAD,
                [ratio_row(result, TARGETS.get(result.name)) for result in results],
                "" if find_spec("cloudflare") else "The official SDK is not installed (`cloudflare`).",
            )


def target(build_uuid: str) -> str:
    """The request target of one build."""
    return f"{BASE}/builds/builds/{build_uuid}"


async def _measure(origin: str, workers: int, rounds: int) -> Iterable[Ratio]:
    def work(name: str, call: Callable[[], Awaitable[object]], calls: int = 500) -> Work:
        return Work(name, partial(at_once, call, workers), calls)

    url, limited_url = URL(origin + target(PLAIN)), URL(origin + target(LIMITED))
    async with AsyncExitStack() as stack:
        first, second, third = [await stack.enter_async_context(hand.session()) for _ in range(3)]
        ours, limited = [await stack.enter_async_context(unlimited(origin)) for _ in range(2)]
        base = work("hand loop", partial(hand.fetch, first, url, hand.BUILD))
        limited_base = work(
            "hand loop, both Ratelimit headers", partial(hand.fetch, third, limited_url, hand.BUILD)
        )
        pairs = [
            Pair(work("hand loop again (A/A)", partial(hand.fetch, second, url, hand.BUILD)), base),
            Pair(work(OURS, partial(ours.builds.get, PLAIN)), base),
            Pair(work(OURS_LIMITED, partial(limited.builds.get, LIMITED)), limited_base),
        ]
        if find_spec("cloudflare"):
            get = await stack.enter_async_context(_official(origin))
            pairs.append(Pair(work("official SDK, generic get (httpx)", get, calls=50), base))
        return (await compare(pairs, rounds=rounds)).values()


@asynccontextmanager
async def _official(origin: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    cloudflare = import_module("cloudflare")  # optional
    async with cloudflare.AsyncCloudflare(
        api_token=TOKEN, base_url=f"{origin}/client/v4", max_retries=0
    ) as sdk:
        yield partial(sdk.get, target(PLAIN).removeprefix("/client/v4"), cast_to=object)
