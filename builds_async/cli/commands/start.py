"""`builds-async start`: a build of a branch or a commit."""

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from builds_async import Trigger
from builds_async.cli.commands.tail import follow_build
from builds_async.cli.commands.wait import tell_finished
from builds_async.cli.connect import connect
from builds_async.cli.exits import CommandError, misuse
from builds_async.cli.options import CONNECTION, Connection, LineOptions, Output
from builds_async.cli.out import stderr, stdout
from builds_async.cli.progress import Waiting
from builds_async.cli.records import write_record
from builds_async.cli.safe import plain
from builds_async.cli.workers import find_worker


async def start_command(
    worker: Annotated[str, Parameter(help="The name or the tag of a Worker.")],
    /,
    *,
    branch: Annotated[
        str | None, Parameter(help="Build this branch (the only one that the trigger builds).")
    ] = None,
    commit: Annotated[str | None, Parameter(help="Build this commit: its full hash.")] = None,
    trigger: Annotated[
        str | None,
        Parameter(help="The UUID or the name of the trigger, where it can't be told by the branch."),
    ] = None,
    follow: Annotated[bool, Parameter(help="Print the build's log, and end as it ends.")] = False,
    wait: Annotated[bool, Parameter(help="Wait for the build, and end as it ends.")] = False,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Start a build of a branch or of a commit."""
    if follow and wait:
        raise CommandError("--follow waits as well: leave --wait out")
    async with connect(connection, patient=follow or wait) as client:
        tag = await find_worker(client, worker)
        chosen = _chosen(worker, await client.triggers.list(tag), trigger, branch)
        if branch is None and commit is None:
            branch = _only_branch(chosen)
        with misuse("start"):
            build = await client.triggers.start_build(
                chosen.trigger_uuid or "", branch=branch, commit_hash=commit
            )
        if output == "json" and not follow:
            write_record(stdout(), build)
        elif follow:
            stderr().write(f"started build {plain(build.build_uuid)}\n")
        else:
            stdout().write(f"{plain(build.build_uuid)}\n")
        if follow:
            return await follow_build(client, build.build_uuid, LineOptions(output=output))
        if not wait:
            return 0
        with Waiting(stderr(), f"waiting for build {build.build_uuid}"):
            finished = await client.wait(build.build_uuid)
        return await tell_finished(client, finished, output)


def _chosen(worker: str, triggers: Iterable[Trigger], wanted: str | None, branch: str | None) -> Trigger:
    """The trigger that is wanted, or the only one, or the only one that names the branch."""
    triggers = [it for it in triggers if it.trigger_uuid and it.deleted_on is None]
    found = [it for it in triggers if wanted is None or wanted in {it.trigger_uuid, it.trigger_name}]
    if wanted is None and len(found) > 1:
        found = [it for it in found if branch in (it.branch_includes or ())]
    if len(found) == 1:
        return found[0]
    if not triggers:
        raise CommandError(f"{worker} has no trigger: connect it to a repository in the dashboard first")
    problem = "which trigger?" if wanted is None else f"it has not one trigger {wanted!r}"
    raise CommandError(f"{worker}: {problem} Say --trigger {' or '.join(map(_described, triggers))}")


def _only_branch(trigger: Trigger) -> str:
    """The branch of a trigger that builds one; CommandError where there is a choice."""
    branches = trigger.branch_includes or ()
    if len(branches) != 1 or "*" in branches[0]:
        raise CommandError("say what to build: --branch or --commit")
    return branches[0]


def _described(trigger: Trigger) -> str:
    branches = ", ".join(trigger.branch_includes or ())
    return f"{trigger.trigger_uuid} ({trigger.trigger_name or 'no name'}, of branches {branches or '?'})"
