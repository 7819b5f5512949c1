"""Print the log of a build as it grows, then the outcome; the exit code is 0 for success.

python examples/follow_build.py BUILD_UUID
"""

import asyncio
import sys

from builds_async import BuildsClient


async def main(build_uuid: str) -> int:
    async with BuildsClient() as client:  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID
        log = client.follow(build_uuid)
        async for line in log:
            print(f"{line.time:%H:%M:%S}", line.text)
        if not log.complete:
            print("(the log may be incomplete)")
        print("outcome:", log.build.build_outcome)
        return 0 if log.build.succeeded else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
