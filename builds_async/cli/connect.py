"""Makes the client from the shared options."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from builds_async import Budget, BuildsClient, Observation, OutageEnded, RetryPlanned
from builds_async.cli.exits import CommandError
from builds_async.cli.options import Connection
from builds_async.cli.running import stopped_at_once
from builds_async.cli.terminal import stderr
from builds_async.cli.text import visible_text
from builds_async.cli.times import format_duration
from builds_async.fleet.address import has_password
from builds_async.live.files import UnsuitableFileError, read_file

_SHARED = "BUILDS_ASYNC_SHARED"
_MAX_TOKEN = 10_000
_LONG_DELAY = 3.0


@asynccontextmanager
async def connect(
    connection: Connection, *, patience: float | None = None, is_shared: bool = True
) -> AsyncGenerator[BuildsClient]:
    """The client for the account, with the token from its file or from the environment.

    With None as `patience`, the client's default applies. The client shares its rate budget with other
    processes if the options say so and `is_shared` is True.

    Reports on standard error each retry that is delayed by 3 s or more, and the end of an outage. The library
    itself warns of the beginning of an outage, and of long waits for the rate budget.
    """
    async with (
        _budget(shared_url(connection) if is_shared else None) as budget,
        BuildsClient(
            account_id=connection.account_id,
            api_token=None if connection.token_file is None else read_token(connection.token_file),
            base_url=connection.base_url,
            budget=budget,
            observer=_report,
        ) as client,
    ):
        yield client if patience is None else client.with_options(patience=patience)


@asynccontextmanager
async def _budget(url: str | None) -> AsyncGenerator[Budget | None]:
    """The budget over the engine at this URL; None if there is none."""
    if url is None:
        yield None
        return
    try:
        from builds_async.fleet import SharedBudget  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise CommandError(f"--shared: {error}") from None
    async with SharedBudget(url) as budget:
        yield budget


def shared_url(connection: Connection) -> str | None:
    """The URL of the shared engine, from the option or the environment; None if there is none.

    A password is accepted only from the environment.
    """
    if connection.shared is not None and has_password(connection.shared):
        raise CommandError(
            "--shared: a password is not accepted on the command line, where other users can see it: put the"
            " URL into BUILDS_ASYNC_SHARED"
        )
    url = os.environ.get(_SHARED, "") if connection.shared is None else connection.shared
    return url.strip() or None


def _report(observation: Observation) -> None:
    if isinstance(observation, RetryPlanned) and observation.delay >= _LONG_DELAY:
        delay = format_duration(observation.delay)
        stderr().write(f"builds-async: {visible_text(f'retrying in {delay}: {observation.error}')}\n")
    elif isinstance(observation, OutageEnded) and observation.error is None:
        lasted = format_duration(observation.seconds)
        stderr().write(f"builds-async: {observation.verb}: works again after {lasted}\n")


def read_token(file: str, option: str = "--token-file") -> str:
    """The token in a file, or on standard input for `-`. No error names the file: it may be a pasted token.

    Only a regular file or a link to one is read: a device may never end, and a FIFO may have no writer. To
    pipe a token, use `-`. More than 10,000 characters are refused. A file that other users can access causes
    a warning, not an error, because files mounted into a container often have such permissions.
    """
    try:
        text = _standard_input() if file == "-" else _content(file, option)
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandError(f"{option}: can't read the file: {reason}") from None
    if len(text) > _MAX_TOKEN:
        raise CommandError(f"{option}: more than {_MAX_TOKEN:,} characters can't be a token")
    if not text.strip():
        raise CommandError(f"{option}: it contains no token")
    return text.strip()


def _content(file: str, option: str) -> str:
    try:
        data, status = read_file(file, _MAX_TOKEN)
    except UnsuitableFileError as error:
        raise CommandError(f"{option}: it {error}; to pipe a token, use `{option} -`") from None
    if os.name == "posix" and status.st_mode & 0o077:  # elsewhere the bits mean nothing
        stderr().write("builds-async: warning: other users can access the token file; run chmod 600 on it\n")
    return data.decode()


def _standard_input() -> str:
    if sys.stdin is None:  # closed by the shell
        return ""
    with stopped_at_once():
        return sys.stdin.read(_MAX_TOKEN + 1)
