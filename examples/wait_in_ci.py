"""Wait in CI for the Workers build of a commit; the exit code shows its outcome.

python examples/wait_in_ci.py WORKER COMMIT [BRANCH]   (the Worker's name or tag)

0 success, 1 the build failed, 2 misuse or not found, 3 token or permission, 4 network or service,
5 the build ended otherwise (skipped, canceled, terminated), 124 timeout.
"""

import asyncio
import sys
from argparse import ArgumentParser

from builds_async import APIError, Build, BuildOutcome, BuildsClient, BuildsError, ConfigurationError

MINUTES = 45.0  # a build runs for at most 20, but may wait in the queue first
OUTCOMES = {BuildOutcome.SUCCESS: 0, BuildOutcome.FAIL: 1}
REFUSALS = {400: 2, 401: 3, 403: 3, 404: 2, 422: 2}


async def explain(client: BuildsClient, build: Build) -> str | None:
    try:
        async with asyncio.timeout(60):
            return build.failure_reason([line async for line in client.follow(build.build_uuid)])
    except (BuildsError, TimeoutError) as error:  # the exit code stays, because the outcome is known
        return f"unknown, because the log can't be read: {str(error) or 'timeout'}"


async def wait(worker: str, commit: str, branch: str | None) -> int:
    async with BuildsClient() as client:  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID
        async with asyncio.timeout(MINUTES * 60):
            tags = await client.workers.tags([worker])
            build = await client.wait_for_commit(tags[worker], commit, branch=branch)
        print(f"build {build.build_uuid}: {build.build_outcome}")
        if not build.succeeded:
            print(f"reason: {await explain(client, build)}")
        return OUTCOMES.get(build.build_outcome or BuildOutcome("none"), 5)


def code_of(error: Exception) -> int:
    if isinstance(error, APIError):
        return REFUSALS.get(error.status, 4)
    if isinstance(error, (ConfigurationError, ValueError)):
        return 2
    return 124 if isinstance(error, TimeoutError) and not isinstance(error, BuildsError) else 4


def main(words: list[str] | None = None) -> int:
    parser = ArgumentParser(description="Wait in CI for the Workers build of a commit.")
    for name, number in (("worker", None), ("commit", None), ("branch", "?")):
        parser.add_argument(name, nargs=number)
    try:
        return asyncio.run(wait(**vars(parser.parse_args(words))))
    except (BuildsError, ValueError, OSError) as error:
        print(str(error) or f"not finished after {MINUTES:g} minutes", file=sys.stderr)
        return code_of(error)


if __name__ == "__main__":
    sys.exit(main())
