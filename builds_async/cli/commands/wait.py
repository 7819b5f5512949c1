"""`builds-async wait`: until a build has finished."""

import asyncio
from math import inf
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async import Build, BuildsClient
from builds_async.cli.connect import connect
from builds_async.cli.exits import TIMED_OUT, CommandError, misuse
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import stderr, stdout
from builds_async.cli.outcome import reason_of, report_end
from builds_async.cli.progress import Waiting
from builds_async.cli.records import write_record
from builds_async.cli.workers import checked_build, find_worker, is_build_uuid


async def wait_command(
    what: Annotated[str, Parameter(help="The UUID of a build; or a Worker, with --commit.")],
    /,
    *,
    commit: Annotated[
        str | None,
        Parameter(help="Wait for the build of this commit of the Worker: its hash or 4 digits of it."),
    ] = None,
    branch: Annotated[str | None, Parameter(help="With --commit: only builds of this branch count.")] = None,
    timeout: Annotated[
        float | None,
        Parameter(
            help="Give up after this many seconds, with exit code 124. The search for the reason of a failure"
            " counts too.",
            validator=Number(gt=0),
        ),
    ] = None,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Wait until a build has finished; the exit code tells how it ended."""
    _check(what, commit, branch)
    async with connect(connection, patient=True) as client:
        try:
            async with asyncio.timeout(timeout) as limit:
                build = await _finished(client, what, commit, branch)
        except TimeoutError:
            if not limit.expired():  # the library's own, of one request
                raise
            raise CommandError(f"not finished after {timeout:g} s", TIMED_OUT) from None
        return await tell_finished(client, build, output, deadline=limit.when())


async def tell_finished(
    client: BuildsClient, build: Build, output: str, *, deadline: float | None = None
) -> int:
    """Say how a build ended, in JSON also on standard output; the exit code.

    The reason of a failure is looked for until the deadline, by the loop's clock, and briefly anyway.
    """
    if output == "json":
        write_record(stdout(), build)
    left = inf if deadline is None else deadline - asyncio.get_running_loop().time()
    return report_end(stderr(), build, await reason_of(client, build, left))


async def _finished(client: BuildsClient, what: str, commit: str | None, branch: str | None) -> Build:
    with Waiting(stderr(), f"waiting for {'the build of ' if commit else 'build '}{commit or what}"):
        if commit is None:
            return await client.wait(checked_build(what))
        tag = await find_worker(client, what)
        with misuse("--commit"):
            return await client.wait_for_commit(tag, commit, branch=branch)


def _check(what: str, commit: str | None, branch: str | None) -> None:
    if is_build_uuid(what):
        if commit is not None or branch is not None:
            raise CommandError("--commit and --branch go with a Worker, not with a build UUID")
    elif commit is None:
        raise CommandError("wait takes the UUID of a build, or a Worker with --commit")
