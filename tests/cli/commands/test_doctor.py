"""Tests `builds-async doctor`."""

import re

import pytest

from builds_async import (
    AccountLimits,
    AuthenticationError,
    BadRequestError,
    BuildsConnectionError,
    BuildsError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from tests.cli.support import Cli


@pytest.mark.usefixtures("account")
def test_doctor(cli: Cli) -> None:
    """A valid token passes; in JSON, each finding is an object."""
    run = cli("doctor")
    assert (run.code, run.err) == (0, "")
    assert re.search(r"^ok +credentials ", run.out, re.MULTILINE)
    records = cli("doctor", "-o", "json").records
    assert {"check", "state", "message", "advice"} <= set(records[0])


DOCTOR: list[tuple[AccountLimits | BuildsError, int]] = [
    (AccountLimits(has_reached_build_minutes_limit=True), 1),
    (BadRequestError("malformed", status=422), 2),
    (NotFoundError("no such account", status=404), 2),
    (ConflictError("exists", status=409), 2),
    (AuthenticationError("invalid token", status=401), 3),
    (PermissionDeniedError("may not", status=403), 3),
    (RateLimitError("too many", status=429), 4),
    (InternalServerError("broken", status=500), 4),
    (BuildsConnectionError("could not connect"), 4),
    (ResponseDecodeError("no JSON"), 4),
]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("result", "code"), DOCTOR, ids=[type(result).__name__ for result, _ in DOCTOR])
def test_doctor_with_a_problem(
    result: AccountLimits | BuildsError, code: int, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of reading builds determines the exit code, as in the other commands."""

    async def limits(_: object) -> AccountLimits:
        if isinstance(result, BuildsError):
            raise result
        return result

    monkeypatch.setattr("builds_async.resources.account.Account.limits", limits)
    run = cli("doctor")
    assert (run.code, run.err) == (code, "")
    assert "problem" in run.out
