"""The script for CI, whose exit code is 1 only for a failed build."""

import sys
from types import ModuleType

import pytest

from builds_async import BuildOutcome, BuildsClient
from builds_async.simulator import (
    Behavior,
    BuildOptions,
    BuildsSimulator,
    Fault,
    Moment,
    TokenKind,
    VirtualClock,
)
from tests.examples.support import guide, outage

COMMIT = "c0ffee" + "0" * 34


@pytest.fixture
def builds_simulator(builds_clock: VirtualClock, request: pytest.FixtureRequest) -> BuildsSimulator:
    """A simulated account with a Worker `shop`; a test may set the behavior."""
    sim = BuildsSimulator(clock=builds_clock, behavior=getattr(request, "param", Behavior()))
    sim.add_worker("shop")
    return sim


@pytest.fixture
def sim(builds_environ: dict[str, str], builds_simulator: BuildsSimulator) -> BuildsSimulator:
    assert builds_environ
    return builds_simulator


@pytest.fixture
def script() -> ModuleType:
    return guide("ci", "wait_in_ci")


def script_of(outcome: BuildOutcome, *, after: float = 0.0) -> list[Moment]:
    return [(after, "npm run build"), (after + 20, "Error: no cheese"), (after + 30, outcome)]


@pytest.mark.parametrize("is_over", [True, False], ids=["over", "running"])
@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (BuildOutcome.SUCCESS, 0),
        (BuildOutcome.FAIL, 1),
        (BuildOutcome.SKIPPED, 5),
        (BuildOutcome.CANCELLED, 5),
        (BuildOutcome.TERMINATED, 5),
        (BuildOutcome("exploded"), 5),
    ],
)
def test_outcomes(
    sim: BuildsSimulator, script: ModuleType, outcome: BuildOutcome, code: int, is_over: bool
) -> None:
    """The exit code is that of the outcome, whether the build ends before or after the start."""
    options = BuildOptions(external_script_id=sim.workers["shop"], commit_hash=COMMIT)
    sim.add_finished_build(1, external_script_id=sim.workers["shop"])
    if is_over:
        sim.add_finished_build(1, outcome, **options)
    else:
        sim.add_build(script_of(outcome, after=60), **options)
    assert script.main(["shop", "c0ffee", "main"]) == code


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (BuildOutcome.SUCCESS, []),
        (BuildOutcome.FAIL, ["reason: Error: no cheese"]),
        (BuildOutcome.CANCELLED, ["reason: cancelled"]),
    ],
)
def test_output(
    sim: BuildsSimulator,
    script: ModuleType,
    outcome: BuildOutcome,
    reason: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The script prints the build with its outcome, and the reason unless it succeeded."""
    options = BuildOptions(external_script_id=sim.workers["shop"], commit_hash=COMMIT)
    build = sim.add_build(script_of(outcome), **options)
    script.main(["shop", COMMIT])
    assert capsys.readouterr().out.splitlines() == [f"build {build.build_uuid}: {outcome}", *reason]


@pytest.mark.parametrize("builds_simulator", [Behavior(late_outcome="never")], indirect=True)
def test_no_outcome(sim: BuildsSimulator, script: ModuleType) -> None:
    """A build that never gets an outcome does not count as failed."""
    sim.add_finished_build(
        outcome=BuildOutcome.FAIL, external_script_id=sim.workers["shop"], commit_hash=COMMIT
    )
    assert script.main(["shop", COMMIT]) == 5


def test_first_build_fails(sim: BuildsSimulator, script: ModuleType) -> None:
    """The first build of a never deployed Worker, which is named by its tag, may fail at once."""
    tag = sim.add_worker("new", deployed=False)
    build = sim.add_build(external_script_id=tag, commit_hash=COMMIT)
    build.finish(BuildOutcome.FAIL)
    assert script.main([tag, COMMIT]) == 1


@pytest.mark.parametrize("begin", [0, 15, 92], ids=["at the start", "in the middle", "at the end"])
@pytest.mark.parametrize(("seconds", "code"), [(60, 1), (200, 1), (900, 4)])
def test_outage(sim: BuildsSimulator, script: ModuleType, begin: float, seconds: float, code: int) -> None:
    """An outage of a few minutes has no effect, and a longer one has its own exit code."""
    sim.add_build(
        script_of(BuildOutcome.FAIL, after=60), external_script_id=sim.workers["shop"], commit_hash=COMMIT
    )
    outage(sim, begin, begin + seconds)
    assert script.main([sim.workers["shop"], COMMIT]) == (1 if begin == 92 and seconds == 900 else code)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("server_error", path="/logs", times=None),
        Fault("blocked", path="/logs", times=None),
        Fault("not_json", path="/logs", times=None),
    ],
    ids=lambda fault: fault.kind,
)
def test_no_reason(
    sim: BuildsSimulator, script: ModuleType, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that can't be read does not change the exit code."""
    sim.add_finished_build(
        outcome=BuildOutcome.FAIL, external_script_id=sim.workers["shop"], commit_hash=COMMIT
    )
    sim.fault(fault)
    assert script.main(["shop", COMMIT]) == 1
    assert "reason: unknown, because the log can't be read: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["blog", COMMIT], id="unknown Worker"),
        pytest.param(["shop", "not-a-commit"], id="no commit"),
        pytest.param(["shop", "abcd"], id="several commits"),
    ],
)
def test_impossible_wait(sim: BuildsSimulator, script: ModuleType, words: list[str]) -> None:
    """A wait that is impossible has exit code 2."""
    for commit in ("abcd1" + "0" * 35, "abcd2" + "0" * 35):
        sim.add_finished_build(1, external_script_id=sim.workers["shop"], commit_hash=commit)
    assert script.main(words) == 2


