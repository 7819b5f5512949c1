"""Post each build that fails to a webhook, from the events of a Cloudflare Queue. Runs until stopped.

python examples/events_bot.py WEBHOOK_URL QUEUE_ID

It saves nothing: the queue keeps each event until its text is accepted.
"""

import asyncio
import sys
from contextlib import suppress
from html import escape
from math import inf

import aiohttp

from builds_async import BuildEvent, BuildOutcome, BuildsClient, NotFoundError

FINE = {None, BuildOutcome.SUCCESS, BuildOutcome.SKIPPED, BuildOutcome.CANCELLED}


async def describe(client: BuildsClient, event: BuildEvent) -> str:
    reason, link = None, f"build {event.build_uuid}"
    with suppress(NotFoundError):  # the build was deleted, or its Worker is not listed: it was never deployed
        log = client.follow(event.build_uuid)
        lines = [line async for line in log]
        reason = log.build.failure_reason(lines)
        link = await client.dashboard_url(log.build)
    return f"{event.worker_name}: {event.build_outcome}: {reason} {link}"


async def post(http: aiohttp.ClientSession, webhook: str, text: str) -> None:
    while True:  # until it is accepted: a lost notification would hide a failure
        try:
            (await http.post(webhook, json={"text": escape(text, quote=False)})).release()
            break
        except (aiohttp.ClientError, TimeoutError) as error:
            print(f"webhook: {type(error).__name__}", file=sys.stderr)  # not its text, which has the URL
            await asyncio.sleep(10)


async def main(webhook: str, queue_id: str) -> None:
    async with BuildsClient(patience=inf) as client, aiohttp.ClientSession(raise_for_status=True) as http:
        # One event at a time: each is acknowledged before the next is pulled, so a kill repeats one at most.
        async for event in client.events(queue_id, batch_size=1):
            if event.build_outcome not in FINE:
                await post(http, webhook, await describe(client, event))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
