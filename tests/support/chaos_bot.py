"""One bot of a chaos run: `python -m tests.support.chaos_bot CONFIG`, in its own process."""

import asyncio
import json
import signal
import sys
from contextlib import nullcontext
from typing import Any

from builds_async import BuildsClient, LeaseLostError, RateBudget, RetryPolicy
from builds_async.fleet import Fleet, SharedBudget
from tests.support.chaos import LINES, postgres_store


async def main(config: dict[str, Any]) -> None:
    """Follow this bot's share of the Workers into the run's sink, until SIGTERM."""
    loop = asyncio.get_running_loop()
    async with Fleet(config["engine"], group="chaos", lease=config["lease"]) as fleet:
        leaving: list[asyncio.Task[None]] = []
        loop.add_signal_handler(signal.SIGTERM, lambda: leaving.append(loop.create_task(fleet.leave())))
        # A new engine grants nothing for the first seconds, and a short run can't wait for that.
        limits = {"limit": config["limit"], "window": config["window"]}
        alone = RateBudget(limit=config["limit"] // 4, window=config["window"])
        shared = SharedBudget(config["engine"], **limits) if config["shared"] else nullcontext(alone)
        async with (
            shared as budget,
            BuildsClient(
                account_id=config["account"],
                api_token=config["token"],
                base_url=config["url"],
                budget=budget,
                retry=RetryPolicy(base=0.2),
                patience=float("inf"),
            ) as client,
            postgres_store(config["database"]) as store,
        ):
            tail = client.tail(
                config["workers"], fleet=fleet, store=store, interval=3.0, max_poll_interval=3.0
            )
            print("ready", flush=True)  # noqa: T201  # from now on it may be killed
            async for batch in tail:
                try:
                    if store is not None:
                        await store.write(batch)
                    else:
                        texts = [json.dumps([b, n, m]) for b, n, _, m in batch.rows()]
                        with open(config["plain"], "a", encoding="utf-8", buffering=1) as file:  # noqa: PTH123
                            file.write("".join(f"{text}\n" for text in texts))
                        await batch.commit(LINES, *texts)
                except LeaseLostError:
                    pass
        await asyncio.gather(*leaving)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
