"""Wait in CI for the Workers build of a commit; the exit code shows its outcome.

python examples/wait_in_ci.py TAG COMMIT [BRANCH]   (the Worker's tag: 32 hex digits)

0 success, 1 fail, 2 skipped, 3 cancelled, 4 terminated, 5 another outcome or none, 124 timeout.
"""

import asyncio
import sys

from builds_async import Build, BuildOutcome, BuildsClient

MINUTES = 45.0  # a build runs for at most 20, but may wait in the queue first
EXIT_CODES = {
    BuildOutcome.SUCCESS: 0,
    BuildOutcome.FAIL: 1,
    BuildOutcome.SKIPPED: 2,
    BuildOutcome.CANCELLED: 3,
    BuildOutcome.TERMINATED: 4,
}


async def report(client: BuildsClient, build: Build) -> None:
    print(f"build {build.build_uuid}: {build.build_outcome}")
    if not build.succeeded:
        lines = [line async for line in client.follow(build.build_uuid)]
        print("reason:", build.failure_reason(lines))


async def main(tag: str, commit: str, branch: str | None = None) -> int:
    async with BuildsClient() as client:  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID
        try:
            async with asyncio.timeout(MINUTES * 60):
                build = await client.wait_for_commit(tag, commit, branch=branch)
        except TimeoutError:
            print(f"no finished build of {commit} after {MINUTES:g} minutes")
            return 124
        await report(client, build)
        return EXIT_CODES.get(build.build_outcome or BuildOutcome("none"), 5)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
