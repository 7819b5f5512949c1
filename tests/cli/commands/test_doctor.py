"""Tests `builds-async doctor`."""

import asyncio
import re
import signal
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
from builds_async.probe.gathering import Gatherer
from builds_async.simulator import Fault
from tests.cli.support import DEADLINE, NOBODY, SECRET, Cli, Served, serving


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
    """A separate account with the Worker `shop`, whose build token is dead, and `blog`, which works."""
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
    """The repair lists its calls, makes them only with --yes, and then finds nothing left to do."""
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
    """A failed repair lists the done and the remaining calls, and a second run completes it."""
    broken.do(lambda: broken.sim.fault(Fault("blocked", method="POST", path="/builds/triggers/")))
    run = cli("doctor", "--repair-build-token", "--yes")
    assert run.code == 3
    done, _, left = run.out.partition("not done:")
    assert done.count("PATCH") == 2  # in the plan, and as done
    assert left.count("POST") == 1
    assert "1 of 2 calls were made" in run.last
    assert cli("doctor", "--repair-build-token", "--yes").code == 0
    assert changes(broken) == 3


def test_repair_without_a_build_token(broken: Served, cli: Cli) -> None:
    """Without another build token, the error explains how to create one."""
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


def test_probe(cli: Cli, tmp_path: Path, account: Served) -> None:
    """The probe prints each question with its answer, and its report contains no name of the account."""
    account.do(lambda: account.sim.add_finished_build(["canary"], external_script_id=_shop(account)))
    file = tmp_path / "report.md"
    file.write_text("old")
    run = cli("doctor", "--probe", "--report", str(file))
    assert run.code == 0
    for row in (
        "holds +timestamp_unit +Timestamps are in milliseconds: milliseconds",
        "not asked +late_lines ",
    ):
        assert re.search(rf"^{row}", run.out, re.MULTILINE)
    assert "can be pasted into an issue" in run.err
    report = file.read_text("utf-8")
    assert "| holds | `timestamp_unit` | milliseconds |" in report
    for secret in ("canary", account.sim.account_id, account.sim.api_token, *account.sim.workers):
        assert secret not in report
        assert secret not in run.out
    records = cli("doctor", "--probe", "-o", "json").records
    assert {"question", "state", "assumption", "answer", "reason"} == set(records[0])


def test_probe_of_a_build(cli: Cli, account: Served) -> None:
    """The probe reads the log of the given build."""
    uuid = account.do(
        lambda: account.sim.add_finished_build(["x"], external_script_id=_shop(account), age=9e5).build_uuid
    )
    account.do(account.sim.requests.clear)
    assert cli("doctor", "--probe", uuid).code == 0
    paths = account.do(lambda: [it.path for it in account.sim.requests])
    assert any(path.endswith(f"/{uuid}/logs") for path in paths)
    assert len(paths) <= 30


def test_probe_without_a_network(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, the questions are unknown, and the exit code marks the probe as incomplete."""
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "0" * 32)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", SECRET)
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", NOBODY)
    run = cli("doctor", "--probe")
    assert run.code == 4
    assert "the API can't be reached" in run.out
    assert run.last == "the probe was not completed (2 requests)"


def test_probe_that_is_interrupted(
    cli: Cli, account: Served, tmp_path: Path, stops: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C, the answers so far are printed and written, with exit code 130."""
    account.do(lambda: account.sim.add_finished_build(external_script_id=_shop(account)))
    file = tmp_path / "report.md"

    async def interrupted(_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(DEADLINE)

    monkeypatch.setattr(Gatherer, "_workers", interrupted)
    run = cli("doctor", "--probe", "--report", str(file))
    assert run.code == 130
    assert stops == []
    for text in (run.out, file.read_text("utf-8")):
        assert "absent" in text
        assert "the probe was cut short" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--report", "x"), "needs --probe"),
        (("shop",), "needs --probe"),
        (("--probe", "--yes"), "needs --repair-build-token"),
        (("--probe", "--repair-build-token"), "exclude each other"),
        (("--probe", "--report", "/nowhere/at/all"), "can't write the file"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, tuple) else "",
)
def test_probe_misuse(words: tuple[str, ...], said: str, cli: Cli, account: Served) -> None:
    """Incompatible options and an unwritable report are errors before any request."""
    account.do(account.sim.requests.clear)
    run = cli("doctor", *words)
    assert run.code == 2
    assert said in run.err
    assert account.do(lambda: len(account.sim.requests)) == 0


def _shop(account: Served) -> str:
    return account.sim.add_worker("shop-to-probe")
