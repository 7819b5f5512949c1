"""Post each build that fails to a webhook, with the reason and a link. Runs until stopped.

python examples/notify_bot.py WEBHOOK_URL POSITION_FILE [NAME_OR_TAG ...]   (default: all Workers)

The first start posts the Workers whose latest build has failed. A restart resumes at the saved position.
"""

import asyncio
import sys
from contextlib import suppress
from html import escape
from math import inf
from pathlib import Path

import aiohttp
import msgspec

from builds_async import BuildChange, BuildOutcome, BuildsClient, NotFoundError, WatchPosition

FINE = {BuildOutcome.SUCCESS, BuildOutcome.SKIPPED, BuildOutcome.CANCELLED}


def load(file: Path) -> WatchPosition | None:
    return msgspec.json.decode(file.read_bytes(), type=WatchPosition) if file.exists() else None


def save(file: Path, position: WatchPosition) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(position))
    new.replace(file)  # atomic: after a kill, the file has the old position or the new one


async def describe(client: BuildsClient, change: BuildChange) -> str:
    build, reason, link = change.build, None, f"Worker {change.external_script_id}"
    with suppress(NotFoundError):  # the build was deleted, or its Worker is not listed: it was never deployed
        reason = build.failure_reason([line async for line in client.follow(build.build_uuid)])
        link = await client.dashboard_url(build)
    return f"{build.build_outcome}: {reason} {link}"


async def post(http: aiohttp.ClientSession, webhook: str, text: str) -> None:
    while True:  # until it is accepted: a lost notification would hide a failure
        try:
            (await http.post(webhook, json={"text": escape(text, quote=False)})).release()
            break
        except (aiohttp.ClientError, TimeoutError) as error:
            print(f"webhook: {type(error).__name__}", file=sys.stderr)  # not its text, which has the URL
            await asyncio.sleep(10)


async def main(webhook: str, file: Path, workers: list[str]) -> None:
    async with BuildsClient(patience=inf) as client, aiohttp.ClientSession(raise_for_status=True) as http:
        tags = (await client.workers.tags(workers)).values() if workers else None
        watch = client.watch(tags, start=load(file))
        async for change in watch:
            if change.build.is_finished and change.build.build_outcome not in FINE:
                await post(http, webhook, await describe(client, change))
            save(file, watch.position)  # after the post: a kill in between repeats it, and loses nothing


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
