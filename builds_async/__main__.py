"""`python -m builds_async` and the command `builds-async`."""

import signal
import sys
from collections.abc import Callable, Sequence


def main() -> None:
    """Run the command, or say which extra it needs. Ctrl-C prints no traceback, even while modules load."""
    try:
        code = _command()(sys.argv[1:])
    except KeyboardInterrupt:
        # A second Ctrl-C, or one before the command could handle it.
        code = 130
    # The exit code is known: another signal during the interpreter's exit would only replace it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _command() -> Callable[[Sequence[str]], int]:
    try:
        import rich  # noqa: F401, PLC0415  # the extra may be missing

        from builds_async.cli.app import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"cyclopts", "rich"}:
            raise
        sys.stderr.write('The command needs an extra: pip install "builds-async[cli]"\n')
        sys.exit(2)
    return run


if __name__ == "__main__":
    main()
