"""Tests `builds-async doctor`."""

import re
from collections.abc import Iterator
from pathlib import Path

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
from builds_async.simulator import Fault
from tests.cli.support import SECRET, Cli, Served, serving


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


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """An account of its own with the Worker `shop`, whose build token is dead, and `blog`, which works."""
    with serving() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)

        def add() -> None:
            made.sim.add_dead_build(external_script_id=made.sim.add_worker("shop"))
            made.sim.add_finished_build(external_script_id=made.sim.add_worker("blog"))

        made.do(add)
        yield made


def changes(served: Served) -> int:
    return served.do(lambda: sum(it.method != "GET" for it in served.sim.requests))


def test_reason_of_a_dead_token(broken: Served, cli: Cli) -> None:
    """`show` and `wait` give the reason for the failure, and the command that repairs it."""
    [uuid, _] = broken.do(lambda: list(broken.sim.builds))
    for run in (cli("show", uuid), cli("wait", uuid)):
        said = " ".join(f"{run.out} {run.err}".split())
        assert "build token selected for this build has been deleted or rolled" in said
        assert "builds-async doctor --repair-build-token" in said


@pytest.mark.parametrize("words", [(), ("shop",)], ids=["account", "Worker"])
def test_repair(words: tuple[str, ...], broken: Served, cli: Cli) -> None:
    """It shows the calls and changes nothing; with --yes it makes them; then nothing is left to do."""
    shown = cli("doctor", "--repair-build-token", *words)
    assert (shown.code, changes(broken)) == (1, 0)
    assert "nothing was changed" in shown.err
    calls = re.findall(r"^  ((?:PATCH|POST) /accounts/.*)$", shown.out, re.MULTILINE)
    assert len(calls) == 2
    assert "shop: the trigger Deploy default branch has the build token Workers Builds" in shown.out
    made = cli("doctor", "--repair-build-token", *words, "--yes")
    assert (made.code, made.err, changes(broken)) == (0, "", 2)
    assert all(call in made.out.partition("done:")[2] for call in calls)
    again = cli("doctor", "--repair-build-token", *words)
    assert (again.code, again.out) == (0, "no dead build token was found\n")


def test_repair_with_a_new_token(broken: Served, cli: Cli, tmp_path: Path) -> None:
    """The API token in a file is registered, and appears nowhere in the output."""
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    broken.do(lambda: broken.sim.add_token(token=SECRET))
    run = cli("doctor", "--repair-build-token", "--new-token-file", str(file), "--yes", "-o", "json")
    assert (run.code, run.err) == (0, "")
    assert SECRET not in run.out
    plan, report = run.records
    assert [call["action"] for call in plan["calls"]] == ["register", "point", "start"]
    assert (report["done"], report["left"], report["error"]) == (plan["calls"], [], None)


def test_repair_that_fails(broken: Served, cli: Cli) -> None:
    """It says what was done and what was not, with the exit code of the error; a second run does the rest."""
    broken.do(lambda: broken.sim.fault(Fault("blocked", method="POST", path="/builds/triggers/")))
    run = cli("doctor", "--repair-build-token", "--yes")
    assert run.code == 3
    done, _, left = run.out.partition("not done:")
    assert done.count("PATCH") == 2  # in the plan, and as done
    assert left.count("POST") == 1
    assert "1 of 2 calls were made" in run.last
    assert cli("doctor", "--repair-build-token", "--yes").code == 0
    assert changes(broken) == 3


def test_nothing_to_repair_with(broken: Served, cli: Cli) -> None:
    """Without another build token it says what to do, and how."""
    blog = broken.sim.workers["blog"]
    broken.do(lambda: broken.sim.add_dead_build(external_script_id=blog, age=1.0))
    run = cli("doctor", "--repair-build-token")
    assert (run.code, changes(broken)) == (1, 0)
    assert "create an API token" in run.err
    assert "--new-token-file" in run.err


@pytest.mark.parametrize(
    "words",
    [
        ("shop",),
        ("--yes",),
        ("--build-token", "x"),
        ("--new-token-file", "x"),
        ("--repair-build-token", "--build-token", "x", "--new-token-file", "y"),
        ("--repair-build-token", "--new-token-file", "-", "--token-file", "-"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("account")
def test_repair_misuse(words: tuple[str, ...], cli: Cli) -> None:
    """Options that need --repair-build-token, or exclude each other, are usage errors."""
    assert cli("doctor", *words).code == 2
