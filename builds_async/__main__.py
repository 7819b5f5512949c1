"""`python -m builds_async` and the command `builds-async`."""

import sys


def main() -> None:
    """Run the command line, or say what to install for it."""
    try:
        from builds_async.cli import app  # noqa: PLC0415  # the extra may be missing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"cyclopts", "rich"}:
            raise
        sys.exit('The command needs an extra: pip install "builds-async[cli]"')
    app(sys.argv[1:])


if __name__ == "__main__":
    main()
