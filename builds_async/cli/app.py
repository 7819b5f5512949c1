"""The app: lists the commands, runs one, and turns errors into messages and exit codes."""

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
from builds_async.cli.commands import COMMANDS, EXIT_CODES
from builds_async.cli.exits import CommandError, Terminated
from builds_async.cli.running import run_to_end, terminate
from builds_async.cli.terminal import silence, stderr, stdout
from builds_async.cli.text import visible_text
from builds_async.errors import BuildsConnectionError, BuildsError, ConfigurationError

_OPTIONS = {"account_id": "--account-id", "api_token": "--token-file", "base_url": "--base-url"}

COMPLETE = "__complete"
"""The hidden command that the completion scripts of the shells run."""

_TOKEN_FLAG = re.compile(
    r"--?(?:cloudflare[-_])?(?:api[-_]?)?(?:token|key)(?:[=:].*)?", re.IGNORECASE | re.DOTALL
)
_SECRETS = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY")


def make_app() -> cyclopts.App:
    """Make the app with all commands. A command is imported only when it is run or completed."""
    app = cyclopts.App(
        name="builds-async",
        help="Cloudflare Workers Builds on the command line.",
        help_epilogue=EXIT_CODES,
        help_format="plaintext",
        default_parameter=cyclopts.Parameter(negative=(), show_default=False),
        version=__version__,
    )
    for number, (name, help_) in enumerate(COMMANDS.items()):
        app.command(
            f"builds_async.cli.commands.{name}:{name}_command",
            name=name,
            help=help_.text,
            usage=help_.usage(name),
            help_epilogue=help_.epilogue,
            sort_key=number,
        )
    return app


def run(tokens: Sequence[str]) -> int:
    """Run one command line and return the exit code. An expected error prints one or two lines."""
    signal.signal(signal.SIGTERM, terminate)  # until `run_to_end` handles it
    try:
        with _printed_warnings():
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
        message = _usage_error(error, tokens) if isinstance(error, CycloptsError) else _for_people(error)
        return _fail(message, exits.code_of(error), debug="--debug" in tokens)


def _run(tokens: Sequence[str]) -> int:
    app = make_app()
    if tokens and tokens[0] == "help":  # as in git and gh
        tokens = (*tokens[1:], "--help")
    if tokens and tokens[0] == COMPLETE:
        return _complete(app, tokens[1:])
    command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    if "console" in bound.signature.parameters:  # for --help and --version, which cyclopts prints itself
        bound.arguments["console"] = stdout().console
    result = command(*bound.args, **bound.kwargs)
    if iscoroutine(result):
        result = run_to_end(result)
    return result if isinstance(result, int) else exits.OK


def _for_people(error: Exception) -> str:
    """The message of an error, with the options of the command where the library names its own arguments."""
    text = str(error)
    if isinstance(error, (ConfigurationError, BuildsConnectionError)):
        for argument, option in _OPTIONS.items():
            text = re.sub(rf"\b{argument}\b", option, text)
    return text


def _complete(app: cyclopts.App, words: Sequence[str]) -> int:
    from builds_async.cli.completing import complete  # noqa: PLC0415  # other commands don't need it

    if lines := complete(app, words):
        stdout().write("".join(f"{line}\n" for line in lines), trusted=True)
    return exits.OK


def _usage_error(error: CycloptsError, tokens: Sequence[str]) -> str:
    if any(_TOKEN_FLAG.fullmatch(token) for token in tokens):
        return (
            "a token is not accepted on the command line, where other users can see it:"
            " set CLOUDFLARE_API_TOKEN, or use --token-file"
        )
    return f"{error} (see --help)"


def _fail(message: str, code: int, *, debug: bool) -> int:
    text = f"builds-async: {visible_text(' '.join(message.split()))}\n"
    if debug:
        text = f"{traceback.format_exc()}{text}"
    stderr().write(_redacted(text))
    return code


def _redacted(text: str) -> str:
    """The text without the secrets of the environment and without any token typed by mistake.

    The library redacts its own messages, but the messages of the command also quote its arguments.
    """
    secrets = [secret for name in _SECRETS if (secret := os.environ.get(name, "").strip())]
    if "cf" not in text and not any(secret in text for secret in secrets):
        return text  # every token with a recognizable form begins with `cf`
    from builds_async.session.redact import redact  # noqa: PLC0415  # slow to load, and rarely needed

    return redact(text, secrets)


def _end_line() -> None:
    """End the line on which a terminal shows `^C`, so that the shell's prompt gets a line of its own."""
    screen = stderr()
    if screen.is_tty:
        screen.write("\n")


class _WarningPrinter(logging.Handler):
    """Prints the library's warnings on standard error, but not the same one twice in a row."""

    _last = ""

    def emit(self, record: logging.LogRecord) -> None:
        message = visible_text(record.getMessage())
        if message != self._last:
            self._last = message
            stderr().write(_redacted(f"builds-async: {message}\n"))


@contextmanager
def _printed_warnings() -> Iterator[None]:
    logger, handler = logging.getLogger("builds_async"), _WarningPrinter(logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False  # or the root logger prints the warning again
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
