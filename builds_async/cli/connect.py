"""A client out of the shared options."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from builds_async import BuildsClient, Observation, RateBudget, RetryPlanned, RetryPolicy
from builds_async.cli.exits import CommandError
from builds_async.cli.options import Connection
from builds_async.cli.out import stderr
from builds_async.cli.running import stopped_at_once
from builds_async.cli.safe import plain
from builds_async.cli.times import spoken

_PATIENT = 8
_LONGEST_TOKEN = 10_000
_LONG = 3.0
_LOOK = 2.0


@asynccontextmanager
async def connect(connection: Connection, *, patient: bool = False) -> AsyncGenerator[BuildsClient]:
    """The client for the account, with the token from its file or from the environment.

    A patient one is for what runs for long: an outage of some 20 seconds does not end it. Where it has to
    wait for long, standard error says why.
    """
    async with BuildsClient(
        account_id=connection.account_id,
        api_token=None if connection.token_file is None else read_token(connection.token_file),
        base_url=connection.base_url,
        retry=RetryPolicy(attempts=_PATIENT) if patient else RetryPolicy(),
        observer=_tell_long_waits,
    ) as client:
        telling = asyncio.ensure_future(_tell_when_used_up(client.budget))
        try:
            yield client
        finally:
            telling.cancel()


async def _tell_when_used_up(budget: RateBudget) -> None:
    """Say so, each time that the rate budget leaves nothing over."""
    told = False
    while True:
        await asyncio.sleep(_LOOK)
        state = budget.snapshot()
        if state.left == 0 and not told:
            wait = spoken(max(state.closed_for, state.resets_in))
            stderr().write(f"builds-async: the rate limit is used up; waiting, for {wait} at most\n")
        told = state.left == 0


def _tell_long_waits(observation: Observation) -> None:
    """Say why nothing happens, where a retry is far off."""
    if isinstance(observation, RetryPlanned) and observation.delay >= _LONG:
        told = f"builds-async: waiting {spoken(observation.delay)} to try again: {observation.error}"
        stderr().write(f"{plain(told)}\n")


def read_token(file: str) -> str:
    """The token in a file, or on standard input for `-`. Errors name no file: it might be a token."""
    try:
        if file == "-":
            text = _standard_input()
        else:
            with Path(file).open(encoding="utf-8") as opened:
                text = opened.read(_LONGEST_TOKEN)
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CommandError(f"--token-file: the file can't be read: {reason}") from None
    if not text.strip():
        raise CommandError("--token-file: there is no token in it")
    return text.strip()


def _standard_input() -> str:
    if sys.stdin is None:  # closed by the caller's shell
        return ""
    with stopped_at_once():
        return sys.stdin.read(_LONGEST_TOKEN)
