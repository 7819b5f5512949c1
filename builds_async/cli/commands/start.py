"""`builds-async start`."""

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from builds_async import Build, BuildsClient, Trigger
from builds_async.cli.connect import connect
from builds_async.cli.exits import CommandError, usage_errors
from builds_async.cli.lookup import find_worker
from builds_async.cli.options import CONNECTION, Connection, Output, WorkerName
from builds_async.cli.starting import Follow, Wait, check_follow_or_wait, names_for_started, report_started
from builds_async.resources.choosing import described, named_branch
from builds_async.session.ids import is_tag


async def start_command(
    worker: WorkerName,
    /,
    *,
    branch: Annotated[
        str | None,
        Parameter(help="Build this branch. Default: the only one that the triggers name, as a rule main."),
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
                if trigger is None:
                    build = await client.builds.start(tag, branch=branch, commit_hash=commit)
                else:
                    build = await _start_by(client, worker, tag, trigger, branch=branch, commit=commit)
            return await report_started(client, build, names, output, follow=follow, wait=wait, tag=tag)


async def _start_by(
    client: BuildsClient, worker: str, tag: str, trigger: str, *, branch: str | None, commit: str | None
) -> Build:
    """Start a build by the trigger with this UUID or name."""
    chosen = _named(worker, await client.triggers.list(tag), trigger)
    if branch is None and commit is None:
        branch = named_branch([chosen])
    return await client.triggers.start_build(chosen.trigger_uuid or "", branch=branch, commit_hash=commit)


def _named(worker: str, triggers: Iterable[Trigger], wanted: str) -> Trigger:
    """The only trigger with this UUID or name."""
    triggers = [it for it in triggers if it.trigger_uuid and it.deleted_on is None]
    found = [it for it in triggers if wanted in {it.trigger_uuid, it.trigger_name}]
    if len(found) == 1:
        return found[0]
    problem = "several triggers" if found else "no trigger"
    raise CommandError(f"{worker} has {problem} {wanted!r}: it has {described(found or triggers)}")
