"""`builds-async dashboard`."""

import asyncio
import secrets
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async.cli.browsing import open_address
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, CommandError
from builds_async.cli.options import CONNECTION, Connection
from builds_async.cli.terminal import stdout
from builds_async.dashboard import Dashboard, serving, workers
from builds_async.session.hosts import is_loopback


async def dashboard_command(
    *names: Annotated[str, Parameter(name="worker", help="Names or tags of Workers. Default: all.")],
    host: Annotated[
        str, Parameter(help="The address to listen on. Default: 127.0.0.1. Another one needs --token.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        Parameter(help="The port; 0 for a free one. Default: 8642.", validator=Number(gte=0, lte=65535)),
    ] = 8642,
    token: Annotated[
        bool,
        Parameter(help="Let in only browsers that open the printed address, which contains a random token."),
    ] = False,
    writes: Annotated[
        bool | None,
        Parameter(
            negative="--no-writes",
            help="Let the page retry and cancel builds, each after a confirmation. "
            "Default: only if --host is a loopback address.",
        ),
    ] = None,
    open_: Annotated[bool, Parameter(name="--open", help="Open the page in your browser.")] = False,
    connection: Connection = CONNECTION,
) -> int:
    """Serve a page with the builds of all Workers and their live logs, until Ctrl-C."""
    if not token and not is_loopback(host):
        raise CommandError(f"--host {host} lets other machines read your logs: add --token")
    secret = secrets.token_urlsafe() if token else None
    async with connect(connection) as client:
        found = await workers(client, names)
        allowed = is_loopback(host) if writes is None else writes
        board = Dashboard(client, found, joining=not names, writes=allowed)
        try:
            async with serving(board, host, port, secret) as url:
                stdout().write(f"{len(found)} Workers at {url} (Ctrl-C stops it)\n")
                if open_:
                    await asyncio.to_thread(open_address, url)
                await board.watch()
        except OSError as error:
            raise CommandError(f"can't serve at {host}, port {port}: {error.strerror or error}") from error
    return OK
