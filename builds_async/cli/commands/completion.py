"""`builds-async completion`: the script that a shell completes with."""

from typing import Annotated, Literal

from cyclopts import Parameter

from builds_async.cli.out import stdout


def completion_command(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")], /
) -> int:
    """Print the script that completes commands and options in a shell."""
    from builds_async.cli.app import make_app  # noqa: PLC0415  # which registers this command

    stdout().write(make_app().generate_completion(shell=shell), trusted=True)
    return 0
