"""`builds-async demo`."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async.cli.demo import WORKERS, run_demo
from builds_async.cli.exits import OK
from builds_async.cli.options import Debug
from builds_async.cli.terminal import stdout


async def demo_command(
    *,
    workers: Annotated[
        int,
        Parameter(
            help=f"The number of simulated Workers to look up. Default: {WORKERS}.", validator=Number(gte=1)
        ),
    ] = WORKERS,
    debug: Debug = False,  # noqa: ARG001  # read by `run`
) -> int:
    """Follow real builds live, then look up many Workers: no account, no network."""
    await run_demo(stdout().console, workers)
    return OK
