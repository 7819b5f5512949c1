"""Show the latest build of any number of Workers, given by their tags (32 hex digits each).

python examples/latest_builds.py TAG TAG ...
"""

import asyncio
import sys

from builds_async import BuildsClient


async def main(tags: list[str]) -> None:
    async with BuildsClient() as client:  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID
        result = await client.builds.latest(tags)  # 20 in one request, concurrently
    for tag, build in result.found.items():
        print(tag, build.status, build.build_outcome or "-", build.created_on or "-")
    for tag in result.missing:
        print(tag, "never built")
    for tag, error in result.failed.items():
        print(tag, "lookup failed:", error)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
