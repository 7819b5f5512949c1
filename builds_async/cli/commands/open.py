"""`builds-async open`."""

from typing import Annotated

from cyclopts import Parameter

from builds_async import Build, BuildsClient
from builds_async.cli.browsing import open_address
from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, CommandError
from builds_async.cli.hyperlinks import is_address
from builds_async.cli.lookup import find_build
from builds_async.cli.options import CONNECTION, BuildName, Connection
from builds_async.cli.terminal import stdout


async def open_command(
    build: BuildName,
    /,
    *,
    preview: Annotated[
        bool, Parameter(help="Open the preview URL of the version that the build has uploaded.")
    ] = False,
    print_: Annotated[bool, Parameter(name="--print", help="Only print the address.")] = False,
    connection: Connection = CONNECTION,
) -> int:
    """Open the page of a build, or its preview, in the browser."""
    async with connect(connection) as client:
        found = await client.builds.get(await find_build(client, build))
        Cache.of(client).add_builds([found])
        address = await _preview(client, found) if preview else await client.dashboard_url(found)
    if not is_address(address):  # text of the API, which a browser might take for something else
        raise CommandError(f"not opened: {address!r} is not an https address")
    stdout().write(f"{stdout().link(address, address)}\n")
    if not print_:
        open_address(address)
    return OK


async def _preview(client: BuildsClient, build: Build) -> str:
    """The preview URL of the build; CommandError if it has none."""
    if (address := await client.preview_url(build)) is not None:
        return address
    if not build.is_finished:
        raise CommandError(f"build {build.build_uuid} is {build.state}: it has no preview URL yet")
    raise CommandError(
        f"build {build.build_uuid} has no preview URL, or none that is certain: it may have uploaded no"
        " version, or previews are off for its Worker"
    )
