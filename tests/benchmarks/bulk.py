"""The latest builds of 2,000 Workers: 100 requests of 20 against 2,000 single ones."""

import asyncio
from collections.abc import Sequence
from functools import partial

import aiohttp
from yarl import URL

from tests.benchmarks import hand
from tests.benchmarks.answers import BASE, build, ids, response
from tests.benchmarks.getting import WORKERS, target, unlimited
from tests.benchmarks.measure import Pair, Work, compare
from tests.benchmarks.server import serving
from tests.benchmarks.table import RATIO_HEAD, ratio_row, show

WORKER_TAGS, PER_REQUEST = 2_000, 20


async def run(*, quick: bool) -> None:
    """Measure and print."""
    tags = [tag.replace("-", "") for tag in ids(WORKER_TAGS, "worker")]
    uuids = ids(WORKER_TAGS, "latest")
    answers = {target(build_uuid): response(build(build_uuid)) for build_uuid in uuids}
    for start in range(0, WORKER_TAGS, PER_REQUEST):
        chunk = slice(start, start + PER_REQUEST)
        found = {tag: build(build_uuid) for tag, build_uuid in zip(tags[chunk], uuids[chunk], strict=True)}
        query = f"external_script_ids={','.join(tags[chunk])}"
        answers[f"{BASE}/builds/builds/latest?{query}"] = response({"builds": found})

    with serving(answers) as origin:
        async with hand.session() as first, hand.session() as second, unlimited(origin) as client:

            async def latest(times: int) -> None:
                for _ in range(times):
                    result = await client.builds.latest(tags)
                    if len(result.found) != WORKER_TAGS:
                        raise RuntimeError(f"{len(result.found)} builds of {WORKER_TAGS}")

            urls = [URL(origin + target(build_uuid)) for build_uuid in uuids]
            base = Work(f"{WORKER_TAGS:,} single gets by hand", partial(_singles, first, urls), 1)
            again = Work("by hand again (A/A)", partial(_singles, second, urls), 1)
            ours = Work("builds.latest, 20 per request", latest, 1)
            results = await compare([Pair(again, base), Pair(ours, base)], rounds=3 if quick else 8)
    show(
        f"The latest builds of {WORKER_TAGS:,} Workers, {WORKERS} requests at once",
        RATIO_HEAD,
        [ratio_row(result, unit="ms") for result in results.values()],
        "One call is the whole look-up.",
    )


async def _singles(http: aiohttp.ClientSession, urls: Sequence[URL], times: int) -> None:
    async def work() -> None:
        for url in left:  # all workers share one iterator
            await hand.fetch(http, url, hand.BUILD)

    for _ in range(times):
        left = iter(urls)
        await asyncio.gather(*(work() for _ in range(WORKERS)))
