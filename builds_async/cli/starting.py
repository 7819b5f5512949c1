"""Prints a build that `start` or `retry` has started, then follows it or waits for it."""

from typing import Annotated, TypeAlias

import msgspec
from cyclopts import Parameter

from builds_async import Build, BuildsClient
from builds_async.cli.cache import Cache
from builds_async.cli.exits import OK, CommandError
from builds_async.cli.follow import follow_build
from builds_async.cli.links import page_of
from builds_async.cli.lookup import WorkerNames
from builds_async.cli.options import LineOptions, Output
from builds_async.cli.outcome import report_finished
from builds_async.cli.printer import print_record, source_of
from builds_async.cli.terminal import Spinner, stderr, stdout
from builds_async.cli.text import visible_text

Follow: TypeAlias = Annotated[bool, Parameter(help="Follow the log until the build has finished.")]
Wait: TypeAlias = Annotated[bool, Parameter(help="Wait until the build has finished.")]


def check_follow_or_wait(*, follow: bool, wait: bool) -> None:
    """Raise CommandError if both are given. Call it before anything is started."""
    if follow and wait:
        raise CommandError("--follow waits too: omit --wait")


def names_for_started(
    client: BuildsClient, output: Output, *, follow: bool, known: dict[str, str] | None = None
) -> WorkerNames:
    """The names of Workers, if `report_started` needs them for the address of the build's page."""
    needed = output == "json" and not follow
    wanted = needed or (stderr() if follow else stdout()).links
    return WorkerNames(client, wanted=wanted, needed=needed, names=known)


async def report_started(
    client: BuildsClient,
    build: Build,
    names: WorkerNames,
    output: Output,
    *,
    follow: bool,
    wait: bool,
    tag: str | None = None,
) -> int:
    """Print a build that was started, then follow it or wait for it; return the exit code.

    `tag` is that of its Worker, for a response that does not name it.
    """
    Cache.of(client).add_builds([build])
    await names.settle()
    page = page_of(client, build.build_uuid, names.of(source_of(build).external_script_id or tag))
    shown = visible_text(build.build_uuid)
    if follow:  # standard output is for the log
        stderr().write(f"started build {stderr().link(shown, page)}\n")
        return await follow_build(client, build.build_uuid, LineOptions(output=output))
    if output == "json":
        print_record(stdout(), {**msgspec.to_builtins(build), "dashboard_url": page})
    else:
        stdout().write(f"{stdout().link(shown, page)}\n")
    if not wait:
        return OK
    with Spinner(stderr(), f"waiting for build {build.build_uuid}"):
        finished = await client.wait(build.build_uuid)
    return await report_finished(client, finished, output)
