"""`builds-async start`."""

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from builds_async import Trigger
from builds_async.cli.commands.tail import follow_build
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, CommandError, usage_errors
from builds_async.cli.lookup import find_worker
from builds_async.cli.options import CONNECTION, Connection, LineOptions, Output, WorkerName
from builds_async.cli.outcome import report_finished
from builds_async.cli.printer import print_record
from builds_async.cli.terminal import Spinner, stderr, stdout
from builds_async.cli.text import plain


async def start_command(
    worker: WorkerName,
    /,
    *,
    branch: Annotated[
        str | None, Parameter(help="Build this branch. Default: the only one that the trigger builds.")
    ] = None,
    commit: Annotated[str | None, Parameter(help="Build this commit, given by its full hash.")] = None,
    trigger: Annotated[
        str | None,
        Parameter(help="The UUID or name of the trigger, if the branch does not decide which one."),
    ] = None,
    follow: Annotated[bool, Parameter(help="Follow the log until the build has finished.")] = False,
    wait: Annotated[bool, Parameter(help="Wait until the build has finished.")] = False,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Start a build of a branch or a commit."""
    if follow and wait:
        raise CommandError("--follow waits as well: leave --wait out")
    async with connect(connection) as client:
        tag = await find_worker(client, worker)
        chosen = _choose(worker, await client.triggers.list(tag), trigger, branch)
        if branch is None and commit is None:
            branch = _only_branch(chosen)
        with usage_errors("start"):
            build = await client.triggers.start_build(
                chosen.trigger_uuid or "", branch=branch, commit_hash=commit
            )
        if output == "json" and not follow:
            print_record(stdout(), build)
        elif follow:
            stderr().write(f"started build {plain(build.build_uuid)}\n")  # standard output is for the log
        else:
            stdout().write(f"{plain(build.build_uuid)}\n")
        if follow:
            return await follow_build(client, build.build_uuid, LineOptions(output=output))
        if not wait:
            return OK
        with Spinner(stderr(), f"waiting for build {build.build_uuid}"):
            finished = await client.wait(build.build_uuid)
        return await report_finished(client, finished, output)


def _choose(worker: str, triggers: Iterable[Trigger], wanted: str | None, branch: str | None) -> Trigger:
    """The trigger that is wanted, or the only one, or the only one that names the branch."""
    triggers = [it for it in triggers if it.trigger_uuid and it.deleted_on is None]
    found = [it for it in triggers if wanted is None or wanted in {it.trigger_uuid, it.trigger_name}]
    if wanted is None and len(found) > 1:
        found = [it for it in found if branch in (it.branch_includes or ())]
    if len(found) == 1:
        return found[0]
    if not triggers:
        raise CommandError(f"{worker} has no trigger: connect it to a repository in the dashboard first")
    choices = " or ".join(map(_describe, triggers))
    problem = "several triggers" if wanted is None or found else "no trigger"
    which = "" if wanted is None else f" {wanted!r}"
    raise CommandError(f"{worker} has {problem}{which}: choose one with --trigger {choices}")


def _only_branch(trigger: Trigger) -> str:
    """The branch of a trigger that builds exactly one; CommandError if there is a choice."""
    branches = trigger.branch_includes or ()
    if len(branches) != 1 or "*" in branches[0]:
        raise CommandError("say what to build: --branch or --commit")
    return branches[0]


def _describe(trigger: Trigger) -> str:
    branches = ", ".join(trigger.branch_includes or ())
    return f"{trigger.trigger_uuid} ({trigger.trigger_name or 'no name'}, branches {branches or '?'})"
