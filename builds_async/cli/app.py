"""The command line: which commands there are, and what becomes of their errors."""

import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import iscoroutine

import cyclopts
from cyclopts.exceptions import CycloptsError

from builds_async._version import __version__
from builds_async.cli import exits
from builds_async.cli.exits import CommandError, Terminated
from builds_async.cli.out import silence, stderr, stdout
from builds_async.cli.running import run_to_end, terminate
from builds_async.cli.safe import plain
from builds_async.cli.texts import COMMANDS, EXIT_CODES, help_of, usage_of
from builds_async.errors import BuildsError

_TOKEN_FLAG = re.compile(
    r"--?(?:cloudflare[-_])?(?:api[-_]?)?(?:token|key)(?:[=:].*)?", re.IGNORECASE | re.DOTALL
)
_SECRETS = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY")


def make_app() -> cyclopts.App:
    """All commands. Each is imported only when it is run, or when the help lists them all."""
    app = cyclopts.App(
        name="builds-async",
        help="Cloudflare Workers Builds at a terminal.",
        help_epilogue=EXIT_CODES,
        help_format="plaintext",
        default_parameter=cyclopts.Parameter(negative=(), show_default=False),
        version=__version__,
    )
    for number, name in enumerate(COMMANDS):
        app.command(
            f"builds_async.cli.commands.{name}:{name}_command",
            name=name,
            help=help_of(name),
            usage=usage_of(name),
            sort_key=number,
        )
    return app


def run(tokens: Sequence[str]) -> int:
    """Run one command line; the exit code. Errors that are foreseen are one or two lines."""
    signal.signal(signal.SIGTERM, terminate)
    debug = "--debug" in tokens
    try:
        with _telling_warnings():
            return _run(tokens)
    except KeyboardInterrupt:
        _end_line()
        return exits.INTERRUPTED
    except Terminated as end:
        return end.code
    except BrokenPipeError:
        silence(sys.stdout)
        return exits.BROKEN_PIPE
    except (CycloptsError, CommandError, BuildsError) as error:
        return _fail(_told(error, tokens), exits.code_of(error), debug=debug)


def _run(tokens: Sequence[str]) -> int:
    app = make_app()
    command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    if "console" in bound.signature.parameters:  # help and version
        bound.arguments["console"] = stdout().console
    result = command(*bound.args, **bound.kwargs)
    if iscoroutine(result):
        result = run_to_end(result)
    return result if isinstance(result, int) else exits.OK


def _told(error: CycloptsError | CommandError | BuildsError, tokens: Sequence[str]) -> str:
    return _usage(error, tokens) if isinstance(error, CycloptsError) else str(error)


def _usage(error: CycloptsError, tokens: Sequence[str]) -> str:
    if any(_TOKEN_FLAG.fullmatch(token) for token in tokens):
        return (
            "a token is not taken from the command line, where others can see it:"
            " set CLOUDFLARE_API_TOKEN, or use --token-file"
        )
    return f"{error} (see --help)"


def _fail(message: str, code: int, *, debug: bool) -> int:
    text = f"builds-async: {plain(' '.join(message.split()))}\n"
    if debug:
        text = f"{traceback.format_exc()}{text}"
    stderr().write(_redacted(text))
    return code


def _redacted(text: str) -> str:
    """The text without the secrets of the environment, or any token, that was typed as something else."""
    secrets = [secret for name in _SECRETS if (secret := os.environ.get(name, "").strip())]
    if "cf" not in text and not any(secret in text for secret in secrets):
        return text
    from builds_async.session.redact import redact  # noqa: PLC0415  # slow to load, and rarely needed

    return redact(text, secrets)


def _end_line() -> None:
    """Let the shell's prompt begin a line of its own, after the `^C` that a terminal shows."""
    screen = stderr()
    if screen.is_tty:
        screen.write("\n")


class _Warnings(logging.Handler):
    """Tells what the library warns of, and again only when it is something else."""

    _last = ""

    def emit(self, record: logging.LogRecord) -> None:
        message = plain(record.getMessage())
        if message != self._last:
            self._last = message
            stderr().write(_redacted(f"builds-async: {message}\n"))


@contextmanager
def _telling_warnings() -> Iterator[None]:
    logger, handler = logging.getLogger("builds_async"), _Warnings(logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
