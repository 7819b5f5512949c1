"""The command `builds-async`: thin over the public API. Needs the extra `cli`."""

import asyncio
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from builds_async import __version__
from builds_async.cli.demo import WORKERS, run_demo

app = cyclopts.App(
    name="builds-async",
    help="Cloudflare Workers Builds at a terminal.",
    version=__version__,
)


@app.command(name="demo")
def demo_command(*, workers: Annotated[int, Parameter(validator=Number(gte=1))] = WORKERS) -> int:
    """Follow a real build's log live, then look up many Workers: no account, no network.

    Args:
        workers: How many simulated Workers to look up.

    Returns:
        130 after Ctrl-C, else 0.
    """
    try:
        asyncio.run(run_demo(Console(), workers))
    except KeyboardInterrupt:
        return 130
    return 0
