"""Post each unsuccessful build to a webhook, with the reason and a link. Runs until stopped.

python examples/notify_bot.py WEBHOOK_URL NAME=TAG ...   (Workers by name and tag, 32 hex digits)
"""

import asyncio
import os
import sys

import aiohttp

from builds_async import BuildChange, BuildsClient

DASHBOARD = "https://dash.cloudflare.com/{}/workers/services/view/{}/production/builds/{}"


async def describe(client: BuildsClient, change: BuildChange, name: str) -> str:
    build = change.build
    lines = [line async for line in client.follow(build.build_uuid)]
    link = DASHBOARD.format(os.environ["CLOUDFLARE_ACCOUNT_ID"], name, build.build_uuid)
    return f"{name}: {build.build_outcome}: {build.failure_reason(lines)} {link}"


async def post(http: aiohttp.ClientSession, webhook: str, text: str) -> None:
    """Post the text, and retry until it is accepted: a lost notification would hide a failure."""
    while True:
        try:
            async with http.post(webhook, json={"text": text}) as response:
                response.raise_for_status()
                return
        except aiohttp.ClientError as error:
            # Not the error's text, which contains the URL: anybody with the URL can post.
            status = getattr(error, "status", "no response")
            print(f"webhook: {type(error).__name__}, {status}", file=sys.stderr)
            await asyncio.sleep(10)


async def main(webhook: str, workers: dict[str, str]) -> None:
    names = {tag: name for name, tag in workers.items()}
    async with BuildsClient() as client, aiohttp.ClientSession() as http:
        async for change in client.watch(names):
            news = change.previous is not None  # the first pass reports the current state
            if news and change.build.is_finished and not change.build.succeeded:
                await post(http, webhook, await describe(client, change, names[change.external_script_id]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], dict(worker.split("=", 1) for worker in sys.argv[2:])))
