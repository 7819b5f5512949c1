"""A client out of the shared options."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from builds_async import BuildsClient, Observation, RetryPlanned, RetryPolicy
from builds_async.cli.exits import CommandError
from builds_async.cli.files import UnfitFileError, read_file
from builds_async.cli.options import Connection
from builds_async.cli.out import stderr
from builds_async.cli.running import stopped_at_once
from builds_async.cli.safe import plain
from builds_async.cli.times import spoken

_PATIENT = 8
_LONGEST_TOKEN = 10_000
_LONG = 3.0


@asynccontextmanager
async def connect(connection: Connection, *, patient: bool = False) -> AsyncGenerator[BuildsClient]:
    """The client for the account, with the token from its file or from the environment.

    A patient one is for what runs for long: an outage of some 20 seconds does not end it. Where a retry is
    far off, standard error says why; the library itself warns of long waits for the rate budget.
    """
    async with BuildsClient(
        account_id=connection.account_id,
        api_token=None if connection.token_file is None else read_token(connection.token_file),
        base_url=connection.base_url,
        retry=RetryPolicy(attempts=_PATIENT) if patient else RetryPolicy(),
        observer=_tell_long_waits,
    ) as client:
        yield client


def _tell_long_waits(observation: Observation) -> None:
    """Say why nothing happens, where a retry is far off."""
    if isinstance(observation, RetryPlanned) and observation.delay >= _LONG:
        told = f"builds-async: waiting {spoken(observation.delay)} to try again: {observation.error}"
        stderr().write(f"{plain(told)}\n")


def read_token(file: str) -> str:
    """The token in a file, or on standard input for `-`. Errors name no file: it might be a token.

    The file must be a regular one, or a link to one. Others are refused unread: a device may have no end, and
    a FIFO may have no writer; use `-` for a pipe. A text of more than 10,000 characters is refused as well.
    A file that others can read gets a warning and is used: files that are mounted into a container often are.
    """
    try:
        text = _standard_input() if file == "-" else _content(file)
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CommandError(f"--token-file: the file can't be read: {reason}") from None
    if len(text) > _LONGEST_TOKEN:
        raise CommandError(f"--token-file: it has more than {_LONGEST_TOKEN} characters, so it is no token")
    if not text.strip():
        raise CommandError("--token-file: there is no token in it")
    return text.strip()


def _content(file: str) -> str:
    try:
        data, status = read_file(file, _LONGEST_TOKEN)
    except UnfitFileError as error:
        raise CommandError(
            f"--token-file: it {error}, so it is no token; pipe one to `--token-file -`"
        ) from None
    if os.name == "posix" and status.st_mode & 0o077:  # elsewhere the bits say nothing
        stderr().write(
            "builds-async: warning: other users have access to the token file; chmod 600 ends that\n"
        )
    return data.decode()


def _standard_input() -> str:
    if sys.stdin is None:  # closed by the caller's shell
        return ""
    with stopped_at_once():
        return sys.stdin.read(_LONGEST_TOKEN + 1)
