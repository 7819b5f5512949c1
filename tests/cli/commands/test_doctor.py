"""`builds-async doctor`."""

import re

import pytest

from builds_async import (
    AccountLimits,
    AuthenticationError,
    BuildsConnectionError,
    BuildsError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from tests.cli.support import Cli


@pytest.mark.usefixtures("account")
def test_doctor(cli: Cli) -> None:
    """A good token is found good; each finding is an object in JSON."""
    run = cli("doctor")
    assert (run.code, run.err) == (0, "")
    assert re.search(r"^ok +credentials ", run.out, re.MULTILINE)
    records = cli("doctor", "-o", "json").records
    assert {"check", "state", "message", "advice"} <= set(records[0])


DOCTOR: list[tuple[AccountLimits | BuildsError, int]] = [
    (AccountLimits(has_reached_build_minutes_limit=True), 1),
    (NotFoundError("no such account", status=404), 2),
    (AuthenticationError("invalid token", status=401), 3),
    (PermissionDeniedError("may not", status=403), 3),
    (RateLimitError("too many", status=429), 4),
    (InternalServerError("broken", status=500), 4),
    (BuildsConnectionError("could not connect"), 4),
    (ResponseDecodeError("no JSON"), 4),
]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("answer", "code"), DOCTOR, ids=[type(answer).__name__ for answer, _ in DOCTOR])
def test_doctor_that_finds_something(
    answer: AccountLimits | BuildsError, code: int, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps builds from being read makes the exit code, as it does for the other commands."""

    async def limits(_: object) -> AccountLimits:
        if isinstance(answer, BuildsError):
            raise answer
        return answer

    monkeypatch.setattr("builds_async.resources.account.Account.limits", limits)
    run = cli("doctor")
    assert (run.code, run.err) == (code, "")
    assert "problem" in run.out
