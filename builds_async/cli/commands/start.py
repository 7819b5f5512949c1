"""`builds-async start`."""

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from builds_async import Trigger
from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, CommandError, usage_errors
from builds_async.cli.follow import follow_build
from builds_async.cli.lookup import find_worker
from builds_async.cli.options import CONNECTION, Connection, LineOptions, Output, WorkerName
from builds_async.cli.outcome import report_finished
from builds_async.cli.printer import print_record
from builds_async.cli.terminal import Spinner, stderr, stdout
from builds_async.cli.text import visible_text
from builds_async.resources.choosing import described, named_branch


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
    follow: Annotated[bool, Parameter(help="Follow the log until the build has finished.")] = False,
    wait: Annotated[bool, Parameter(help="Wait until the build has finished.")] = False,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Start a build of a branch or a commit."""
    if follow and wait:
        raise CommandError("--follow waits too: omit --wait")
    async with connect(connection) as client:
        tag = await find_worker(client, worker)
        with usage_errors("start"):
            if trigger is None:
                build = await client.builds.start(tag, branch=branch, commit_hash=commit)
            else:
                chosen = _named(worker, await client.triggers.list(tag), trigger)
                if branch is None and commit is None:
                    branch = named_branch([chosen])
                build = await client.triggers.start_build(
                    chosen.trigger_uuid or "", branch=branch, commit_hash=commit
                )
        Cache.of(client).add_builds([build])
        if output == "json" and not follow:
            print_record(stdout(), build)
        elif follow:
            stderr().write(
                f"started build {visible_text(build.build_uuid)}\n"
            )  # standard output is for the log
        else:
            stdout().write(f"{visible_text(build.build_uuid)}\n")
        if follow:
            return await follow_build(client, build.build_uuid, LineOptions(output=output))
        if not wait:
            return OK
        with Spinner(stderr(), f"waiting for build {build.build_uuid}"):
            finished = await client.wait(build.build_uuid)
        return await report_finished(client, finished, output)


def _named(worker: str, triggers: Iterable[Trigger], wanted: str) -> Trigger:
    """The only trigger with this UUID or name."""
    triggers = [it for it in triggers if it.trigger_uuid and it.deleted_on is None]
    found = [it for it in triggers if wanted in {it.trigger_uuid, it.trigger_name}]
    if len(found) == 1:
        return found[0]
    problem = "several triggers" if found else "no trigger"
    raise CommandError(f"{worker} has {problem} {wanted!r}: it has {described(found or triggers)}")
