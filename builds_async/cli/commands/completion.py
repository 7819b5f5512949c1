"""`builds-async completion`."""

from importlib.resources import files
from typing import Annotated, Literal

from cyclopts import Parameter

from builds_async.cli.exits import OK
from builds_async.cli.options import Debug
from builds_async.cli.terminal import stdout


def completion_command(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")],
    /,
    *,
    debug: Debug = False,  # noqa: ARG001  # read by `run`
) -> int:
    """Print the script for a shell that completes commands, options and names of Workers."""
    script = files("builds_async.cli").joinpath("completions", f"builds-async.{shell}")
    stdout().write(script.read_text(encoding="utf-8"), trusted=True)
    return OK
