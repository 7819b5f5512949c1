"""`builds-async start`."""

from typing import Annotated

from cyclopts import Parameter

from builds_async.cli.connect import connect
from builds_async.cli.exits import usage_errors
from builds_async.cli.lookup import find_worker
from builds_async.cli.options import CONNECTION, Connection, Output, WorkerName
from builds_async.cli.starting import Follow, Wait, check_follow_or_wait, names_for_started, report_started
from builds_async.session.ids import is_tag


async def start_command(
    worker: WorkerName,
    /,
    *,
    branch: Annotated[
        str | None,
        Parameter(help="Build this branch. Default: the only branch that the triggers name, usually main."),
    ] = None,
    commit: Annotated[str | None, Parameter(help="Build this commit, given by its full hash.")] = None,
    trigger: Annotated[
        str | None,
        Parameter(help="The UUID or name of the trigger. Needed if the branch does not identify it."),
    ] = None,
    follow: Follow = False,
    wait: Wait = False,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Start a build of a branch or a commit."""
    check_follow_or_wait(follow=follow, wait=wait)
    async with connect(connection) as client:
        tag = await find_worker(client, worker)
        known = None if is_tag(worker) else {tag: worker}
        async with names_for_started(client, output, follow=follow, known=known) as names:
            with usage_errors("start"):
                build = await client.builds.start(tag, branch=branch, commit_hash=commit, trigger=trigger)
            return await report_started(client, build, names, output, follow=follow, wait=wait, tag=tag)
