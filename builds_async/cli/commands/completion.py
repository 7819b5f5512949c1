"""`builds-async completion`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from builds_async.cli.app import make_app
from builds_async.cli.exits import OK
from builds_async.cli.options import Debug
from builds_async.cli.terminal import stdout


def completion_command(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")],
    /,
    *,
    debug: Debug = False,  # noqa: ARG001  # read by `run`
) -> int:
    """Print the script for a shell that completes commands and options."""
    stdout().write(make_app().generate_completion(shell=shell), trusted=True)
    return OK
