"""The other commands, in process: what they print, and their exit codes."""

import re
from collections.abc import Callable
from functools import partial

import pytest

from builds_async import (
    AccountLimits,
    AuthenticationError,
    BuildOutcome,
    BuildsConnectionError,
    BuildsError,
    BuildStatus,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.cli.texts import COMMANDS
from builds_async.simulator import Fault, SimulatedBuild
from tests.cli.support import Run, Served

Cli = Callable[..., Run]


@pytest.fixture
def shop(account: Served) -> str:
    """The name of a Worker with a failed build and, the latest, one that succeeded."""
    name = f"shop-{len(account.sim.workers)}"

    def add() -> None:
        tag = account.sim.add_worker(name)
        account.sim.add_finished_build(["Error: a"], "fail", age=7200, external_script_id=tag)  # type: ignore[arg-type]
        account.sim.add_finished_build(external_script_id=tag, commit_hash="c0ffee" + "0" * 34)

    account.do(add)
    return name


def builds_of(account: Served, name: str) -> list[SimulatedBuild]:
    """The builds of a Worker, oldest first."""
    tag = account.sim.workers[name]
    return [build for build in account.sim.builds.values() if build.external_script_id == tag]


def test_status(account: Served, shop: str, cli: Cli) -> None:
    """The latest build of those that are named, by name or tag, in the order in which they are named."""
    never = account.do(lambda: account.sim.add_worker(f"{shop}-never"))
    run = cli("status", never, shop)
    assert run.code == 0
    rows = [re.split(r"  +", line.strip()) for line in run.out.splitlines()]
    latest = builds_of(account, shop)[-1].build_uuid
    assert rows == [
        ["Worker", "State", "Branch", "Commit", "Age", "Took", "Build"],
        [f"{shop}-never", "never built"],
        [shop, "success", "main", "c0ffee00", "1h 1m", "1m 0s", latest],
    ]


def test_status_of_all(account: Served, shop: str, cli: Cli) -> None:
    """Without a name all Workers of the account are shown, as JSON with what each build is."""
    records = cli("status", "-o", "json").records
    assert {record["worker"] for record in records} == set(account.sim.workers)
    found = {record["worker"]: record["build"] for record in records}[shop]
    assert (found["status"], found["build_outcome"]) == ("stopped", "success")


def test_status_that_is_answered_in_part(account: Served, shop: str, cli: Cli) -> None:
    """What could not be asked for is told, and makes the exit code."""
    account.do(lambda: account.sim.fault(Fault("rate_limited", path="/latest", retry_after=600)))
    run = cli("status", shop)
    assert run.code == 4
    assert "no answer" in run.out
    assert "429" in run.err


def test_list(account: Served, shop: str, cli: Cli) -> None:
    """Newest first, no more than the limit."""
    builds = [build.build_uuid for build in builds_of(account, shop)]
    assert [record["build_uuid"] for record in cli("list", shop, "-o", "json").records] == builds[::-1]
    assert [line.split()[-1] for line in cli("list", shop, "--limit", "1").out.splitlines()] == [
        "Build",
        builds[1],
    ]


def test_show(account: Served, shop: str, cli: Cli) -> None:
    """Everything is told of a build, why it failed and where its preview is; the exit code is 0."""
    bad, good = (cli("show", build.build_uuid) for build in builds_of(account, shop))
    assert (bad.code, good.code) == (0, 0)
    for fact in (
        "fail",
        "reason          Error: a",
        f"Worker          {shop} ",
        "main",
        "push_event",
        "1m 0s",
    ):
        assert fact in bad.out
    assert re.search(r"preview +https://", good.out)
    assert re.search(r"commit +c0ffee0{34}", good.out)
    assert not re.search(" $", bad.out, re.MULTILINE)
    uuid = builds_of(account, shop)[0].build_uuid
    assert cli("show", uuid, "-o", "json").records[0]["build_outcome"] == "fail"


def test_wait(account: Served, shop: str, cli: Cli) -> None:
    """The exit code, the last line and the JSON object tell the outcome."""
    bad, good = (build.build_uuid for build in builds_of(account, shop))
    assert cli("wait", good) == Run(0, "", f"build {good}: success\n")
    assert cli("wait", bad) == Run(1, "", f"reason: Error: a\nbuild {bad}: fail\n")
    assert cli("wait", bad, "-o", "json").records[0]["build_outcome"] == "fail"


def test_wait_for_a_commit(account: Served, shop: str, cli: Cli) -> None:
    """A Worker by its name and the beginning of a hash are enough."""
    good = builds_of(account, shop)[1].build_uuid
    assert cli("wait", shop, "--commit", "c0ffee", "--branch", "main").last == f"build {good}: success"


def test_wait_times_out(account: Served, cli: Cli) -> None:
    """A time limit has an exit code of its own."""
    running = account.do(account.sim.add_build)
    assert cli("wait", running.build_uuid, "--timeout", "0.01") == Run(
        124, "", "builds-async: not finished after 0.01 s\n"
    )


def test_start(account: Served, shop: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prints the UUID; waits, or follows the log, when asked to; ends as the build does."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    started = cli("start", shop)
    assert started.code == 0
    assert started.out.strip() == builds_of(account, shop)[-1].build_uuid
    waited = cli("start", shop, "--branch", "main", "--wait", "-o", "json")
    assert (waited.code, [record["build_outcome"] for record in waited.records][-1]) == (0, "success")
    followed = cli("start", shop, "--commit", "a" * 40, "--follow")
    uuid = builds_of(account, shop)[-1].build_uuid
    assert followed == Run(0, "built\n", f"started build {uuid}\nbuild {uuid}: success\n")


def test_start_with_two_triggers(account: Served, shop: str, cli: Cli) -> None:
    """The trigger is the one that names the branch, or is named itself; without, none is started."""
    tag = account.sim.workers[shop]
    uuid = account.do(lambda: account.sim.add_trigger(tag, name="previews"))
    before = len(account.sim.builds)
    for words in ((), ("--branch", "x"), ("--branch", "x", "--trigger", "nightly"), ("--trigger", uuid)):
        run = cli("start", shop, *words)
        assert run.code == 2
        assert uuid in run.err or "say what to build" in run.err
    assert len(account.sim.builds) == before
    for words in (
        ("--branch", "main"),
        ("--branch", "x", "--trigger", "previews"),
        ("--commit", "a" * 40, "--trigger", uuid),
    ):
        assert cli("start", shop, *words).code == 0


def test_start_of_an_unconnected_worker(account: Served, cli: Cli) -> None:
    """A Worker without a trigger is told what it lacks."""
    account.do(lambda: account.sim.add_worker("alone", connected=False))
    run = cli("start", "alone", "--branch", "main")
    assert (run.code, "has no trigger" in run.err) == (2, True)


def test_cancel(account: Served, cli: Cli) -> None:
    """A running build is cancelled; one that had ended is told, and is no success."""
    build = account.do(account.sim.add_build)
    assert cli("cancel", build.build_uuid) == Run(0, "", f"build {build.build_uuid}: cancelled\n")
    assert build.status == BuildStatus.STOPPED
    done = account.do(account.sim.add_finished_build)
    run = cli("cancel", done.build_uuid, "-o", "json")
    assert (run.code, run.last) == (1, f"build {done.build_uuid}: success")
    assert run.records[0]["build_outcome"] == "success"


def test_events(account: Served, cli: Cli) -> None:
    """What was printed is acknowledged, and nothing else."""
    queue = account.do(account.sim.add_queue)
    builds = []
    for outcome in (BuildOutcome.SUCCESS, BuildOutcome.FAIL):
        build = account.do(account.sim.add_build)
        account.do(partial(build.finish, outcome))
        builds.append(build.build_uuid)
    first = cli("events", queue, "--limit", "1", "-o", "json").records
    second = cli("events", queue, "--limit", "1").out
    assert [(event["build_uuid"], event["build_outcome"]) for event in first] == [(builds[0], "success")]
    assert second.split()[2:] == [builds[1], "fail", "main"]


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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, cli: Cli) -> None:
    """The script for each shell knows every command, and an option."""
    run = cli("completion", shell)
    assert run.code == 0
    assert [word for word in (*COMMANDS, "timezone") if word not in run.out] == []


def test_help_of_all(cli: Cli) -> None:
    """The list of commands tells what each does, without a word in it."""
    run = cli("--help")
    assert run.code == 0
    assert [name for name, (_, short, _) in COMMANDS.items() if f"{name} " not in run.out] == []
    assert "Follow the logs of Workers" in run.out


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name: str, cli: Cli) -> None:
    """The help of a command tells how it is called, and its exit codes."""
    run = cli(name, "--help")
    text = " ".join(run.out.split())
    assert run.code == 0
    assert text.startswith(f"Usage: builds-async {name} ")
    assert "Exit codes: 0 success; 1 the build failed" in text
    assert max(map(len, run.out.splitlines())) <= 80


def test_help_tells_the_keys(cli: Cli) -> None:
    """The keys of JSON lines are documented."""
    text = re.sub(r"[│\s]+", " ", cli("tail", "--help").out)
    assert "build_uuid, external_script_id, worker, timestamp, time, message" in text


def test_version(cli: Cli) -> None:
    """The version is printed alone."""
    assert re.fullmatch(r"\d+\.\d+\S*\n", cli("--version").out)
