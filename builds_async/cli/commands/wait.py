"""`builds-async wait`."""

import asyncio
from math import inf
from typing import Annotated

from cyclopts import Parameter

from builds_async import Build, BuildsClient, NotDeployedError
from builds_async.cli.connect import connect
from builds_async.cli.exits import TIMED_OUT, CommandError, usage_errors
from builds_async.cli.facts import BUILD_FIELDS, LINE_FIELDS, LOG_FIELDS
from builds_async.cli.follow import follow_build
from builds_async.cli.lookup import find_build, find_worker
from builds_async.cli.options import (
    CONNECTION,
    Connection,
    LineOptions,
    LogFailed,
    TemplateOutput,
    TemplateText,
)
from builds_async.cli.outcome import print_build, report_finished
from builds_async.cli.template import Template, make_template
from builds_async.cli.terminal import Spinner, stderr
from builds_async.cli.times import parse_seconds
from builds_async.session.ids import is_uuid


async def wait_command(
    what: Annotated[
        str,
        Parameter(
            help="The UUID or the first 8 digits of a build, or a Worker by name or tag: its latest build, or"
            " with --commit its build of that commit."
        ),
    ],
    /,
    *,
    commit: Annotated[
        str | None,
        Parameter(help="Wait for the Worker's build of this commit: its hash, or at least 4 digits of it."),
    ] = None,
    branch: Annotated[str | None, Parameter(help="With --commit: only a build of this branch.")] = None,
    deployed: Annotated[
        bool,
        Parameter(
            help="With --commit: wait until the build serves traffic. Exit code 1 if something else serves."
        ),
    ] = False,
    timeout: Annotated[
        str | None,
        Parameter(
            help="Give up after this time, such as 90 (seconds), 20m or 1h30m, with exit code 124. Includes"
            " the search for the reason for a failure."
        ),
    ] = None,
    follow: Annotated[bool, Parameter(negative="", help="Print the log while waiting.")] = False,
    log_failed: LogFailed = False,
    output: TemplateOutput = "text",
    template: TemplateText = None,
    connection: Connection = CONNECTION,
) -> int:
    """Wait until a build has finished; the exit code shows the outcome."""
    _check(what, commit, branch, deployed=deployed)
    form = make_template(output, template, LINE_FIELDS if follow else (*BUILD_FIELDS, *LOG_FIELDS))
    if follow and (deployed or log_failed):
        raise CommandError("--follow prints the whole log: omit --deployed and --log-failed")
    seconds = None if timeout is None else parse_seconds("--timeout", timeout)
    patience = None if seconds is None else inf  # the timeout alone bounds the wait
    async with connect(connection, patience=patience) as client:
        try:
            async with asyncio.timeout(seconds) as limit:
                if follow:
                    build_uuid = await _found(client, what, commit, branch)
                    return await follow_build(
                        client, build_uuid, LineOptions(output=output, template=template)
                    )
                build = await _finished(client, what, commit, branch, deployed=deployed)
        except TimeoutError:
            if not limit.expired():  # a timeout of the library for a single request
                raise
            wanted = "finished and deployed" if deployed else "finished"
            raise CommandError(f"not {wanted} after {seconds:g} s", TIMED_OUT) from None
        except NotDeployedError as error:
            build = await _undeployed(client, error, output, form)
        # Outside of the timeout: the outcome is known, and the search for the reason gets the remaining time.
        return await report_finished(
            client, build, output, deadline=limit.when(), log_failed=log_failed, template=form
        )


async def _undeployed(
    client: BuildsClient, error: NotDeployedError, output: str, form: Template | None
) -> Build:
    """The build if its outcome is what there is to report; otherwise raises the error again."""
    if error.build is None or error.build.succeeded:
        if (output == "json" or form is not None) and error.build is not None:
            await print_build(client, error.build, template=form)
        raise error
    return error.build


async def _found(client: BuildsClient, what: str, commit: str | None, branch: str | None) -> str:
    """The UUID of the build to follow, as soon as it exists."""
    if commit is None:
        return await find_build(client, what)
    tag = await find_worker(client, what)
    with usage_errors("--commit"), Spinner(stderr(), f"waiting for the build of {commit}"):
        return (await client.wait_for_commit(tag, commit, branch=branch, finished=False)).build_uuid


async def _finished(
    client: BuildsClient, what: str, commit: str | None, branch: str | None, *, deployed: bool
) -> Build:
    with Spinner(stderr(), f"waiting for {'the build of ' if commit else 'build '}{commit or what}"):
        if commit is None:
            return await client.wait(await find_build(client, what))
        tag = await find_worker(client, what)
        with usage_errors("--commit"):
            return await client.wait_for_commit(tag, commit, branch=branch, deployed=deployed)


def _check(what: str, commit: str | None, branch: str | None, *, deployed: bool) -> None:
    if is_uuid(what) and (commit is not None or branch is not None or deployed):
        raise CommandError("--commit, --branch and --deployed go with a Worker, not with a build UUID")
    if commit is None and (branch is not None or deployed):
        raise CommandError(f"{'--deployed' if deployed else '--branch'} goes with --commit")