@pytest.mark.parametrize("words", [[], ["shop"], ["shop", COMMIT, "main", "more"]])
def test_wrong_arguments(script: ModuleType, words: list[str]) -> None:
    """Too few or too many arguments have exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        script.main(words)
    assert stopped.value.code == 2


def test_no_token(sim: BuildsSimulator, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing token has exit code 2, and a refused token 3."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", sim.add_token(TokenKind.ACCOUNT_OWNED))
    assert script.main([sim.workers["shop"], COMMIT]) == 3
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    assert script.main(["shop", COMMIT]) == 2


@pytest.mark.parametrize("kind", ["blocked", "not_json", "redirect", "rate_limited", "stall"])
def test_network(sim: BuildsSimulator, script: ModuleType, kind: str) -> None:
    """A network fault never has exit code 0 or 1."""
    sim.fault(Fault(kind, times=None))  # type: ignore[arg-type]  # each is a kind
    assert script.main([sim.workers["shop"], COMMIT]) in {2, 3, 4}


def test_timeout(sim: BuildsSimulator, script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A build that does not finish in time has exit code 124."""
    script.__dict__["MINUTES"] = 0.0005
    assert script.main([sim.workers["shop"], COMMIT]) == 124
    assert capsys.readouterr().err == "not finished after 0.0005 minutes\n"


def test_restart_within_a_log(
    sim: BuildsSimulator, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that is stopped by Ctrl-C during the build and restarted has the same result."""
    sim.add_build(
        script_of(BuildOutcome.FAIL, after=60), external_script_id=sim.workers["shop"], commit_hash=COMMIT
    )
    wait = BuildsClient.wait_for_commit

    async def interrupted(self: BuildsClient, *_: object, **__: object) -> None:
        await self._clock.sleep(70)
        raise KeyboardInterrupt

    monkeypatch.setattr(BuildsClient, "wait_for_commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        script.main(["shop", COMMIT])
    monkeypatch.setattr(BuildsClient, "wait_for_commit", wait)
    assert script.main(["shop", COMMIT]) == 1


def test_broken_pipe(sim: BuildsSimulator, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken pipe does not count as a failed build."""
    sim.add_finished_build(external_script_id=sim.workers["shop"], commit_hash=COMMIT)

    def broken(*_: object, file: object = None, **__: object) -> None:
        if file is not sys.stderr:
            raise BrokenPipeError

    script.__dict__["print"] = broken
    assert monkeypatch
    assert script.main(["shop", COMMIT]) == 4
