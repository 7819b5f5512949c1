"""`builds-async demo`: see what the library does, without an account."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async.cli.demo import WORKERS, run_demo
from builds_async.cli.out import stdout


async def demo_command(
    *,
    workers: Annotated[
        int,
        Parameter(help=f"How many simulated Workers to look up ({WORKERS}).", validator=Number(gte=1)),
    ] = WORKERS,
    debug: Annotated[bool, Parameter(help="Show the traceback of an error.")] = False,  # noqa: ARG001  # read by `run`
) -> int:
    """Follow a real build's log live, then look up many Workers: no account, no network."""
    await run_demo(stdout().console, workers)
    return 0
